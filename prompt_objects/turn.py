"""One turn: a message in, the loop of model and capabilities, a reply out.

The store is the truth: every message is saved, durably, before anything follows from it, and whatever ends a
turn (an answer, an error, the person) leaves a history in which every call has its result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from prompt_objects.budget import Budget
from prompt_objects.bus import (
    Spent,
    TextDelta,
    TurnEnded,
    TurnStarted,
)
from prompt_objects.calls import Calls
from prompt_objects.context import Context
from prompt_objects.definition import Definition
from prompt_objects.errors import (
    BrokenStream,
    LimitReached,
    LLMError,
    PromptObjectsError,
    UsageError,
)
from prompt_objects.llm import Completion, Request, Usage, Waiting
from prompt_objects.llm.connect import Connection
from prompt_objects.llm.lineup import Lineup
from prompt_objects.message import (
    OUTCOME_UNKNOWN,
    Message,
    calls_of,
    is_unfinished,
    request_messages,
    result_of,
    text_of,
    unanswered_calls,
)
from prompt_objects.minutes import Minutes
from prompt_objects.prefix import Prefix
from prompt_objects.purchase import Purchase
from prompt_objects.running import LiveTurn
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.unread import Unread
from prompt_objects.tools import Tool
from prompt_objects.waiting import to_the_end
from prompt_objects.wording import count

__all__ = ["Equipment", "Reply", "Start", "Turn"]

Start: TypeAlias = Message | Literal["retry", "resume"]
"""What a turn answers: a message, the last one anew, or what an interrupted turn left unanswered."""

_TOLD_SECONDS = 1.0  # of what is shorter nobody is told
_SUM_UP = "[{limit} Nothing more can be called. Answer with what you have.]"
_LAST_WORDS_SECONDS = 30.0
_INTERRUPTED: dict[type[BaseException], str] = {asyncio.CancelledError: "cancelled", LimitReached: "limit"}


class Equipment(Struct, frozen=True):
    """What a turn works with: models to ask, and capabilities by name."""

    lineup: Lineup
    tools: Mapping[str, Tool]


class Reply(Struct, frozen=True):
    """What a turn answered: its text, the session it stands in, and the model and tokens of this turn itself."""

    text: str
    session: Session
    model: str
    usage: Usage


class Turn:
    """The state of one `receive`; two turns at once share nothing but the store."""

    def __init__(
        self,
        definition: Definition,
        context: Context,
        session: Session,
        session_manager: SessionManager,
    ) -> None:
        self.definition = definition
        self.context = context
        self.session = session
        self.budget = context.budget or Budget(definition.name, definition.limits)
        self.unread = Unread(context.around.workspace, session.id)
        self.live = LiveTurn(context.path, session, self.unread)
        self.minutes = Minutes(context, session, session_manager)
        self.calls = Calls(context, self.budget, self.minutes, definition.limits.parallel)
        self._usage = Usage()

    async def run(self, start: Start, equip: Callable[[], Awaitable[Equipment]]) -> Reply:
        """Answer a message, or answer the last one anew, or go on where an interrupted turn stopped.

        The message is saved before a model is looked for, or a server of tools started. Raises `LLMError`,
        `StoreError`, `LimitReached` where the budget of a turn above is used up, `Stopped` where a person stopped
        this turn alone, or `asyncio.CancelledError`, each after what is missing in the history has been filled in.
        """
        self.minutes.publish(TurnStarted, call_id=self.context.call_id)
        with self.context.around.running.listing(self.live):
            try:
                await self._begin(start)
                equipment = await equip()
                self.calls.tools = equipment.tools
                reply = await self._answer(equipment.lineup)
                await self._end_unread()
            except BaseException as error:
                await self._break_off(error)
                raise
        self.minutes.publish(TurnEnded, outcome="answered")
        return reply

    async def _break_off(self, error: BaseException) -> None:
        """Leave a valid history behind; raises `Stopped` where that is what happened."""
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and isinstance(error.__cause__, PromptObjectsError):
            self.minutes.notice(f"Not saved: {error.__cause__}")
        try:
            await to_the_end(self._wind_up())
        finally:
            self.minutes.publish(TurnEnded, outcome="cancelled" if cancelled else "failed", error=str(error))
        if isinstance(error, asyncio.CancelledError):
            self.live.check_stopped(error)

    async def _wind_up(self) -> None:
        """Stop what still runs and give every call that has no result one, so that the history is valid."""
        await self.calls.stop()
        with suppress(PromptObjectsError):  # what the disk left in doubt may be there after all
            await asyncio.to_thread(self.session.refresh)
        missing = await asyncio.to_thread(lambda: unanswered_calls(self.session.history))
        await self.minutes.save(*(self.calls.outcome(call) for call in missing))
        await self._read(self.live.end())

    async def _read(self, words: list[Message]) -> None:
        """Take messages into the session, among them those that waited to be read."""
        if words:
            await self.minutes.save(*words)
            if any("steers" in message for message in words):
                await asyncio.to_thread(self.unread.forget, words)

    async def _end_unread(self) -> None:
        """Keep what came too late to be read, and say so."""
        if words := self.live.end():
            await self._read(words)
            self.minutes.notice(f"Came too late to be read: {count(len(words), 'message')}. /continue answers.")

    async def _begin(self, start: Start) -> None:
        await self.minutes.catch_up()
        left = await asyncio.to_thread(self.unread.left, self.session)  # by a turn that a crash cut off
        if start == "retry":
            await self._read(left)
            await self._take_again()
        elif start == "resume":
            await self._take_up(left)
        else:
            await self._read([*await self._lost_results(), *left, start])

    async def _lost_results(self) -> list[Message]:
        """Say of calls that an interrupted turn left without a result that nobody knows it."""
        lost = await asyncio.to_thread(lambda: unanswered_calls(self.session.history))
        if lost:
            self.minutes.notice(
                f"Left without a result by an interrupted turn, and marked as unknown: {count(len(lost), 'call')}."
            )
        return [result_of(call, OUTCOME_UNKNOWN) for call in lost]

    async def _take_up(self, left: list[Message]) -> None:
        """Go on where the history stops; what is there counts."""
        if not left and not await asyncio.to_thread(lambda: is_unfinished(self.session.history)):
            problem = "There is nothing to go on with: no message is left without an answer."
            raise UsageError(problem, hint="/retry answers the last one anew, also where the answer was cut off.")
        await self._read([*await self._lost_results(), *left])

    async def _take_again(self) -> None:
        """Go back to the last message that was asked; what had been answered is kept, but no longer counts."""
        history = await asyncio.to_thread(lambda: self.session.history)
        asked = [index for index, message in enumerate(history) if message.get("role") == "user"]
        if not asked:
            raise UsageError("There is nothing to answer yet.", hint="Send a message first.")
        if asked[-1] + 1 < len(history):
            self.minutes.replaces = (asked[-1] + 1, len(history))

    async def _answer(self, lineup: Lineup) -> Reply:
        """Let the model speak and call until there is an answer, or a limit is reached."""
        try:
            while True:
                await self._read(self.live.read())
                message = await self._ask(lineup, list(self.calls.tools.values()))
                calls = calls_of(message)
                if calls:
                    await self.calls.carry_out(calls)
                elif self.live.may_end():
                    return self._reply(message)
        except LimitReached as limit:
            if limit.budget is not self.budget:  # the turn whose limit it is will sum up
                raise
            self.minutes.notice(f"{limit} It sums up.")
            return self._reply(await self._ask(lineup, [], limit))

    def _reply(self, message: Message) -> Reply:
        return Reply(text_of(message), self.session, str(message["model"]), self._usage)

    # Asking the model

    async def _ask(self, lineup: Lineup, tools: Sequence[Tool], limit: LimitReached | None = None) -> Message:
        """Have a request answered by the first model that does, and save what comes.

        With a `limit` that was reached, it is the last one.
        """
        while True:
            request = await asyncio.to_thread(self._request, tools, limit)
            said: list[str] = []
            try:
                completion = await self._listen(lineup.connection, request, said, is_last=limit is not None)
            except (LLMError, LimitReached, asyncio.CancelledError) as error:
                await self._save_broken(said, lineup.connection.llm.model, error)
                if not isinstance(error, LLMError):
                    raise
                for told in await asyncio.to_thread(lineup.move_on, error):
                    self.minutes.notice(told)
                if said:  # kept, and no longer counts: the next model is not to go on with it
                    self.minutes.replaces = (self.session.message_count - 1, self.session.message_count)
            else:
                return await self._save_answer(completion, lineup.connection.llm.model, may_call=bool(tools))

    async def _save_broken(self, said: list[str], model: str, error: BaseException) -> None:
        if said:
            await self.minutes.save(
                _assistant("".join(said), model, interrupted=_INTERRUPTED.get(type(error), "error"))
            )

    async def _save_answer(self, completion: Completion, model: str, *, may_call: bool) -> Message:
        self._usage += completion.usage
        message = {**completion.message, "model": model, "usage": completion.usage.as_json()}
        if not may_call and message.pop("tool_calls", None) and not text_of(message):
            message["content"] = "(No answer: it wanted to call something, and nothing could be called any more.)"
        if completion.finish_reason in {"length", "content_filter"}:
            message["interrupted"] = completion.finish_reason
            self.minutes.notice(f"The server cut the answer short ({completion.finish_reason}).")
        await self.minutes.save(message)
        return message

    def _request(self, tools: Sequence[Tool], limit: LimitReached | None) -> Request:
        messages = request_messages(self.definition.prompt, self.session.history, without=self.minutes.replaces)
        if limit is not None:
            messages.append({"role": "user", "content": _SUM_UP.format(limit=limit)})
        return Request(messages, [tool.as_function() for tool in tools], self._options())

    def _options(self) -> dict[str, Any]:
        choice = self.definition.model
        return {} if choice is None or choice.temperature is None else {"temperature": choice.temperature}

    async def _listen(
        self, connection: Connection, request: Request, said: list[str], *, is_last: bool
    ) -> Completion:
        """Have a request answered within the budget; raises `LimitReached`, before it is sent or when time is up."""
        async with Purchase(self.budget, connection.pricing, request, is_last=is_last) as purchase:
            try:
                async with asyncio.timeout(_LAST_WORDS_SECONDS) if is_last else self.budget.in_time():
                    completion = await self._stream(connection, purchase.request, said)
            except TimeoutError as error:
                self.budget.check_time()
                raise BrokenStream(f"{connection.llm.model} did not end its answer in time.") from error
            except LLMError as error:
                if not said and not isinstance(error, BrokenStream):
                    purchase.refused()
                raise
            completion = purchase.paid(completion)
        root = self.budget.root
        self.minutes.publish(Spent, amount=root.spent, seconds=root.seconds, limits=root.limits)
        self._note_prefix(connection, request, completion.usage)
        return completion

    async def _stream(self, connection: Connection, request: Request, said: list[str]) -> Completion:
        async with aclosing(connection.llm.stream(request)) as stream:
            async for part in stream:
                if isinstance(part, Completion):
                    return part
                if isinstance(part, Waiting):
                    self._wait(part)
                    continue
                said.append(part.text)
                self.minutes.publish(TextDelta, text=part.text)
        raise AssertionError("an LLM must end with a Completion or raise LLMError")

    def _wait(self, waiting: Waiting) -> None:
        """Let a model be waited for, or raise why, where it would take longer than there is time."""
        left = self.budget.seconds_left
        if left is not None and waiting.seconds >= left:
            raise waiting.error
        if waiting.seconds >= _TOLD_SECONDS:
            self.minutes.notice(f"Asking again in {waiting.seconds:.0f} s: {waiting.error}")

    def _note_prefix(self, connection: Connection, request: Request, usage: Usage) -> None:
        history, replaces = self.session.history, self.minutes.replaces is not None
        prefix = Prefix.of(str(connection), request.messages, request.tools, history, replaces=replaces)
        self.context.around.prefixes.add(self.session.id, self.definition.name, prefix, usage.prompt, usage.cached)


def _assistant(text: str, model: str, *, interrupted: str) -> Message:
    return {"role": "assistant", "content": text, "model": model, "interrupted": interrupted}
