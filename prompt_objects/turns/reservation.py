"""`Reservation`: budget for one request, reserved before it is sent and settled when the response has ended."""

import asyncio
import json
from bisect import bisect_left
from collections.abc import Sequence
from typing import Self

import msgspec
from msgspec.structs import replace

from prompt_objects.llm.base import Completion, Request, Usage
from prompt_objects.llm.pricing import Pricing
from prompt_objects.runtime.budget import Budget, Spending

_BYTES_PER_TOKEN = 3  # a low estimate: English text has more, few other languages have less
_MAX_RESPONSE_TOKENS = 8192  # to reserve for a response, if the budget has as many
_MAX_FINAL_RESPONSE_TOKENS = 1024
_MIN_RESPONSE_TOKENS = 64  # a request is not worth sending with fewer


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
