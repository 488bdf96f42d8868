"""A turn saves every message first, and leaves a valid history however it ends."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import NotSaved, PromptObjectsError, RateLimited, StoreError
from prompt_objects.llm.base import LLM, Completion, Request, TextChunk, Usage
from prompt_objects.llm.connection import ModelConnection
from prompt_objects.llm.fallback import FallbackChain
from prompt_objects.message import Message
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import (
    BudgetUpdated,
    ExternalMessages,
    MessageSaved,
    Notice,
    TextDelta,
    ToolCallEnded,
    ToolCallStarted,
    TurnEnded,
    TurnStarted,
)
from prompt_objects.runtime.interaction import Decision
from prompt_objects.sessions.info import ParentCall
from prompt_objects.sessions.session import Session
from prompt_objects.testing import Scripted, ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from prompt_objects.turns.turn import Reply, Turn
from tests.support.environments import llm_by_name, make_env, open_env
from tests.support.interaction import Answers
from tests.support.messages import sent_messages
from tests.support.strict_protocol import request_violations, violations


class GivenResources:
    """One model and some tools, independent of the definition."""

    def __init__(self, llm: LLM, tools: list[Tool]) -> None:
        self._llm = llm
        self._tools = tools

    async def load(self, _context: Context) -> tuple[FallbackChain, dict[str, Tool]]:
        return FallbackChain(ModelConnection(self._llm, "a test's")), {tool.name: tool for tool in self._tools}


async def turn_with(env: Environment, tools: list[Tool], session: Session, llm: LLM) -> Reply:
    """Run a turn of the scout with tools of our own."""
    po = env["scout"]
    context = env.context().enter(po.definition, session)
    resources = GivenResources(llm, tools)
    turn = Turn(po.definition, context, session, po.session_manager, resources)
    return await turn.run({"role": "user", "content": "Go"})


async def test_the_message_is_durable_before_the_model_is_asked(tmp_path: Path) -> None:
    def look(request: Request) -> str:
        (info,) = env.session_manager.list()
        assert [m["content"] for m in env.session_manager.get(info.id).history] == ["Hello"]
        return "Hi"

    env = open_env(tmp_path, ScriptedLLM([look]))
    assert (await env["scout"].receive("Hello")).text == "Hi"
    env.close()


async def test_reply_has_text_session_model_and_usage(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM(["Hi there"])) as env:
        reply = await env["scout"].receive("Hello")
        assert (reply.text, reply.session.name, reply.model) == ("Hi there", "Default", "scripted")
        assert reply.usage.total > 0
        last = reply.session.history[-1]
        assert last["model"] == "scripted"
        assert last["usage"]["completion_tokens"] > 0


async def test_calls_run_in_parallel_and_results_are_in_call_order(tmp_path: Path) -> None:
    waiting: list[str] = []
    both = asyncio.Event()

    async def meet(arguments: dict[str, Any], _context: Context) -> str:
        waiting.append(arguments["n"])
        if len(waiting) == 2:
            both.set()
        await both.wait()
        return str(arguments["n"])

    llm = ScriptedLLM([calls(("meet", {"n": "first"}), ("meet", {"n": "second"})), "Done"])
    async with open_env(tmp_path, llm) as env:
        session = env["scout"].session_manager.current()
        tool = Tool("meet", "Meet", {"type": "object"}, meet)
        reply = await asyncio.wait_for(turn_with(env, [tool], session, llm), 10)
        assert reply.text == "Done"
        results = [m for m in session.history if m["role"] == "tool"]
        assert [(m["content"], m["failed"]) for m in results] == [("first", False), ("second", False)]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("nothing", {}), "There is no capability 'nothing'"),
        (("list_files", {"path": "../.."}), "outside the environment"),
        (("list_files", {"path": 3}), "`path` is invalid"),
    ],
)
async def test_errors_of_a_tool_go_to_the_model(tmp_path: Path, call: tuple[str, dict[str, Any]], words: str) -> None:
    async with open_env(tmp_path, ScriptedLLM([calls(call), "Sorry"])) as env:
        reply = await env["scout"].receive("Go")
        assert words in reply.session.history[2]["content"]
        assert reply.session.history[2]["failed"] is True
        assert reply.text == "Sorry"


async def test_invalid_json_arguments_are_reported_to_the_model_and_kept(tmp_path: Path) -> None:
    broken = {"id": "x", "type": "function", "function": {"name": "list_files", "arguments": '{"path": '}}
    llm = ScriptedLLM([{"role": "assistant", "content": "", "tool_calls": [broken]}, "Sorry"])
    async with open_env(tmp_path, llm) as env:
        reply = await env["scout"].receive("Go")
        assert "not valid JSON" in reply.session.history[2]["content"]
        assert reply.session.history[1]["tool_calls"] == [broken]
        assert violations(list(llm.requests[1].messages)) == []


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


async def test_events_are_complete_and_in_order(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("scout", {"message": "Look"})), "A tree", "A tree!"])
    async with open_env(tmp_path, llm) as env:
        events = [event async for event in env["boss"].stream("Go")]
        story = [(type(event), event.path) for event in events if not isinstance(event, TextDelta)]
        boss, scout = ("boss",), ("boss", "scout")
        assert story == [
            (TurnStarted, boss),
            (MessageSaved, boss),
            (BudgetUpdated, boss),
            (MessageSaved, boss),
            (ToolCallStarted, boss),
            (TurnStarted, scout),
            (MessageSaved, scout),
            (BudgetUpdated, scout),
            (MessageSaved, scout),
            (TurnEnded, scout),
            (ToolCallEnded, boss),
            (MessageSaved, boss),
            (BudgetUpdated, boss),
            (MessageSaved, boss),
            (TurnEnded, boss),
        ]
        assert "".join(e.text for e in events if isinstance(e, TextDelta) and e.path == scout) == "A tree"


async def test_retry_answers_again_and_keeps_the_old_answer(tmp_path: Path) -> None:
    llm = ScriptedLLM(["old", "new", "next"])
    async with open_env(tmp_path, llm) as env:
        po = env["scout"]
        await po.receive("Go")
        assert (await po.retry()).text == "new"
        await po.receive("Then?")
        assert [m["content"] for m in llm.requests[1].messages[1:]] == ["Go"]
        assert [m["content"] for m in llm.requests[2].messages[1:]] == ["Go", "new", "Then?"]
        assert [m["content"] for m in po.session_manager.current().history][1:3] == ["old", "new"]


async def test_a_retry_after_a_failure_sends_the_message_once(tmp_path: Path) -> None:
    llm = ScriptedLLM([RateLimited("wait"), "answer"])
    async with open_env(tmp_path, llm) as env:
        with pytest.raises(RateLimited):
            await env["scout"].receive("Go")
        assert (await env["scout"].retry()).text == "answer"
        assert [m["content"] for m in env["scout"].session_manager.current().history] == ["Go", "answer"]


async def test_retry_of_an_empty_session_is_an_error(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM()) as env:
        with pytest.raises(PromptObjectsError, match="nothing to reply to"):
            await env["scout"].retry()


async def test_messages_of_another_writer_during_a_turn_are_kept(tmp_path: Path) -> None:
    def interfere(request: Request) -> str:
        other = env["scout"].session_manager.get(session.id)
        other.append({"role": "user", "content": "me too"})
        return "answer"

    async with open_env(tmp_path, ScriptedLLM([interfere])) as env:
        session = env["scout"].session_manager.create("Shared")
        await env["scout"].receive("Go", session=session)
        fresh = env.session_manager.get(session.id)
        assert [m["content"] for m in fresh.history] == ["Go", "me too", "answer"]


async def test_calls_interrupted_by_a_kill_get_an_unknown_result(tmp_path: Path) -> None:
    llm = ScriptedLLM(["on we go"])
    async with open_env(tmp_path, llm) as env:
        session = env["scout"].session_manager.create("Crashed")
        orphan = {"id": "x", "type": "function", "function": {"name": "list_files", "arguments": "{}"}}
        session.append(
            {"role": "user", "content": "Go"}, {"role": "assistant", "content": "", "tool_calls": [orphan]}
        )
        events = [event async for event in env["scout"].stream("Still there?", session=session)]
        assert any(isinstance(event, Notice) and "unknown" in event.text for event in events)
        assert [m["role"] for m in session.history] == ["user", "assistant", "tool", "user", "assistant"]
        assert violations([{k: m[k] for k in m if k != "at"} for m in session.history]) == []


async def test_disk_error_ends_the_turn_with_an_error(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM(["Hi"])) as env:
        session = env["scout"].session_manager.current()
        path = next(env.data_dir.glob("sessions/0*.json"))
        path.unlink()
        with pytest.raises(PromptObjectsError):
            await env["scout"].receive("Go", session=session)


class Steps:
    """A model that counts how often the loop yielded to others, so that a test can cancel at each of these points."""

    model = "steps"

    def __init__(self, replies: Iterable[Scripted]) -> None:
        self._scripted = ScriptedLLM(replies)

    async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        async for part in self._scripted.stream(request):
            await asyncio.sleep(0)
            yield part

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("point", range(0, 60, 3))
async def test_cancelled_at_any_point_the_histories_are_valid(tmp_path: Path, point: int) -> None:
    two = calls(("scout", {"message": "north"}), ("read_file", {"path": "objects/boss.yaml"}), text="I ask")
    llm = Steps([two, calls(("list_files", {})), "trees", "All seen"])
    async with open_env(tmp_path, llm) as env:
        turn = asyncio.create_task(env["boss"].receive("Go"))
        for _ in range(point):
            await asyncio.sleep(0.0005)
            if turn.done():
                break
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn
        for info in env.session_manager.list():
            history = list(env.session_manager.get(info.id).history)
            plain = [{k: v for k, v in m.items() if k != "at"} for m in history]
            assert violations(plain) == []
            assert request_violations(sent_messages("p", history)) == []


def test_receive_sync_is_for_scripts(tmp_path: Path) -> None:
    with open_env(tmp_path, ScriptedLLM(["Hi", "Again"])) as env:
        assert env["scout"].receive_sync("Hello").text == "Hi"
        assert env["scout"].receive_sync("Hello").text == "Again"


async def test_receive_sync_inside_an_event_loop_says_what_to_do(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM()) as env:
        with pytest.raises(PromptObjectsError, match="event loop"):
            env["scout"].receive_sync("Hello")


async def test_only_the_role_user_is_received(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM()) as env:
        with pytest.raises(PromptObjectsError, match="role"):
            await env["scout"].receive({"role": "assistant", "content": "I am you"})


async def test_a_tool_that_returns_no_text_or_is_cancelled_is_reported_to_the_model(tmp_path: Path) -> None:
    async def number(_arguments: dict[str, Any], _context: Context) -> str:
        return 7  # type: ignore[return-value]

    async def gives_up(_arguments: dict[str, Any], _context: Context) -> str:
        raise asyncio.CancelledError

    tools = [Tool("number", "", {"type": "object"}, number), Tool("gives_up", "", {"type": "object"}, gives_up)]
    llm = ScriptedLLM([calls(("number", {}), ("gives_up", {})), "Sorry"])
    async with open_env(tmp_path, llm) as env:
        session = env["scout"].session_manager.current()
        assert (await turn_with(env, tools, session, llm)).text == "Sorry"
        assert [
            "instead of text" in session.history[2]["content"],
            "cancelled itself" in session.history[3]["content"],
        ] == [True, True]


async def test_a_cancelled_call_says_whether_it_had_started(tmp_path: Path) -> None:
    objects = {"scout": "name: scout\nlimits: {parallel: 1}\nprompt: Look.\n"}
    started = asyncio.Event()

    async def waits(_arguments: dict[str, Any], _context: Context) -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    tool = Tool("waits", "", {"type": "object"}, waits)
    llm = ScriptedLLM([calls(("waits", {}), ("waits", {}))])
    async with open_env(tmp_path, llm, objects) as env:
        session = env["scout"].session_manager.current()
        turn = asyncio.create_task(turn_with(env, [tool], session, llm))
        await started.wait()
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn
        first, second = (m for m in session.history if m["role"] == "tool")
        assert "unknown" in first["content"]
        assert "had no effect" in second["content"]
        assert first["failed"] is second["failed"] is True


async def test_answer_restores_a_session_that_was_deleted_meanwhile(tmp_path: Path) -> None:
    """A session that another process deletes during a turn is restored with the reply."""

    def delete(_request: Request) -> str:
        env.session_manager.delete(session.id)
        return "I was still talking"

    async with open_env(tmp_path, ScriptedLLM([delete])) as env:
        session = env["scout"].session_manager.create("Notes")
        with env.bus.subscribe() as news:
            await env["scout"].receive("Go", session=session)
            (notice,) = (event.text for event in news.drain() if isinstance(event, Notice))
        back = env["scout"].session_manager.get("Notes")
        assert [m["content"] for m in back.history] == ["Go", "I was still talking"]
        assert notice.startswith("Notes was deleted by another process")
        assert notice.endswith("was restored from the trash, as Notes.")


async def test_an_answer_that_cannot_be_saved_as_its_session_is_purged_says_so(tmp_path: Path) -> None:
    def purge(_request: Request) -> str:
        env.session_manager.delete(session.id)
        env.storage.store.purge(session.id)
        return "I was still talking"

    async with open_env(tmp_path, ScriptedLLM([purge])) as env:
        session = env["scout"].session_manager.create("Notes")
        with pytest.raises(NotSaved, match=r"Notes was deleted by .*, permanently: .* not be saved") as caught:
            await env["scout"].receive("Go", session=session)
        assert (caught.value.reply.text, caught.value.reply.usage) == ("I was still talking", Usage(2, 4))
        assert caught.value.kept
        (record,) = env.storage.unsaved.recover(env.storage.store)
        assert [message["content"] for message in Session(env.storage.store, record).history] == [
            "Go",
            "I was still talking",
        ]


async def test_an_answer_for_an_environment_that_was_moved_meanwhile_is_offered_at_its_new_place(
    tmp_path: Path,
) -> None:
    def move(_request: Request) -> str:
        (tmp_path / "old").rename(tmp_path / "new")
        return "a paid answer"

    async with open_env(tmp_path / "old", ScriptedLLM([move])) as env:
        with pytest.raises(NotSaved, match="was moved or replaced while it was in use"):
            await env["scout"].receive("Go")
    assert not (tmp_path / "old").exists()
    with Environment.open(tmp_path / "new", environ={}) as env:
        (notice,) = env.storage.unsaved_notices()
        assert "prompt-objects sessions recover" in notice
        env.storage.unsaved.recover(env.storage.store)
        assert env["scout"].session_manager.current().tail(1)[0]["content"] == "a paid answer"
        assert env.storage.unsaved_notices() == []


async def test_nothing_is_created_in_an_environment_that_took_the_place_of_an_open_one(tmp_path: Path) -> None:
    async with open_env(tmp_path / "old", ScriptedLLM(["never"])) as env:
        (tmp_path / "old").rename(tmp_path / "new")
        make_env(tmp_path / "old")
        with pytest.raises(StoreError, match="was moved or replaced"):
            await env["scout"].receive("Go")
    assert not (tmp_path / "old" / ".prompt_objects").exists()


async def test_turns_of_one_session_run_one_after_the_other(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("list_files", {})), "one", "two"], delay=0.01)
    async with open_env(tmp_path, llm) as env:
        scout = env["scout"]
        session = scout.session_manager.current()
        replies = await asyncio.gather(
            scout.receive("First", session=session), scout.receive("Second", session=scout.session_manager.current())
        )
        assert [reply.text for reply in replies] == ["one", "two"]
        texts = [m["content"] for m in scout.session_manager.current().history]
        assert [texts[0], *texts[3:]] == ["First", "one", "Second", "two"]


async def test_a_retry_keeps_what_another_window_added(tmp_path: Path) -> None:
    def interfere(_request: Request) -> str:
        scout.session_manager.get(session.id).append({"role": "user", "content": "from elsewhere"})
        return "new"

    llm = ScriptedLLM(["old", interfere, "next"])
    async with open_env(tmp_path, llm) as env:
        scout = env["scout"]
        session = scout.session_manager.current()
        await scout.receive("Go", session=session)
        await scout.retry(session=session)
        await scout.receive("Then?", session=session)
        sent = [m["content"] for m in llm.requests[-1].messages[1:]]
        assert sent == ["Go\n\nfrom elsewhere", "new", "Then?"]


LIMITED = {
    "boss": "name: boss\ncapabilities: [scout]\nlimits: {requests: 4}\nprompt: You ask.\n",
    "scout": "name: scout\ncapabilities: [list_files]\nprompt: You look.\n",
}


async def test_requests_of_a_delegate_count_for_its_caller_which_sums_up(tmp_path: Path) -> None:
    look = calls(("list_files", {}))
    llm = ScriptedLLM([calls(("scout", {"message": "Look"})), look, look, look, "All in all: little."])
    async with open_env(tmp_path, llm, LIMITED) as env:
        reply = await env["boss"].receive("Go")
        assert reply.text == "All in all: little."
        assert "boss's limit of 4 requests is reached" in reply.session.history[2]["content"]
        (child,) = env["scout"].session_manager.list()
        assert request_violations(sent_messages("", env.session_manager.get(child.id).history)) == []
        assert len(llm.requests) == 5


async def test_second_delegate_gets_no_new_limit(tmp_path: Path) -> None:
    ask = calls(("scout", {"message": "Look"}))
    llm = ScriptedLLM([ask, "One", ask, "Two", "That is all."])
    async with open_env(tmp_path, llm, LIMITED) as env:
        assert (await env["boss"].receive("Go")).text == "That is all."
        assert not llm.requests[-1].tools


async def test_parallel_delegates_stay_within_the_requests_of_their_caller(tmp_path: Path) -> None:
    def answer(request: Request) -> str | dict[str, Any]:
        if not request.tools:
            return "Enough."
        if any("You ask" in str(m["content"]) for m in request.messages):
            return calls(*[("scout", {"message": f"Look {number}"}) for number in range(8)])
        return calls(("list_files", {}))

    objects = {**LIMITED, "boss": LIMITED["boss"].replace("requests: 4", "requests: 9, parallel: 8")}
    llm = ScriptedLLM([answer for _ in range(30)])
    async with open_env(tmp_path, llm, objects) as env:
        assert (await env["boss"].receive("Go")).text == "Enough."
        assert len(llm.requests) == 10
        for info in env["scout"].session_manager.list():
            assert request_violations(sent_messages("", env.session_manager.get(info.id).history)) == []


async def test_time_limit_stops_running_calls_and_keeps_the_partial_answer(tmp_path: Path) -> None:
    stopped: list[str] = []

    async def dawdle(arguments: dict[str, Any], context: Context) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append("yes")
            raise
        return "never"

    objects = {"scout": "name: scout\nlimits: {seconds: 0.3}\nprompt: Look.\n"}
    tool = Tool("dawdle", "Takes its time", {"type": "object", "properties": {}}, dawdle)
    llm = ScriptedLLM([calls(("dawdle", {})), "Time was short."])
    async with open_env(tmp_path, llm, objects) as env:
        session = env["scout"].session_manager.current()
        reply = await turn_with(env, [tool], session, llm)
        assert reply.text == "Time was short."
        assert stopped == ["yes"]
        assert "scout's limit of 0.3 seconds is reached" in session.history[2]["content"]


async def test_the_cost_of_an_answer_is_kept_with_it(tmp_path: Path) -> None:
    config = (
        "model: cheap\nmodels:\n  cheap: {model: rehearsal, base_url: 'http://127.0.0.1:9/v1', "
        "prices: {prompt: 1, completion: 2}}\n"
    )
    (tmp_path / "environment.yaml").write_text(config)
    async with open_env(tmp_path, ScriptedLLM([]), LIMITED) as env:
        pass
    env = Environment.open(tmp_path, environ={})
    pricing = env.models.connection_for(env["scout"].definition).pricing
    assert pricing(Usage(prompt=1_000_000, completion=500_000)) == 2.0
    await env.disconnect()
    env.close()


async def test_cancelled_turn_reports_a_message_that_was_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_env(tmp_path, ScriptedLLM(["unused"])) as env:
        session = env["scout"].session_manager.current()
        began = threading.Event()

        def refuse(*_: object, **__: object) -> None:
            began.set()
            time.sleep(0.1)
            raise StoreError("The database cannot be reached.")

        monkeypatch.setattr(env.storage.store, "append", refuse)
        with env.bus.subscribe() as news:
            task = asyncio.create_task(env["scout"].receive("Hello", None, session))
            await asyncio.to_thread(began.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            notices = [event.text for event in news.drain() if isinstance(event, Notice)]
        assert notices == ["Not saved: The database cannot be reached."]


async def test_a_tool_that_raises_an_unprintable_or_system_exit_error_is_reported_to_the_model(
    tmp_path: Path,
) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise IndexError

    async def ends(_arguments: dict[str, Any], _context: Context) -> str:
        sys.exit(2)

    async def mutes(_arguments: dict[str, Any], _context: Context) -> str:
        raise Mute

    tools = [Tool("ends", "", {"type": "object"}, ends), Tool("mutes", "", {"type": "object"}, mutes)]
    llm = ScriptedLLM([calls(("ends", {}), ("mutes", {})), "I see."])
    async with open_env(tmp_path, llm) as env:
        session = env["scout"].session_manager.current()
        await turn_with(env, tools, session, llm)
        assert session.history[2]["content"] == "Error: ends failed: SystemExit: 2"
        assert session.history[3]["content"] == "Error: mutes failed: Mute"


async def test_a_call_cancelled_during_its_approval_had_no_effect(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def ask(_question: object) -> Decision:
        asked.set()
        await asyncio.Event().wait()
        return "once"

    objects = {"scribe": "name: scribe\ncapabilities: [write_file]\nprompt: Write.\n"}
    llm = ScriptedLLM([calls(("write_file", {"path": "a.txt", "content": "a"}))])
    async with open_env(tmp_path, llm, objects) as env:
        env.interaction.handler = Answers(approve=ask)
        turn = asyncio.create_task(env["scribe"].receive("Go"))
        await asked.wait()
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn
        assert "had no effect" in env["scribe"].session_manager.current().history[-1]["content"]


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
