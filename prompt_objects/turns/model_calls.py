"""A turn's exchange with models: requests, each answered by the first of a lineup that does, within the budget."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from prompt_objects.config.definition import Definition
from prompt_objects.config.limits import PRICES_HINT
from prompt_objects.errors import BrokenStream, LimitReached, LLMError
from prompt_objects.llm.base import Completion, Request, RetryScheduled, Usage
from prompt_objects.llm.connect import ModelConnection
from prompt_objects.llm.fallback import FallbackChain
from prompt_objects.message import Message, request_messages, text_of
from prompt_objects.runtime.budget import Budget
from prompt_objects.runtime.context import Context, notice, publish
from prompt_objects.runtime.events import BudgetUpdated, TextDelta
from prompt_objects.runtime.prompt_cache import RequestFingerprint
from prompt_objects.sessions.session import Session
from prompt_objects.tools.base import Tool
from prompt_objects.turns.message_writer import MessageWriter
from prompt_objects.turns.reservation import Reservation

__all__ = [
    "ModelCalls",
]

_FEW_MESSAGES = 100  # put together, whatever their length, before a thread would have begun
_TOLD_SECONDS = 1.0  # of what is shorter nobody is told
_SUM_UP = "[{limit} Nothing more can be called. Answer with what you have.]"
_INTERRUPTED: dict[type[BaseException], str] = {asyncio.CancelledError: "cancelled", LimitReached: "limit"}


class ModelCalls:
    """Has the requests of one turn answered, and saves what comes, also where it breaks off.

    `usage` is what the answers took.
    """

    def __init__(
        self, definition: Definition, context: Context, session: Session, budget: Budget, minutes: MessageWriter
    ) -> None:
        self.usage = Usage()
        self._definition = definition
        self._context = context
        self._session = session
        self._budget = budget
        self._minutes = minutes

    async def complete(
        self, lineup: FallbackChain, tools: Sequence[Tool], limit: LimitReached | None = None
    ) -> Message:
        """Have what the session holds answered by the first model that does, and return the answer, saved.

        With a `limit` that was reached, it is the last time. Raises `LLMError` where no model answers, `LimitReached`
        and `StoreError`.
        """
        while True:
            request = await self._request(tools, limit)
            said: list[str] = []
            try:
                completion = await self._listen(lineup.connection, request, said, is_last=limit is not None)
            except (LLMError, LimitReached, asyncio.CancelledError) as error:
                await self._save_broken(said, lineup.connection.llm.model, error)
                if not isinstance(error, LLMError):
                    raise
                for told in await asyncio.to_thread(lineup.advance, error):
                    notice(self._context, told)
                if said:  # kept, and no longer counts: the next model is not to go on with it
                    self._minutes.replaces = (self._session.message_count - 1, self._session.message_count)
            else:
                return await self._save_answer(completion, lineup.connection.llm.model, may_call=bool(tools))

    async def _request(self, tools: Sequence[Tool], limit: LimitReached | None) -> Request:
        if self._session.message_count <= _FEW_MESSAGES:
            return self._build_request(tools, limit)
        return await asyncio.to_thread(self._build_request, tools, limit)

    def _build_request(self, tools: Sequence[Tool], limit: LimitReached | None) -> Request:
        messages = request_messages(self._definition.prompt, self._session.history, without=self._minutes.replaces)
        if limit is not None:
            messages.append({"role": "user", "content": _SUM_UP.format(limit=limit)})
        return Request(messages, [tool.as_function() for tool in tools], self._options())

    def _options(self) -> dict[str, Any]:
        choice = self._definition.model
        return {} if choice is None or choice.temperature is None else {"temperature": choice.temperature}

    # What comes

    async def _listen(
        self, connection: ModelConnection, request: Request, said: list[str], *, is_last: bool
    ) -> Completion:
        """Have a request answered within the budget; raises `LimitReached`, before it is sent or when time is up."""
        async with Reservation(self._budget, connection.pricing, request, said, is_last=is_last) as purchase:
            # Meanwhile, in a thread: of a long history it takes some milliseconds, in which no turn would move.
            prefix = asyncio.get_running_loop().run_in_executor(None, self._prefix, connection, request)
            try:
                async with self._budget.timeout():
                    completion = await self._stream(connection, purchase.request, said)
            except TimeoutError as error:
                self._budget.check_time()
                raise BrokenStream(f"{connection.llm.model} did not end its answer in time.") from error
            except LLMError as error:
                if not said and not isinstance(error, BrokenStream):
                    purchase.cancel()
                raise
            completion = purchase.settle(completion)
        root, usage = self._budget.root, completion.usage
        publish(self._context, BudgetUpdated, amount=root.spent, seconds=root.seconds, limits=root.limits)
        self._tell_uncounted(connection, usage)
        prefixes = self._context.services.prompt_cache
        prefixes.add(self._session.id, self._definition.name, await prefix, usage.prompt, usage.cached)
        return completion

    async def _stream(self, connection: ModelConnection, request: Request, said: list[str]) -> Completion:
        async with aclosing(connection.llm.stream(request)) as stream:
            async for part in stream:
                if isinstance(part, Completion):
                    return part
                if isinstance(part, RetryScheduled):
                    self._wait(part)
                    continue
                said.append(part.text)
                publish(self._context, TextDelta, text=part.text)
        raise AssertionError("an LLM must end with a Completion or raise LLMError")

    def _wait(self, waiting: RetryScheduled) -> None:
        """Let a model be waited for, or raise why, where it would take longer than there is time."""
        left = self._budget.seconds_left
        if left is not None and waiting.seconds >= left:
            raise waiting.error
        if waiting.seconds >= _TOLD_SECONDS:
            notice(self._context, f"Asking again in {waiting.seconds:.0f} s: {waiting.error}")

    def _tell_uncounted(self, connection: ModelConnection, usage: Usage) -> None:
        """Tell, once a model for the whole of a person's message, where a limit of cost does not hold for it."""
        model, uncounted = connection.llm.model, self._budget.unpriced_models
        is_counted = usage.cost is not None or connection.has_price
        if self._budget.limits_cost and not is_counted and model not in uncounted:
            uncounted.add(model)
            notice(
                self._context,
                f"The limit of cost does not hold for {model}, whose prices are not known. {PRICES_HINT}",
            )

    def _prefix(self, connection: ModelConnection, request: Request) -> RequestFingerprint:
        history, replaces = self._session.history, self._minutes.replaces is not None
        return RequestFingerprint.of(str(connection), request.messages, request.tools, history, replaces=replaces)

    # What is saved of it

    async def _save_answer(self, completion: Completion, model: str, *, may_call: bool) -> Message:
        self.usage += completion.usage
        message = {**completion.message, "model": model, "usage": completion.usage.as_json()}
        if not may_call and message.pop("tool_calls", None) and not text_of(message):
            message["content"] = "(No answer: it wanted to call something, and nothing could be called any more.)"
        if completion.finish_reason in {"length", "content_filter"}:
            message["interrupted"] = completion.finish_reason
            notice(self._context, f"The server cut the answer short ({completion.finish_reason}).")
        await self._minutes.save(message)
        return message

    async def _save_broken(self, said: list[str], model: str, error: BaseException) -> None:
        if said:
            interrupted = _INTERRUPTED.get(type(error), "error")
            broken = {"role": "assistant", "content": "".join(said), "model": model, "interrupted": interrupted}
            await self._minutes.save(broken)
