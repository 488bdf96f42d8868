"""The requests of a turn to its models."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import Protocol

from msgspec.structs import replace

from prompt_objects._version import __version__
from prompt_objects.config.definition import Definition
from prompt_objects.config.limits import PRICES_HINT
from prompt_objects.errors import BrokenStream, LimitReached, LLMError, StillLoading
from prompt_objects.llm.base import FINISHED, Completion, RequestSent, RetryScheduled, TextChunk, Usage
from prompt_objects.llm.chat_api.assemble import assemble
from prompt_objects.llm.connection import ModelConnection
from prompt_objects.llm.fallback import FallbackChain
from prompt_objects.message import Message, text_of
from prompt_objects.runtime.budget import Budget
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import BudgetUpdated, TextDelta
from prompt_objects.sessions.requests import DefinitionVersion, Frame, encode_frame
from prompt_objects.sessions.session import Session
from prompt_objects.tools.base import Tool
from prompt_objects.turns.request_recorder import RequestRecorder
from prompt_objects.turns.reservation import Reservation

_FEW_MESSAGES = 100  # up to this number, they are processed faster than a thread starts
_MIN_SHOWN_WAIT = 1.0  # seconds; the user is not notified of shorter ones
_FINAL_REQUEST = "[{limit} Nothing more can be called. Answer with what you have.]"
_INTERRUPTED: dict[type[BaseException], str] = {asyncio.CancelledError: "cancelled", LimitReached: "limit"}


class SaveAnswer(Protocol):
    """Saves an answer, after the frame of its request."""

    async def __call__(self, message: Message, /, *, frames: Iterable[bytes]) -> None: ...


class ModelCalls:
    """Sends the requests of one turn and saves the responses, including interrupted ones, with `save`.

    `usage` is the usage of all responses. `replaces` is the range of messages (from, to) that the next response
    replaces; requests leave them out.
    """

    def __init__(
        self, definition: Definition, context: Context, session: Session, budget: Budget, save: "SaveAnswer"
    ) -> None:
        self.usage = Usage()
        self.replaces: tuple[int, int] | None = None
        self._definition = definition
        self._context = context
        self._session = session
        self._budget = budget
        self._save = save
        self._frames: dict[tuple[str | None, str, bool], bytes] = {}  # by model, and whether there are tools
        self._may_wait = True  # for a server that loads its model; another model would respond at once
        self._has_notified_loading = False

    async def complete(
        self, models: FallbackChain, tools: Sequence[Tool], limit: LimitReached | None = None
    ) -> Message:
        """Send the history to the first model that responds; save and return the response.

        With a `limit` that was reached, request a final response. Raises `LLMError` if no model responds,
        `LimitReached` and `StoreError`.
        """
        while True:
            history, connection = self._session.history, models.connection
            if len(history) <= _FEW_MESSAGES:
                recorder = self._request(history, tools, limit, connection)
            else:
                recorder = await asyncio.to_thread(self._request, history, tools, limit, connection)
            received: list[str] = []
            try:
                self._may_wait = not models.has_fallback
                completion = await self._send(connection, recorder, received, is_final=limit is not None)
            except (LLMError, LimitReached, asyncio.CancelledError) as error:
                await self._save_interrupted(received, recorder, error)
                if not isinstance(error, LLMError):
                    raise
                await asyncio.to_thread(self._add_hint, error, history)
                for note in await asyncio.to_thread(models.advance, error):
                    self._context.notify(note)
                if received:  # the next model starts over
                    self.replaces = (self._session.message_count - 1, self._session.message_count)
            else:
                cost = connection.pricing(replace(completion.usage, cached=completion.usage.prompt, cost=None))
                return await self._save_response(completion, recorder, cost, may_call=bool(tools))

    def _request(
        self,
        history: Sequence[Message],
        tools: Sequence[Tool],
        limit: LimitReached | None,
        connection: ModelConnection,
    ) -> RequestRecorder:
        final = None if limit is None else _FINAL_REQUEST.format(limit=limit)
        settings = self._definition.model
        options = {} if settings is None or settings.temperature is None else {"temperature": settings.temperature}
        functions = [tool.as_function() for tool in tools]
        prompt, model, messages = self._definition.prompt, connection.llm.model, [*history]
        sent = messages if final is None else [*messages, {"role": "user", "content": final}]
        request = assemble(prompt, sent, functions, options, model=model, without=self.replaces)
        key = connection.name, model, bool(tools)  # two servers may have a model of this name
        if key not in self._frames:
            version = DefinitionVersion(self._definition.name, self._definition.digest, connection.name)
            frame = Frame(prompt, functions, model, options, version, __version__)
            self._frames[key] = encode_frame(frame)
        return RequestRecorder(request, self._frames[key], options=options, history=len(messages), final=final)

    def _add_hint(self, error: LLMError, history: Sequence[Message]) -> None:
        from prompt_objects.turns.error_hints import add_hint  # not needed before the first error

        add_hint(error, history, lambda part: assemble(self._definition.prompt, part).messages)

    async def _send(
        self, connection: ModelConnection, recorder: RequestRecorder, received: list[str], *, is_final: bool
    ) -> Completion:
        """Send a request and return the response, with its text also in `received`. Raises `LimitReached`."""
        reservation = Reservation(self._budget, connection.pricing, recorder.request, received, is_final=is_final)
        async with reservation:
            recorder.request = reservation.request
            try:
                async with self._budget.timeout():
                    completion = await self._stream(connection, recorder, received)
            except TimeoutError as error:
                self._budget.check_time()
                raise BrokenStream(f"{connection.llm.model} did not complete its response in time.") from error
            except LLMError as error:
                if not received and not isinstance(error, BrokenStream):
                    reservation.cancel()
                raise
            completion = reservation.settle(completion)
        root = self._budget.root
        self._context.publish(BudgetUpdated, amount=root.spent, seconds=root.timer.seconds, limits=root.limits)
        if completion.usage.cost is None:
            self._notify_if_unpriced(connection)
        return completion

    async def _stream(
        self, connection: ModelConnection, recorder: RequestRecorder, received: list[str]
    ) -> Completion:
        async with aclosing(connection.llm.stream(recorder.request)) as stream:
            async for part in stream:
                match part:
                    case Completion():
                        return part
                    case RetryScheduled():
                        self._check_retry(part)
                    case RequestSent():
                        recorder.add(part)
                    case TextChunk():
                        received.append(part.text)
                        self._context.publish(TextDelta, text=part.text)
        raise AssertionError("an LLM must end with a Completion or raise LLMError")

    def _check_retry(self, retry: RetryScheduled) -> None:
        """Notify the user of a retry; raise its error if there is no time left for it."""
        left = self._budget.seconds_left
        if left is not None and retry.seconds >= left:
            raise retry.error
        if isinstance(retry.error, StillLoading):
            if not self._may_wait:
                raise retry.error
            if not self._has_notified_loading:
                self._context.notify(f"Waiting for the model: {retry.error}")
            self._has_notified_loading = True
        elif retry.seconds >= _MIN_SHOWN_WAIT:
            self._context.notify(f"Retrying in {retry.seconds:.0f} s: {retry.error}")

    def _notify_if_unpriced(self, connection: ModelConnection) -> None:
        """Notify the user, once per model and message, if a cost limit cannot be applied to a model."""
        model, unpriced = connection.llm.model, self._budget.unpriced_models
        if self._budget.limits_cost and not connection.has_price and model not in unpriced:
            unpriced.add(model)
            self._context.notify(f"The cost limit does not apply to {model}: its prices are unknown. {PRICES_HINT}")

    async def _save_response(
        self, completion: Completion, recorder: RequestRecorder, cost_if_cached: float | None, *, may_call: bool
    ) -> Message:
        self.usage += completion.usage
        message = {
            **completion.message,
            "model": recorder.request.model,
            "usage": completion.usage.as_json(),
            "request": recorder.record(cost_if_cached),
        }
        if not may_call and message.pop("tool_calls", None) and not text_of(message):
            message["content"] = "(No reply: the model wanted to call a tool, and no more calls were possible.)"
        for notice in completion.notices:
            self._context.notify(notice)
        if completion.finish_reason.lower() not in FINISHED:
            message["interrupted"] = completion.finish_reason
            self._context.notify(f"The server ended the response early ({completion.finish_reason}).")
        return await self._save_with_replaces(message, recorder)

    async def _save_interrupted(self, received: list[str], recorder: RequestRecorder, error: BaseException) -> None:
        if received:
            message = {
                "role": "assistant",
                "content": "".join(received),
                "model": recorder.request.model,
                "request": recorder.record(),
                "interrupted": _INTERRUPTED.get(type(error), "error"),
            }
            await self._save_with_replaces(message, recorder)

    async def _save_with_replaces(self, message: Message, recorder: RequestRecorder) -> Message:
        saved = message if self.replaces is None else {**message, "replaces": list(self.replaces)}
        self.replaces = None
        await self._save(saved, frames=(recorder.frame,))
        return message
