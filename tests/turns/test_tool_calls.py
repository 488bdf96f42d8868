"""Tool calls that fail, end their task or are interrupted have a correct result."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.errors import LLMError, Unreachable
from prompt_objects.llm.base import Request
from prompt_objects.message import OUTCOME_UNKNOWN
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import ToolCallEnded
from prompt_objects.runtime.interaction import Decision
from prompt_objects.sessions.session import Session
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from tests.support.environments import llm_by_name, open_env
from tests.support.interaction import Answers
from tests.support.strict_protocol import violations

HOUSE = {
    "head": "name: head\ncapabilities: [scout]\nprompt: You are head.\n",
    "scout": "name: scout\ncapabilities: [odd]\nprompt: You are scout.\n",
}
NEVER_BEGUN = "Cancelled before it began; it had no effect."


class PanicException(BaseException):
    """The exception of extensions written in Rust."""


async def panics() -> str:
    raise PanicException("boo")


async def closes() -> str:
    raise GeneratorExit


async def raises_several() -> str:
    raise BaseExceptionGroup("several", [PanicException("a"), ValueError("b")])


async def cancels_itself() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return "never"


async def cancels_itself_last() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "never"


def odd(work: Callable[[], Awaitable[str]]) -> Tool:
    async def run(_arguments: dict[str, Any], _context: Context) -> str:
        return await work()

    return Tool("odd", "Odd", {"type": "object", "properties": {}}, run)


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (panics, "Error: odd failed: PanicException: boo"),
        (closes, "Error: odd failed: GeneratorExit: "),
        (raises_several, "Error: odd failed: BaseExceptionGroup: several (2 sub-exceptions)"),
        (cancels_itself, "Error: odd cancelled itself."),
        (cancels_itself_last, "Error: odd cancelled itself."),
    ],
)
async def test_a_tool_that_would_end_its_task_is_an_error_to_the_model_and_ends_nothing_else(
    tmp_path: Path, work: Callable[[], Awaitable[str]], error: str
) -> None:
    llm = llm_by_name(
        head=[calls(("scout", {"message": "Look"})), "All is well."], scout=[calls(("odd", {})), "Odd."]
    )
    async with open_env(tmp_path, llm, HOUSE, [odd(work)]) as env:
        with env.bus.subscribe() as news:
            reply = await env["head"].receive("Go")
            ended = [event.result for event in news.drain() if isinstance(event, ToolCallEnded)]
        assert reply.text == "All is well."
        assert ended == [error, "Odd."]


def test_an_interrupt_from_the_keyboard_ends_the_program_also_in_a_tool(tmp_path: Path) -> None:
    async def interrupted() -> str:
        raise KeyboardInterrupt

    async def go() -> None:
        async with open_env(tmp_path, ScriptedLLM([calls(("odd", {}))]), HOUSE, [odd(interrupted)]) as env:
            await env["scout"].receive("Go")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(go())


# Interrupted calls

LOST = {"id": "c1", "type": "function", "function": {"name": "odd", "arguments": "{}"}}


def interrupted(session: Session) -> Session:
    """Leave a call without a result in a session, as a killed program does."""
    session.append({"role": "user", "content": "Pay"}, {"role": "assistant", "content": "", "tool_calls": [LOST]})
    return session


async def dawdles() -> str:
    await asyncio.Event().wait()
    return "never"


def last(session: Session) -> tuple[str, object]:
    assert not violations(list(session.history))
    message = session.history[-1]
    return str(message["content"]), message.get("failed")


async def test_a_retry_that_fails_does_not_say_that_a_lost_call_had_no_effect(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM([Unreachable("No server.")]), HOUSE, [odd(dawdles)]) as env:
        session = interrupted(env["scout"].session_manager.current())
        with pytest.raises(LLMError):
            await env["scout"].retry(None, session)
        assert last(session) == (OUTCOME_UNKNOWN, None)


async def test_a_retry_that_is_stopped_does_not_say_that_a_lost_call_had_no_effect(tmp_path: Path) -> None:
    asked = threading.Event()

    def answer(_: Request) -> str:
        asked.set()
        return "never"

    llm = ScriptedLLM([answer], delay=60)
    async with open_env(tmp_path, llm, HOUSE, [odd(dawdles)]) as env:
        session = interrupted(env["scout"].session_manager.current())
        turn = asyncio.create_task(env["scout"].retry(None, session))
        await asyncio.to_thread(asked.wait)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert last(session) == (OUTCOME_UNKNOWN, None)


async def test_a_message_cut_off_at_any_await_does_not_say_that_a_lost_call_had_no_effect(tmp_path: Path) -> None:
    for at in range(0, 40, 3):
        async with open_env(tmp_path / str(at), ScriptedLLM(["Here."]), HOUSE, [odd(dawdles)]) as env:
            session = interrupted(env["scout"].session_manager.current())
            turn = asyncio.create_task(env["scout"].receive("Go", None, session))
            for _ in range(at):
                await asyncio.sleep(0)
            turn.cancel()
            with suppress(asyncio.CancelledError):
                await turn
            assert NEVER_BEGUN not in [message["content"] for message in session.history]


async def test_repeated_call_id_is_not_taken_for_the_earlier_call(tmp_path: Path) -> None:
    async def works() -> str:
        return "done"

    async def ask(_question: object) -> Decision:
        turn.cancel()
        await asyncio.Event().wait()
        return "once"

    write = {**LOST, "function": {"name": "write_file", "arguments": '{"path": "a.txt", "content": "a"}'}}
    objects = {"scout": "name: scout\ncapabilities: [odd, write_file]\nprompt: Look.\n"}
    llm = ScriptedLLM([{"tool_calls": [LOST]}, {"tool_calls": [write]}])
    async with open_env(tmp_path, llm, objects, [odd(works)]) as env:
        env.interaction.handler = Answers(approve=ask)
        session = env["scout"].session_manager.current()
        turn = asyncio.create_task(env["scout"].receive("Go", None, session))
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert session.history[-1]["content"] == NEVER_BEGUN


async def test_event_and_history_agree_about_a_call_stopped_at_its_approval(tmp_path: Path) -> None:
    async def ask(_question: object) -> Decision:
        turn.cancel()
        await asyncio.Event().wait()
        return "once"

    objects = {"scout": "name: scout\ncapabilities: [write_file]\nprompt: Look.\n"}
    llm = ScriptedLLM([calls(("write_file", {"path": "a.txt", "content": "a"}))])
    async with open_env(tmp_path, llm, objects) as env:
        env.interaction.handler = Answers(approve=ask)
        session = env["scout"].session_manager.current()
        with env.bus.subscribe() as news:
            turn = asyncio.create_task(env["scout"].receive("Go", None, session))
            with pytest.raises(asyncio.CancelledError):
                await turn
            (ended,) = [event for event in news.drain() if isinstance(event, ToolCallEnded)]
        assert last(session) == (ended.result, ended.failed) == (NEVER_BEGUN, True)
