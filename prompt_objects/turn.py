"""One turn: a message in, the loop of model and capabilities, a reply out.

The store is the truth: every message is saved, durably, before anything follows from it, and whatever ends a
turn (an answer, an error, the person) leaves a history in which every call has its result.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

from msgspec import Struct

from prompt_objects.budget import Budget
from prompt_objects.bus import (
    CallEnded,
    CallStarted,
    Event,
    MessagesArrived,
    MessageSaved,
    Notice,
    Spent,
    TextDelta,
    TurnEnded,
    TurnStarted,
)
from prompt_objects.context import Context
from prompt_objects.definition import Definition
from prompt_objects.errors import (
    Conflict,
    LimitReached,
    LLMError,
    NotFound,
    PromptObjectsError,
    ToolError,
    UsageError,
)
from prompt_objects.llm import LLM, Completion, Request, Usage
from prompt_objects.llm.connect import Connection
from prompt_objects.message import (
    OUTCOME_UNKNOWN,
    Message,
    call_arguments,
    calls_of,
    request_messages,
    text_of,
    unanswered_calls,
)
from prompt_objects.purchase import Purchase
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.tools import Tool
from prompt_objects.waiting import to_the_end
from prompt_objects.wording import count

__all__ = ["Equipment", "Reply", "Turn"]

_CANCELLED = "Cancelled before it ended; whether it took effect is unknown."
_NOT_RUN = "Cancelled before it began; it had no effect."
_PATIENCE_SECONDS = 5.0
_SUM_UP = "[{limit} Nothing more can be called. Answer with what you have.]"
_LAST_WORDS_SECONDS = 30.0
_INTERRUPTED: dict[type[BaseException], str] = {asyncio.CancelledError: "cancelled", LimitReached: "limit"}


class Equipment(Struct, frozen=True):
    """What a turn works with: a model to ask, and capabilities by name."""

    connection: Connection
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
        self.session_manager = session_manager
        self.budget = context.budget or Budget(definition.name, definition.limits)
        self.tools: Mapping[str, Tool] = {}
        self._usage = Usage()
        self._replaces: tuple[int, int] | None = None
        self._running: dict[str, asyncio.Task[str]] = {}
        self._begun: set[str] = set()

    async def run(self, message: Message | None, equip: Callable[[], Awaitable[Equipment]]) -> Reply:
        """Answer `message`, or the last one anew where it is None.

        The message is saved before a model is looked for, or a server of tools started. Raises `LLMError`,
        `StoreError`, `LimitReached` where the budget of a turn above is used up, or `asyncio.CancelledError`, each
        after what is missing in the history has been filled in.
        """
        self._publish(TurnStarted, call_id=self.context.call_id)
        try:
            await (self._take(message) if message else self._take_again())
            equipment = await equip()
            self.tools = equipment.tools
            reply = await self._answer(equipment.connection)
        except BaseException as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            if cancelled and isinstance(error.__cause__, PromptObjectsError):
                self._notice(f"Not saved: {error.__cause__}")
            try:
                await to_the_end(self._wind_up())
            finally:
                self._publish(TurnEnded, outcome="cancelled" if cancelled else "failed", error=str(error))
            raise
        self._publish(TurnEnded, outcome="answered")
        return reply

    async def _take(self, message: Message) -> None:
        await self._catch_up()
        lost = await asyncio.to_thread(lambda: unanswered_calls(self.session.history))
        if lost:
            self._notice(
                f"Left without a result by an interrupted turn, and marked as unknown: {count(len(lost), 'call')}."
            )
        await self._save(*(_result(call, OUTCOME_UNKNOWN) for call in lost), message)

    async def _take_again(self) -> None:
        """Go back to the last message that was asked; what had been answered is kept, but no longer counts."""
        await self._catch_up()
        history = await asyncio.to_thread(lambda: self.session.history)
        asked = [index for index, message in enumerate(history) if message.get("role") == "user"]
        if not asked:
            raise UsageError("There is nothing to answer yet.", hint="Send a message first.")
        if asked[-1] + 1 < len(history):
            self._replaces = (asked[-1] + 1, len(history))

    async def _catch_up(self) -> None:
        """Show what others added."""
        if came := await asyncio.to_thread(self.session.refresh):
            self._publish(MessagesArrived, messages=came)

    async def _answer(self, connection: Connection) -> Reply:
        """Let the model speak and call until there is an answer, or a limit is reached."""
        try:
            while True:
                message = await self._ask(connection, list(self.tools.values()))
                calls = calls_of(message)
                if not calls:
                    return self._reply(message)
                await self._carry_out(calls)
        except LimitReached as limit:
            if limit.budget is not self.budget:  # the turn whose limit it is will sum up
                raise
            self._notice(f"{limit} It sums up.")
            return self._reply(await self._ask(connection, [], limit))

    def _reply(self, message: Message) -> Reply:
        return Reply(text_of(message), self.session, str(message["model"]), self._usage)

    # Asking the model

    async def _ask(self, connection: Connection, tools: Sequence[Tool], limit: LimitReached | None = None) -> Message:
        """Send one request, and save what comes; with a `limit` that was reached, it is the last one."""
        request = await asyncio.to_thread(self._request, tools, limit)
        said: list[str] = []
        try:
            completion = await self._listen(connection, request, said, is_last=limit is not None)
        except (LLMError, LimitReached, asyncio.CancelledError) as error:
            if said:
                interrupted = _INTERRUPTED.get(type(error), "error")
                await self._save(_assistant("".join(said), connection.llm.model, interrupted=interrupted))
            raise
        self._usage += completion.usage
        message = {**completion.message, "model": connection.llm.model, "usage": completion.usage.as_json()}
        if not tools and message.pop("tool_calls", None) and not text_of(message):
            message["content"] = "(No answer: it wanted to call something, and nothing could be called any more.)"
        if completion.finish_reason in {"length", "content_filter"}:
            message["interrupted"] = completion.finish_reason
            self._notice(f"The server cut the answer short ({completion.finish_reason}).")
        await self._save(message)
        return message

    def _request(self, tools: Sequence[Tool], limit: LimitReached | None) -> Request:
        messages = request_messages(self.definition.prompt, self.session.history, without=self._replaces)
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
        with Purchase(self.budget, connection.pricing, request, is_last=is_last) as purchase:
            try:
                async with asyncio.timeout(_LAST_WORDS_SECONDS if is_last else self.budget.seconds_left):
                    completion = await self._stream(connection.llm, purchase.request, said)
            except TimeoutError:
                self.budget.check_time()
                raise
            completion = purchase.paid(completion)
        root = self.budget.root
        self._publish(Spent, amount=root.spent, seconds=root.seconds, limits=root.limits)
        return completion

    async def _stream(self, llm: LLM, request: Request, said: list[str]) -> Completion:
        async with aclosing(llm.stream(request)) as stream:
            async for part in stream:
                if isinstance(part, Completion):
                    return part
                said.append(part.text)
                self._publish(TextDelta, text=part.text)
        raise AssertionError("an LLM must end with a Completion or raise LLMError")

    # Carrying out calls

    async def _carry_out(self, calls: list[dict[str, Any]]) -> None:
        """Run the calls side by side and save each result as it ends, in call order."""
        gate = asyncio.Semaphore(self.definition.limits.parallel)
        self._running = {call["id"]: asyncio.create_task(self._call(call, gate)) for call in calls}
        for call in calls:
            await self._save(_result(call, await asyncio.shield(self._running[call["id"]])))
        self._running = {}

    async def _wind_up(self) -> None:
        """Stop what still runs and give every call that has no result one, so that the history is valid.

        A tool that will not stop is left behind after a while; it cannot hold up the person.
        """
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=_PATIENCE_SECONDS)
        with suppress(PromptObjectsError):  # what the disk left in doubt may be there after all
            await asyncio.to_thread(self.session.refresh)
        missing = await asyncio.to_thread(lambda: unanswered_calls(self.session.history))
        await self._save(*(_result(call, self._outcome(call)) for call in missing))

    def _outcome(self, call: dict[str, Any]) -> str:
        task = self._running.get(call["id"])
        if call["id"] not in self._begun or task is None:
            return _NOT_RUN
        ended_well = task.done() and not task.cancelled() and task.exception() is None
        return task.result() if ended_well else _CANCELLED

    async def _call(self, call: dict[str, Any], gate: asyncio.Semaphore) -> str:
        function = call.get("function", {})
        about = {"call_id": call["id"], "name": str(function.get("name", ""))}
        async with gate:
            self._begun.add(call["id"])
            self._publish(CallStarted, **about, arguments=str(function.get("arguments") or "{}"))
            start, result, failed = time.perf_counter(), _CANCELLED, True
            try:
                result = await self._run_tool(call, about["name"])
                failed = False
            except PromptObjectsError as error:
                result = f"Error: {error}"
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                result = f"Error: {about['name']} gave up."  # a cancellation of the tool's own making
            except Exception as error:  # noqa: BLE001 - whatever a tool does wrong is the model's to read
                result = f"Error: {about['name']} failed: {type(error).__name__}: {error}"
            finally:
                seconds = time.perf_counter() - start
                self._publish(CallEnded, **about, result=result, failed=failed, seconds=seconds)
        return result

    async def _run_tool(self, call: dict[str, Any], name: str) -> str:
        tool = self.tools.get(name)
        if tool is None:
            raise ToolError(f"There is no capability {name!r}. There are: {', '.join(self.tools) or 'none'}.")
        try:
            arguments = call_arguments(call)
        except ValueError as error:
            raise ToolError(str(error)) from error
        self.budget.check_time()
        context = self.context.for_call(call["id"])
        arguments = await tool.approve(arguments, context)  # a person takes as long as it takes
        try:
            async with asyncio.timeout(self.budget.seconds_left):
                result: object = await tool.run(arguments, context)
        except TimeoutError:
            self.budget.check_time()
            raise
        if not isinstance(result, str):
            raise ToolError(f"{name} is faulty: it returned {type(result).__name__}, not text.")
        return result

    # Saving and telling

    async def _save(self, *messages: Message) -> None:
        if not messages:
            return
        if self._replaces is not None and messages[0].get("role") == "assistant":
            messages = ({**messages[0], "replaces": list(self._replaces)}, *messages[1:])
            self._replaces = None
        await to_the_end(self._save_and_tell(messages))

    async def _save_and_tell(self, messages: Sequence[Message]) -> None:
        if came := await asyncio.to_thread(self._append, messages):
            self._publish(MessagesArrived, messages=came)
        for message in messages:
            self._publish(MessageSaved, message=message)

    def _append(self, messages: Sequence[Message]) -> list[Message]:
        """Add messages to the session, and return those that others added just before."""
        came: list[Message] = []
        while True:
            try:
                self.session.append(*messages)
            except Conflict:
                came += self.session.refresh()  # what came in between stays where it is; ours follows it
            except NotFound:
                # Deleted elsewhere while we were talking: what has been said since must not be lost with it.
                self.session_manager.restore(self.session.id)
                came += self.session.refresh()
            else:
                return came

    def _notice(self, text: str) -> None:
        self._publish(Notice, text=text)

    def _publish(self, kind: type[Event], **details: Any) -> None:
        context = self.context
        event = kind(run=context.run, root=context.root, path=context.path, session_id=self.session.id, **details)
        context.bus.publish(event)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _assistant(text: str, model: str, *, interrupted: str) -> Message:
    return {"role": "assistant", "content": text, "model": model, "interrupted": interrupted}


def _result(call: dict[str, Any], text: str) -> Message:
    return {"role": "tool", "tool_call_id": call["id"], "content": text}
