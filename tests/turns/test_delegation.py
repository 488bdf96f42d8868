"""A delegation runs in a child session of its own; its errors and limits are reported to the caller."""

from pathlib import Path

from prompt_objects.errors import RateLimited
from prompt_objects.llm.base import Request
from prompt_objects.message import Message
from prompt_objects.runtime.events import ExternalMessages
from prompt_objects.sessions.info import ParentCall
from prompt_objects.testing import ScriptedLLM, calls
from tests.support.environments import llm_by_name, open_env


async def test_delegation_runs_in_a_child_session_that_names_its_call(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("scout", {"message": "Look around"})), "I see a tree", "There is a tree"])
    async with open_env(tmp_path, llm) as env:
        reply = await env["boss"].receive("What is there?")
        assert reply.text == "There is a tree"
        (child,) = env["scout"].session_manager.list()
        call = reply.session.history[1]["tool_calls"][0]
        assert child.parent == ParentCall(reply.session.id, call["id"])
        assert child.name == "Default (boss)"
        asked = env.session_manager.get(child.id).history
        assert [m["content"] for m in asked] == ["Look around", "I see a tree"]
        assert reply.session.history[2]["content"] == "I see a tree"


async def test_failed_start_of_a_delegation_leaves_no_empty_session(tmp_path: Path) -> None:
    def break_it(_: Request) -> Message:
        (tmp_path / "objects" / "scout.yaml").write_text("name: scout\nprompt: [\n")
        return calls(("scout", {"message": "Look around"}))

    async with open_env(tmp_path, ScriptedLLM([break_it, "I cannot"])) as env:
        assert (await env["boss"].receive("Go")).text == "I cannot"
        assert env["scout"].session_manager.list() == []


async def test_a_cycle_is_refused_before_anything_runs(tmp_path: Path) -> None:
    llm = ScriptedLLM(
        [calls(("helper", {"message": "Help"})), calls(("boss", {"message": "You do it"})), "I cannot", "Sorry"]
    )
    async with open_env(tmp_path, llm) as env:
        assert (await env["boss"].receive("Go")).text == "Sorry"
        (child,) = env["helper"].session_manager.list()
        assert "boss → helper" in env.session_manager.get(child.id).history[2]["content"]
        assert len(env["boss"].session_manager.list()) == 1


async def test_depth_is_limited_by_the_first_in_the_chain(tmp_path: Path) -> None:
    objects = {
        "a": "name: a\ncapabilities: [b]\nlimits: {depth: 1}\nprompt: A.\n",
        "b": "name: b\ncapabilities: [c]\nprompt: B.\n",
        "c": "name: c\nprompt: C.\n",
    }
    llm = ScriptedLLM([calls(("b", {"message": "go"})), calls(("c", {"message": "go"})), "b ends", "a ends"])
    async with open_env(tmp_path, llm, objects) as env:
        assert (await env["a"].receive("Go")).text == "a ends"
        assert env["c"].session_manager.list() == []


async def test_two_parallel_calls_to_one_object_have_two_sessions(tmp_path: Path) -> None:
    two = calls(("scout", {"message": "north"}), ("scout", {"message": "south"}))
    llm = ScriptedLLM([two, "seen", "seen", "All seen"])
    async with open_env(tmp_path, llm) as env:
        await env["boss"].receive("Go")
        children = env["scout"].session_manager.list()
        assert len({info.name for info in children}) == 2
        asked = {env.session_manager.get(info.id).history[0]["content"] for info in children}
        assert asked == {"north", "south"}


async def test_a_child_that_fails_is_an_error_that_the_caller_can_read(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("scout", {"message": "Look"})), RateLimited("Too many requests."), "The scout is busy"])
    async with open_env(tmp_path, llm) as env:
        reply = await env["boss"].receive("Go")
        assert reply.text == "The scout is busy"
        assert "Too many requests" in reply.session.history[2]["content"]


async def test_continue_uses_the_session_of_the_first_call(tmp_path: Path) -> None:
    objects = {"a": "name: a\ncapabilities: [{po: b, context: continue}]\nprompt: A.\n", "b": "name: b\nprompt: B.\n"}
    llm = ScriptedLLM([calls(("b", {"message": "1"})), "one", calls(("b", {"message": "2"})), "two", "done"])
    async with open_env(tmp_path, llm, objects) as env:
        await env["a"].receive("Go")
        (child,) = env["b"].session_manager.list()
        assert [m["content"] for m in env.session_manager.get(child.id).history] == ["1", "one", "2", "two"]


async def test_parallel_calls_continue_in_one_session_in_order(tmp_path: Path) -> None:
    objects = {"a": "name: a\ncapabilities: [{po: b, context: continue}]\nprompt: A.\n", "b": "name: b\nprompt: B.\n"}
    llm = ScriptedLLM([calls(("b", {"message": "1"}), ("b", {"message": "2"})), "one", "two", "done"])
    async with open_env(tmp_path, llm, objects) as env:
        await env["a"].receive("Go")
        (child,) = env["b"].session_manager.list()
        assert [m["content"] for m in env.session_manager.get(child.id).history] == ["1", "one", "2", "two"]


async def test_messages_of_a_continued_delegate_are_not_external(tmp_path: Path) -> None:
    objects = {
        "boss": "name: boss\ncapabilities: [{po: scout, context: continue}]\nprompt: You are boss.\n",
        "scout": "name: scout\nprompt: You are scout.\n",
    }
    both = calls(("scout", {"message": "one"}), ("scout", {"message": "two"}))
    llm = llm_by_name(boss=[both, "Done."], scout=["1", "2"])
    async with open_env(tmp_path, llm, objects) as env:
        events = [event async for event in env["boss"].stream("Go")]
        assert not [event for event in events if isinstance(event, ExternalMessages)]
