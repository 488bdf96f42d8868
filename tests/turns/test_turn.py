"""A turn saves every message first, and leaves a valid history however it ends."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.errors import PromptObjectsError, RateLimited
from prompt_objects.llm.base import Completion, Request, TextChunk
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import (
    BudgetUpdated,
    MessageSaved,
    Notice,
    TextDelta,
    ToolCallEnded,
    ToolCallStarted,
    TurnEnded,
    TurnStarted,
)
from prompt_objects.runtime.interaction import Decision
from prompt_objects.testing import Scripted, ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from tests.support.environments import open_env
from tests.support.interaction import Answers
from tests.support.messages import sent_messages
from tests.support.strict_protocol import request_violations, violations
from tests.support.turns import turn_with


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
