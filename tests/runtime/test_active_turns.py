"""Running turns take steering messages, can be stopped, and can be resumed after an interruption."""

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import Stopped, StoreError, UsageError
from prompt_objects.llm.base import Request
from prompt_objects.message import OUTCOME_UNKNOWN, Message
from prompt_objects.runtime.active_turns import ActiveTurn
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import Notice, TurnEnded
from prompt_objects.sessions.steering import SteeringQueue
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from tests.support.environments import llm_by_name, open_env
from tests.support.strict_protocol import violations

OBJECTS = {
    "head": "name: head\ncapabilities: [scout, other]\nprompt: You are head.\n",
    "scout": "name: scout\ncapabilities: [dawdle]\nprompt: You are scout.\n",
    "other": "name: other\nprompt: You are other.\n",
}


class Dawdle:
    """A tool that runs until it is released."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        self.tool = Tool("dawdle", "Takes its time", {"type": "object", "properties": {}}, self._run)

    async def has_started(self, turn: "asyncio.Task[Any]") -> None:
        """Wait until the tool is called; fail if the turn ends before."""
        beginning = asyncio.ensure_future(self.began.wait())
        await asyncio.wait([beginning, turn], return_when=asyncio.FIRST_COMPLETED)
        assert beginning.done(), turn.exception()

    async def _run(self, _arguments: dict[str, Any], _context: Context) -> str:
        self.began.set()
        await self.ended.wait()
        return "done"


def contents_of(history: list[Message]) -> list[tuple[str, str]]:
    return [(message["role"], str(message["content"])) for message in history if message["content"]]


async def test_turn_of_a_draft_accepts_no_steering_message(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM(), OBJECTS) as env:
        draft = env["scout"].session_manager.draft("Notes")
        unread = SteeringQueue(env.storage.workspace, draft.id)
        live = ActiveTurn(("scout",), draft, unread)
        assert not live.steer("Too early")
        draft.append({"role": "user", "content": "Look"})
        assert unread.undelivered(draft) == []
        assert live.steer("Now")
        assert [message["content"] for message in unread.undelivered(draft)] == ["Now"]


async def test_steering_message_during_a_tool_call_is_in_the_next_request(tmp_path: Path) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> str:
        asked.append(request)
        return "Blue then."

    dawdle = Dawdle()
    async with open_env(tmp_path, ScriptedLLM([calls(("dawdle", {})), answer]), OBJECTS, [dawdle.tool]) as env:
        turn = asyncio.create_task(env["scout"].receive("Paint it red"))
        await dawdle.has_started(turn)
        (live,) = env.active_turns
        assert (live.path, live.po_name) == (("scout",), "scout")
        assert env.active_turns.in_session(live.session.id) is live
        assert live.steer("No, blue")
        assert live.waiting == ["No, blue"]
        dawdle.ended.set()
        reply = await turn
        assert reply.text == "Blue then."
        assert contents_of(list(reply.session.history)) == [
            ("user", "Paint it red"),
            ("tool", "done"),
            ("user", "No, blue"),
            ("assistant", "Blue then."),
        ]
        assert asked[0].messages[-1] == {"role": "user", "content": "No, blue"}
        assert not list(env.active_turns)
        assert not live.steer("Too late")


async def test_steering_message_during_the_last_answer_is_answered(tmp_path: Path) -> None:
    def answer(request: Request) -> str:
        (live,) = env.active_turns
        assert live.steer("And why?")
        return "Red."

    async with open_env(tmp_path, ScriptedLLM([answer, "Because."]), OBJECTS) as env:
        reply = await env["other"].receive("Which colour?")
        assert reply.text == "Because."
        assert [text for _, text in contents_of(list(reply.session.history))] == [
            "Which colour?",
            "Red.",
            "And why?",
            "Because.",
        ]


async def test_unread_steering_message_is_kept_when_the_turn_is_cancelled(tmp_path: Path) -> None:
    dawdle = Dawdle()
    async with open_env(tmp_path, ScriptedLLM([calls(("dawdle", {}))]), OBJECTS, [dawdle.tool]) as env:
        turn = asyncio.create_task(env["scout"].receive("Go"))
        await dawdle.has_started(turn)
        (live,) = env.active_turns
        live.steer("Wait")
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        history = list(live.session.history)
        assert [message["role"] for message in history] == ["user", "assistant", "tool", "user"]
        assert not violations(history)


async def test_stopping_a_delegate_stops_only_it_and_its_caller_gets_an_error(tmp_path: Path) -> None:
    dawdle = Dawdle()
    both = calls(("scout", {"message": "Look"}), ("other", {"message": "Help"}))
    llm = llm_by_name(head=[both, "Without the scout, then."], scout=[calls(("dawdle", {}))], other=["Here."])
    async with open_env(tmp_path, llm, OBJECTS, [dawdle.tool]) as env:
        with env.bus.subscribe() as news:
            turn = asyncio.create_task(env["head"].receive("Go"))
            await dawdle.has_started(turn)
            (child,) = env.active_turns.of("scout")
            assert child.path == ("head", "scout")
            await asyncio.to_thread(child.stop)
            child.stop()
            reply = await turn
            events = list(news.drain())
        assert reply.text == "Without the scout, then."
        results = [message["content"] for message in reply.session.history if message["role"] == "tool"]
        assert results[0].startswith("Error: The user stopped scout before it replied.")
        assert results[1] == "Here."
        ended = {event.po_name: event.outcome for event in events if isinstance(event, TurnEnded)}
        assert ended == {"other": "answered", "scout": "cancelled", "head": "answered"}
        assert not violations(list(child.session.history))
        assert child.session.history[-1]["content"] == "Cancelled before it ended; whether it took effect is unknown."


class Tidies(Dawdle):
    """A tool that finishes its cleanup after a stop, even if it is cancelled again."""

    def __init__(self) -> None:
        super().__init__()
        self.tidies = asyncio.Event()

    async def _run(self, arguments: dict[str, Any], context: Context) -> str:
        try:
            return await super()._run(arguments, context)
        finally:
            self.tidies.set()
            tidied = asyncio.get_running_loop().time() + 0.2
            while asyncio.get_running_loop().time() < tidied:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.02)


async def test_stop_during_the_clean_up_of_a_delegate_stops_no_other_turn(tmp_path: Path) -> None:
    tidies = Tidies()
    objects = {**OBJECTS, "head": "name: head\ncapabilities: [scout]\nlimits: {seconds: 1}\nprompt: You are head.\n"}
    llm = llm_by_name(head=[calls(("scout", {"message": "Look"})), "Time was short."], scout=[calls(("dawdle", {}))])
    async with open_env(tmp_path, llm, objects, [tidies.tool]) as env:
        turn = asyncio.create_task(env["head"].receive("Go"))
        await tidies.has_started(turn)
        await asyncio.wait_for(tidies.tidies.wait(), 5)
        for child in env.active_turns.of("scout"):
            child.stop()
        assert (await turn).text == "Time was short."


async def test_top_level_turn_can_be_stopped(tmp_path: Path) -> None:
    dawdle = Dawdle()
    async with open_env(tmp_path, ScriptedLLM([calls(("dawdle", {}))]), OBJECTS, [dawdle.tool]) as env:
        turn = asyncio.create_task(env["scout"].receive("Go"))
        await dawdle.has_started(turn)
        (live,) = env.active_turns
        live.stop()
        with pytest.raises(Stopped, match="stopped scout"):
            await turn


async def test_a_cancellation_of_everything_wins_over_a_stop(tmp_path: Path) -> None:
    dawdle = Dawdle()
    llm = llm_by_name(head=[calls(("scout", {"message": "Look"}))], scout=[calls(("dawdle", {}))])
    async with open_env(tmp_path, llm, OBJECTS, [dawdle.tool]) as env:
        turn = asyncio.create_task(env["head"].receive("Go"))
        await dawdle.has_started(turn)
        for live in env.active_turns:
            live.stop()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert not list(env.active_turns)
        for info in env.session_manager.list():
            assert not violations(list(env.session_manager.get(info.id).history))


async def test_interrupted_turn_is_resumed_where_it_stopped(tmp_path: Path) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> str:
        asked.append(request)
        return "Done."

    async with open_env(tmp_path, ScriptedLLM([answer]), OBJECTS, [Dawdle().tool]) as env:
        session = env["scout"].session_manager.current()
        lost = {"id": "c1", "type": "function", "function": {"name": "dawdle", "arguments": "{}"}}
        session.append({"role": "user", "content": "Go"}, {"role": "assistant", "content": "", "tool_calls": [lost]})
        reply = await env["scout"].resume()
        assert reply.text == "Done."
        assert [message["role"] for message in reply.session.history] == ["user", "assistant", "tool", "assistant"]
        assert asked[0].messages[-1] == {"role": "tool", "tool_call_id": "c1", "content": OUTCOME_UNKNOWN}
        with pytest.raises(UsageError, match="Nothing to resume"):
            await env["scout"].resume()
        assert reply.session.message_count == 4


async def test_steering_message_survives_a_crash_and_is_read_by_the_next_turn(tmp_path: Path) -> None:
    dawdle = Dawdle()
    async with open_env(tmp_path, ScriptedLLM([calls(("dawdle", {}))]), OBJECTS, [dawdle.tool]) as env:
        turn = asyncio.create_task(env["scout"].receive("Go"))
        await dawdle.has_started(turn)
        (live,) = env.active_turns
        live.steer("Not there!")
        killed = tmp_path.with_name("killed")
        shutil.copytree(tmp_path, killed)
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)
        assert SteeringQueue(env.storage.workspace, live.session.id).undelivered(live.session) == []
    llm = ScriptedLLM(["Then elsewhere.", "Yes."])
    async with Environment.open(killed, llm=llm, tools=[Dawdle().tool], environ={}) as env:
        reply = await env["scout"].resume()
        assert llm.requests[0].messages[-1] == {"role": "user", "content": "Not there!"}
        assert not violations(list(reply.session.history))
        await env["scout"].receive("Sure?")
        assert [text for _, text in contents_of(list(reply.session.history))].count("Not there!") == 1
        assert SteeringQueue(env.storage.workspace, reply.session.id).undelivered(reply.session) == []


async def test_steering_message_that_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    dawdle = Dawdle()
    async with open_env(tmp_path, ScriptedLLM([calls(("dawdle", {})), "Ok."]), OBJECTS, [dawdle.tool]) as env:
        turn = asyncio.create_task(env["scout"].receive("Go"))
        await dawdle.has_started(turn)
        (live,) = env.active_turns
        env.storage.workspace.parent.joinpath("workspace").write_text("in the way")
        with pytest.raises(StoreError):
            live.steer("Wait")
        assert live.waiting == []
        dawdle.ended.set()
        assert (await turn).text == "Ok."


async def test_steering_message_during_the_final_request_is_kept_and_the_user_notified(tmp_path: Path) -> None:
    def last_words(_: Request) -> str:
        (live,) = env.active_turns
        live.steer("And why?")
        return "Summed up."

    objects = {"scout": "name: scout\ncapabilities: [dawdle]\nlimits: {requests: 1}\nprompt: You are scout.\n"}
    dawdle = Dawdle()
    dawdle.ended.set()
    async with open_env(tmp_path, ScriptedLLM([calls(("dawdle", {})), last_words]), objects, [dawdle.tool]) as env:
        with env.bus.subscribe() as news:
            reply = await env["scout"].receive("Go")
            notices = [event.text for event in news.drain() if isinstance(event, Notice)]
        assert reply.session.history[-1]["content"] == "And why?"
        assert notices[-1] == "1 message arrived too late for this reply. To reply to them: /continue"
