"""A turn that is cancelled, stopped or killed at any await leaves histories that every server accepts.

The event loop runs the work of its threads immediately, so that a turn takes the same steps each time; then it is
interrupted at each of them. Two prompt objects are called in parallel, and one of them calls a third.
"""

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import PromptObjectsError
from prompt_objects.message import Message
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import MessageSaved
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from tests.support.environments import llm_by_name, make_env
from tests.support.messages import sent_messages
from tests.support.strict_protocol import request_violations, violations

OBJECTS = {
    "head": "name: head\ncapabilities: [left, right, look]\nprompt: You are head.\n",
    "left": "name: left\ncapabilities: [deep, look]\nprompt: You are left.\n",
    "right": "name: right\ncapabilities: [look]\nprompt: You are right.\n",
    "deep": "name: deep\ncapabilities: [look]\nprompt: You are deep.\n",
}


class AtOnce(ThreadPoolExecutor):
    """Runs the work of threads in the thread of the loop, so that nothing depends on scheduling."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is the caller's, as with any executor
            future.set_exception(error)
        return future


class Steps:
    """Counts the steps of a loop, and acts at one of them."""

    def __init__(self, at: int | None, act: Callable[[], object]) -> None:
        self.taken = 0
        self._at = at
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._step()

    def _step(self) -> None:
        if self.taken == self._at:
            self._act()
        self.taken += 1
        self._handle = self._loop.call_soon(self._step)

    def end(self) -> int:
        self._handle.cancel()
        return self.taken


async def look(_arguments: dict[str, Any], _context: Context) -> str:
    await asyncio.sleep(0)
    return "seen"


def script() -> ScriptedLLM:
    looks = calls(("look", {}), ("look", {}))
    return llm_by_name(
        head=[calls(("left", {"message": "Go left"}), ("look", {}), ("right", {"message": "Go right"})), "All done."],
        left=[calls(("deep", {"message": "Dig"})), "Left done."],
        right=[looks, "Right done."],
        deep=[looks, "Deep done."],
    )


def opened(folder: Path, store: str | None, llm: ScriptedLLM) -> Environment:
    tool = Tool("look", "Look", {"type": "object", "properties": {}}, look)
    return Environment.open(folder, llm=llm, store=store, tools=[tool], environ={})


def stored_messages(env: Environment) -> list[tuple[str, Message]]:
    """Return every stored message, without its time, each with its session."""
    infos = env.session_manager.list()
    kept = [(info.id, message) for info in infos for message in env.session_manager.get(info.id).history]
    return [(session, {key: message[key] for key in message if key != "at"}) for session, message in kept]


def assert_valid(env: Environment) -> None:
    for info in env.session_manager.list():
        history = list(env.session_manager.get(info.id).history)
        assert violations(history) == [], (info.po_name, history)
        assert request_violations(sent_messages("prompt", history)) == []


async def run(env: Environment, at: int | None, act: "Callable[[asyncio.Task[Any]], object]") -> int:
    """Run a turn, act at one of its steps, and check its acknowledged and stored messages; return the steps."""
    asyncio.get_running_loop().set_default_executor(AtOnce())
    with env.bus.subscribe() as news:
        turn = asyncio.create_task(env["head"].receive("Go"))
        steps = Steps(at, lambda: act(turn))
        with suppress(asyncio.CancelledError, PromptObjectsError):
            await turn
        taken = steps.end()
        kept = stored_messages(env)
        for event in news.drain():
            if isinstance(event, MessageSaved):
                assert kept.count((event.session_id, event.message)) == 1
    assert not list(env.active_turns)
    assert_valid(env)
    return taken


async def steps_of(folder: Path) -> int:
    """Return the number of steps of an uninterrupted turn."""
    async with opened(folder, "memory:", script()) as env:
        taken = await run(env, None, lambda _: None)
        assert [message["content"] for _, message in stored_messages(env)].count("All done.") == 1
        return taken


def stop(env: Environment, po_name: str) -> None:
    for turn in env.active_turns.of(po_name):
        turn.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_env(tmp_path / "home", OBJECTS)


async def test_a_turn_cancelled_at_any_await_leaves_valid_histories(folder: Path) -> None:
    for at in range(await steps_of(folder)):
        async with opened(folder, "memory:", script()) as env:
            await run(env, at, lambda turn: turn.cancel())


@pytest.mark.parametrize("name", ["left", "right", "deep"])
async def test_a_turn_stopped_at_any_await_leaves_valid_histories_and_its_caller_a_result(
    folder: Path, name: str
) -> None:
    for at in range(await steps_of(folder)):
        async with opened(folder, "memory:", script()) as env:
            await run(env, at, lambda _: stop(env, name))
            assert [message["content"] for _, message in stored_messages(env)].count("All done.") == 1


async def test_a_stop_and_a_cancellation_in_the_same_step_leave_valid_histories(folder: Path) -> None:
    def act(turn: "asyncio.Task[Any]") -> None:
        stop(env, "left")
        turn.cancel()

    for at in range(await steps_of(folder)):
        async with opened(folder, "memory:", script()) as env:
            await run(env, at, act)


async def test_next_turn_repairs_the_history_after_a_kill_at_any_await(folder: Path, tmp_path: Path) -> None:
    snapshots: list[Path] = []

    def snapshot() -> None:
        at = tmp_path / f"killed{len(snapshots)}"
        shutil.copytree(folder, at)
        snapshots.append(at)

    async with opened(folder, None, script()) as env:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        turn = asyncio.create_task(env["head"].receive("Go"))
        known = -1
        while not turn.done():
            if len(kept := stored_messages(env)) != known:  # in between nothing changes on the disk
                known = len(kept)
                snapshot()
            await asyncio.sleep(0)
    assert len(snapshots) > 10
    for killed in snapshots:
        async with opened(killed, None, ScriptedLLM(["Here again."])) as env:
            before = stored_messages(env)
            reply = await env["head"].receive("Still there?")
            assert reply.text == "Here again."
            assert all(entry in stored_messages(env) for entry in before)
            assert violations(list(reply.session.history)) == []
