"""One turn: a message in, the loop of model and capabilities, a reply out.

The store is the truth: every message is saved, durably, before anything follows from it, and whatever ends a
turn (an answer, an error, the person) leaves a history in which every call has its result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal, TypeAlias

from msgspec import Struct

from prompt_objects.config.definition import Definition
from prompt_objects.errors import LimitReached, PromptObjectsError, UsageError
from prompt_objects.llm.base import Usage
from prompt_objects.llm.fallback import FallbackChain
from prompt_objects.message import (
    OUTCOME_UNKNOWN,
    Message,
    calls_of,
    is_unfinished,
    result_of,
    text_of,
    unanswered_calls,
)
from prompt_objects.runtime.active_turns import ActiveTurn
from prompt_objects.runtime.context import Context, notice, publish
from prompt_objects.runtime.events import TurnEnded, TurnStarted
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.workspace import SteeringQueue
from prompt_objects.tools.base import Tool
from prompt_objects.turns.message_writer import MessageWriter
from prompt_objects.turns.model_calls import ModelCalls
from prompt_objects.turns.tool_calls import ToolCalls
from prompt_objects.utils.concurrency import uninterrupted
from prompt_objects.utils.text import pluralize

__all__ = [
    "Reply",
    "Turn",
    "TurnInput",
    "TurnResources",
]

TurnInput: TypeAlias = Message | Literal["retry", "resume"]
"""What a turn answers: a message, the last one anew, or what an interrupted turn left unanswered."""


class TurnResources(Struct, frozen=True):
    """What a turn works with: models to ask, and capabilities by name."""

    lineup: FallbackChain
    tools: Mapping[str, Tool]


class Reply(Struct, frozen=True):
    """What a turn answered: its text, the session it stands in, and the model and tokens of this turn itself."""

    text: str
    session: Session
    model: str
    usage: Usage


class Turn:
    """The state of one `receive`; two turns at once share only what their surroundings hold, as the store."""

    def __init__(
        self,
        definition: Definition,
        context: Context,
        session: Session,
        session_manager: SessionManager,
    ) -> None:
        assert context.budget is not None  # noqa: S101 - `Context.enter` has made it
        self.definition = definition
        self.context = context
        self.session = session
        self.budget = context.budget
        self.steering = SteeringQueue(context.services.workspace, session.id)
        self.active = ActiveTurn(context.path, session, self.steering)
        self.writer = MessageWriter(context, session, session_manager)
        self.tool_calls = ToolCalls(context, self.budget, self.writer, definition.limits.parallel)
        self.model_calls = ModelCalls(definition, context, session, self.budget, self.writer)

    async def run(self, start: TurnInput, equip: Callable[[], Awaitable[TurnResources]]) -> Reply:
        """Answer a message, or answer the last one anew, or go on where an interrupted turn stopped.

        The message is saved before a model is looked for, or a server of tools started. Raises `LLMError`,
        `StoreError`, `LimitReached` where the budget of a turn above is used up, `Stopped` where a person stopped
        this turn alone, or `asyncio.CancelledError`, each after what is missing in the history has been filled in.
        """
        publish(self.context, TurnStarted, call_id=self.context.call_id)
        with self.context.services.active_turns.registered(self.active):
            try:
                await self._begin(start)
                equipment = await equip()
                self.tool_calls.tools = equipment.tools
                reply = await self._answer(equipment.lineup)
                await self._end_unread()
            except BaseException as error:
                await self._break_off(error)
                raise
        publish(self.context, TurnEnded, outcome="answered")
        return reply

    async def _begin(self, start: TurnInput) -> None:
        await self.writer.report_external()
        saved = await self.writer.save_from(lambda: self._opening_messages(start))
        if lost := sum(message.get("role") == "tool" for message in saved):  # all else that is saved first was said
            told = "Left without a result by an interrupted turn, and marked as unknown"
            notice(self.context, f"{told}: {pluralize(lost, 'call')}.")
        await self._forget_unread(saved)

    def _opening_messages(self, start: TurnInput) -> list[Message]:
        """Return what is to be saved first: also what a turn that was cut off did not know, or not read any more."""
        left = self.steering.undelivered(self.session)
        history = [*self.session.history, *left]
        if start == "retry":
            self._rewind_for_retry(history)
            return left
        lost = [result_of(call, OUTCOME_UNKNOWN, failed=None) for call in unanswered_calls(self.session.history)]
        if start != "resume":
            return [*lost, *left, start]
        if not is_unfinished(history):
            problem = "There is nothing to go on with: no message is left without an answer."
            raise UsageError(problem, hint="/retry answers the last one anew, also where the answer was cut off.")
        return [*lost, *left]

    def _rewind_for_retry(self, history: list[Message]) -> None:
        """Go back to the last message that was asked; what had been answered is kept, but no longer counts."""
        asked = [index for index, message in enumerate(history) if message.get("role") == "user"]
        if not asked:
            raise UsageError("There is nothing to answer yet.", hint="Send a message first.")
        if asked[-1] + 1 < len(history):
            self.writer.replaces = (asked[-1] + 1, len(history))

    async def _save(self, words: list[Message]) -> None:
        """Take messages into the session, among them those that waited to be read."""
        await self.writer.save(*words)
        await self._forget_unread(words)

    async def _forget_unread(self, saved: Sequence[Message]) -> None:
        if any("steers" in message for message in saved):
            await asyncio.to_thread(self.steering.remove, saved)

    async def _answer(self, lineup: FallbackChain) -> Reply:
        """Let the model speak and call until there is an answer, or a limit is reached."""
        try:
            while True:
                await self._save(self.active.take_steering())
                message = await self.model_calls.complete(lineup, list(self.tool_calls.tools.values()))
                calls = calls_of(message)
                if calls:
                    await self.tool_calls.run(calls)
                elif self.active.try_finish():
                    return self._reply(message)
        except LimitReached as limit:
            if limit.budget is not self.budget:  # the turn whose limit it is will sum up
                raise
            notice(self.context, f"{limit} It sums up.")
            return self._reply(await self.model_calls.complete(lineup, [], limit))

    def _reply(self, message: Message) -> Reply:
        return Reply(text_of(message), self.session, str(message["model"]), self.model_calls.usage)

    async def _end_unread(self) -> None:
        """Keep what came too late to be read, and say so."""
        if words := self.active.end():
            await self._save(words)
            notice(self.context, f"Came too late to be read: {pluralize(len(words), 'message')}. /continue answers.")

    async def _break_off(self, error: BaseException) -> None:
        """Leave a valid history behind; raises `Stopped` where that is what happened."""
        self.active.close()
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and isinstance(error.__cause__, PromptObjectsError):
            notice(self.context, f"Not saved: {error.__cause__}")
        try:
            await uninterrupted(self._complete_history())
        finally:
            publish(self.context, TurnEnded, outcome="cancelled" if cancelled else "failed", error=str(error))
        if isinstance(error, asyncio.CancelledError):
            self.active.check_stopped(error)

    async def _complete_history(self) -> None:
        """Stop what still runs and give every call that has no result one, so that the history is valid."""
        await self.tool_calls.stop()
        with suppress(PromptObjectsError):  # what the disk left in doubt may be there after all
            await asyncio.to_thread(self.session.refresh)
        missing = await asyncio.to_thread(lambda: unanswered_calls(self.session.history))
        await self.writer.save(*(self.tool_calls.result_so_far(call) for call in missing))
        await self._save(self.active.end())
