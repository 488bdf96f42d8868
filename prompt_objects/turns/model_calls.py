"""The requests of a turn to its models, each with a reservation in the budget."""

import asyncio
import json
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Self

import msgspec
from msgspec.structs import replace

from prompt_objects.config.definition import Definition
from prompt_objects.config.limits import PRICES_HINT
from prompt_objects.errors import BrokenStream, LimitReached, LLMError, StillLoading
from prompt_objects.llm.base import FINISHED, Completion, Request, RetryScheduled, Usage
from prompt_objects.llm.chat_api.assemble import assemble
from prompt_objects.llm.connection import ModelConnection
from prompt_objects.llm.fallback import FallbackChain
from prompt_objects.llm.pricing import Pricing
from prompt_objects.message import Message, text_of
from prompt_objects.runtime.budget import Budget, Spending
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import BudgetUpdated, TextDelta
from prompt_objects.runtime.prompt_cache import RequestFingerprint
from prompt_objects.sessions.session import Session
from prompt_objects.tools.base import Tool

_FEW_MESSAGES = 100  # up to this number, they are processed faster than a thread starts
_MIN_SHOWN_WAIT = 1.0  # seconds; the user is not notified of shorter ones
_FINAL_REQUEST = "[{limit} Nothing more can be called. Answer with what you have.]"
_INTERRUPTED: dict[type[BaseException], str] = {asyncio.CancelledError: "cancelled", LimitReached: "limit"}
_BYTES_PER_TOKEN = 3  # a low estimate: English text has more, few other languages have less
_MAX_RESPONSE_TOKENS = 8192  # to reserve for a response, if the budget has as many
_MAX_FINAL_RESPONSE_TOKENS = 1024
_MIN_RESPONSE_TOKENS = 64  # a request is not worth sending with fewer


class ModelCalls:
    """Sends the requests of one turn and saves the responses, including interrupted ones, with `save`.

    `usage` is the usage of all responses. `replaces` is the range of messages (from, to) that the next response
    replaces; requests leave them out.
    """

    def __init__(
        self,
        definition: Definition,
        context: Context,
        session: Session,
        budget: Budget,
        save: Callable[[Message], Awaitable[None]],
    ) -> None:
        self.usage = Usage()
        self.replaces: tuple[int, int] | None = None
        self._definition = definition
        self._context = context
        self._session = session
        self._budget = budget
        self._save = save
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
            history, model = self._session.history, models.connection.llm.model
            if len(history) <= _FEW_MESSAGES:
                request = self._request(history, tools, limit, model)
            else:
                request = await asyncio.to_thread(self._request, history, tools, limit, model)
            received: list[str] = []
            try:
                self._may_wait = not models.has_fallback
                completion = await self._send(
                    models.connection, request, history, received, is_final=limit is not None
                )
            except (LLMError, LimitReached, asyncio.CancelledError) as error:
                await self._save_interrupted(received, model, error)
                if not isinstance(error, LLMError):
                    raise
                await asyncio.to_thread(self._add_hint, error, history)
                for note in await asyncio.to_thread(models.advance, error):
                    self._context.notify(note)
                if received:  # the next model starts over
                    self.replaces = (self._session.message_count - 1, self._session.message_count)
            else:
                return await self._save_response(completion, model, may_call=bool(tools))

    def _request(
        self, history: Sequence[Message], tools: Sequence[Tool], limit: LimitReached | None, model: str
    ) -> Request:
        final = [] if limit is None else [{"role": "user", "content": _FINAL_REQUEST.format(limit=limit)}]
        settings = self._definition.model
        options = {} if settings is None or settings.temperature is None else {"temperature": settings.temperature}
        functions = [tool.as_function() for tool in tools]
        prompt, messages = self._definition.prompt, [*history, *final]
        return assemble(prompt, messages, functions, options, model=model, without=self.replaces)

    def _add_hint(self, error: LLMError, history: Sequence[Message]) -> None:
        from prompt_objects.turns.error_hints import add_hint  # not needed before the first error

        add_hint(error, history, lambda part: assemble(self._definition.prompt, part).messages)

    async def _send(
        self,
        connection: ModelConnection,
        request: Request,
        history: Sequence[Message],
        received: list[str],
        *,
        is_final: bool,
    ) -> Completion:
        """Send a request and return the response, with its text also in `received`. Raises `LimitReached`."""
        async with Reservation(self._budget, connection.pricing, request, received, is_final=is_final) as reservation:
            replaces = self.replaces is not None
            take_fingerprint = partial(
                RequestFingerprint.of, str(connection), request.messages, request.tools, history, replaces=replaces
            )
            # In a thread beside the request: for a long history it takes some milliseconds.
            fingerprint = asyncio.get_running_loop().run_in_executor(None, take_fingerprint)
            try:
                async with self._budget.timeout():
                    completion = await self._stream(connection, reservation.request, received)
            except TimeoutError as error:
                self._budget.check_time()
                raise BrokenStream(f"{connection.llm.model} did not complete its response in time.") from error
            except LLMError as error:
                if not received and not isinstance(error, BrokenStream):
                    reservation.cancel()
                raise
            completion = reservation.settle(completion)
        root, usage = self._budget.root, completion.usage
        self._context.publish(BudgetUpdated, amount=root.spent, seconds=root.timer.seconds, limits=root.limits)
        if usage.cost is None:
            self._notify_if_unpriced(connection)
        prompt_cache = self._context.services.prompt_cache
        prompt_cache.add(self._session.id, self._definition.name, await fingerprint, usage.prompt, usage.cached)
        return completion

    async def _stream(self, connection: ModelConnection, request: Request, received: list[str]) -> Completion:
        async with aclosing(connection.llm.stream(request)) as stream:
            async for part in stream:
                if isinstance(part, Completion):
                    return part
                if isinstance(part, RetryScheduled):
                    self._check_retry(part)
                    continue
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

    async def _save_response(self, completion: Completion, model: str, *, may_call: bool) -> Message:
        self.usage += completion.usage
        message = {**completion.message, "model": model, "usage": completion.usage.as_json()}
        if not may_call and message.pop("tool_calls", None) and not text_of(message):
            message["content"] = "(No reply: the model wanted to call a tool, and no more calls were possible.)"
        for notice in completion.notices:
            self._context.notify(notice)
        if completion.finish_reason.lower() not in FINISHED:
            message["interrupted"] = completion.finish_reason
            self._context.notify(f"The server ended the response early ({completion.finish_reason}).")
        return await self._save_with_replaces(message)

    async def _save_interrupted(self, received: list[str], model: str, error: BaseException) -> None:
        if received:
            interrupted = _INTERRUPTED.get(type(error), "error")
            content = "".join(received)
            await self._save_with_replaces(
                {"role": "assistant", "content": content, "model": model, "interrupted": interrupted}
            )

    async def _save_with_replaces(self, message: Message) -> Message:
        saved = message if self.replaces is None else {**message, "replaces": list(self.replaces)}
        self.replaces = None
        await self._save(saved)
        return message


class Reservation:
    """Reserves budget for one request, during an `async with` block, and settles it at the end.

    Entering waits while other requests may still free enough of the budget, and raises `LimitReached` if they cannot.
    `request` is the request to send; if tokens or cost are limited, it limits the response to the reserved tokens.
    The final request of a turn (`is_final`) ignores the turn's own limits, but not those of turns above it.
    `received` is the text received so far, which counts if the response is interrupted.
    """

    def __init__(
        self,
        budget: Budget,
        pricing: Pricing,
        request: Request,
        received: Sequence[str] = (),
        *,
        is_final: bool = False,
    ) -> None:
        self.request = request
        self._received = received
        self._budget = budget
        self._pricing = pricing
        self._is_final = is_final
        self._prompt_tokens = 0  # counted only if tokens or cost are limited
        self._reserved = Spending(requests=1)
        self._spent: Spending | None = None  # None until known

    async def __aenter__(self) -> Self:
        if self._is_final:
            self._budget.allow_final_request()
        is_limited = self._budget.limits_tokens_or_cost
        if is_limited:  # in a thread: for a long history it takes some milliseconds
            sent = [self.request.messages, self.request.tools, *self.request.extra.values()]
            self._prompt_tokens = await asyncio.to_thread(_tokens, sent)
            self._estimate()
        while not self._budget.reserve(self._reserved):
            await self._budget.wait_for_settlement()
            if is_limited:
                self._estimate()
        return self

    def _estimate(self) -> None:
        completion_tokens = self._max_completion_tokens()
        self._reserved = self._amount(Usage(self._prompt_tokens, completion_tokens))
        options = {**self.request.options, "max_completion_tokens": completion_tokens}
        self.request = replace(self.request, options=options)

    def _max_completion_tokens(self) -> int:
        """Return how many tokens of a response the budget allows, up to a maximum, ignoring other reservations."""
        lengths = range(
            _MIN_RESPONSE_TOKENS, (_MAX_FINAL_RESPONSE_TOKENS if self._is_final else _MAX_RESPONSE_TOKENS) + 1
        )
        fitting = bisect_left(lengths, x=True, key=self._is_too_long)
        return lengths[max(0, fitting - 1)]

    def _is_too_long(self, completion_tokens: int) -> bool:
        return not self._budget.allows(self._amount(Usage(self._prompt_tokens, completion_tokens)))

    def settle(self, completion: Completion) -> Completion:
        """Record the usage of a response and return it with its cost; without usage, the estimate counts."""
        usage = completion.usage
        if not usage.total:
            self._spent = self._reserved
            return completion
        if usage.cost is None:
            usage = replace(usage, cost=self._pricing(usage))
        self._spent = Spending(1, usage.total, usage.cost or 0.0)
        return replace(completion, usage=usage)

    def cancel(self) -> None:
        """Record that nothing was spent, because no response began."""
        self._spent = Spending()

    def _amount(self, usage: Usage) -> Spending:
        return Spending(1, usage.total, self._pricing(usage) or 0.0)

    async def __aexit__(self, *_: object) -> None:
        if self._spent is None:  # interrupted: count the prompt and the text received
            self._spent = self._amount(Usage(self._prompt_tokens, _tokens("".join(self._received))))
        self._budget.settle(self._reserved, self._spent)


def _tokens(content: object) -> int:
    """Estimate the number of tokens of something that is sent or received."""
    try:
        size = len(msgspec.json.encode(content))
    except UnicodeEncodeError:  # a lone surrogate, as in file names
        size = len(json.dumps(content))
    return size // _BYTES_PER_TOKEN
