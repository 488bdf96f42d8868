"""One request, paid for out of a budget: an amount is set aside before, and what it took is counted after."""

import asyncio
import json
from bisect import bisect_left
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec
from msgspec.structs import replace

from prompt_objects.llm.base import Completion, Request, Usage
from prompt_objects.llm.pricing import Pricing
from prompt_objects.runtime.budget import Budget, Spending

__all__ = [
    "Reservation",
]

_BYTES_OF_TOKEN = 3  # on the safe side: English has more to a token, few other languages have less
_LONGEST_ANSWER = 8192  # so many tokens are set aside for an answer, where there are as many
_LAST_ANSWER = 1024
_SHORTEST_ANSWER = 64  # with room for less, a request is not worth sending


class Reservation:
    """An `async with` block in which one request is sent.

    Entering it waits where others may give back what is missing, and raises `LimitReached` where the budget has not
    enough. `request` is what to send: where tokens or cost are limited, an answer may have as many tokens as were set
    aside. The last request of a turn (`is_last`) goes beyond the turn's own limits, but not beyond those above.
    `said` is what has come of the answer so far: it counts where the answer breaks off.
    """

    def __init__(
        self,
        budget: Budget,
        pricing: Pricing,
        request: Request,
        said: Sequence[str] = (),
        *,
        is_last: bool = False,
    ) -> None:
        self.request = request
        self._said = said
        self._budget = budget
        self._pricing = pricing
        self._is_last = is_last
        self._prompt = 0  # its tokens, where they matter
        self._reserved = Spending(requests=1)
        self._took: Spending | None = None  # not known yet

    async def __aenter__(self) -> Self:
        if self._is_last:
            self._budget.allow_final_request()
        if self._budget.limits_tokens_or_cost:  # in a thread: of a long history it takes some milliseconds
            self._prompt = await asyncio.to_thread(_tokens, [self.request.messages, self.request.tools])
        while not self._reserve():
            await self._budget.wait_for_settlement()
        return self

    def _reserve(self) -> bool:
        if self._budget.limits_tokens_or_cost:
            self._estimate()
        return self._budget.reserve(self._reserved)

    def _estimate(self) -> None:
        answer = self._longest_answer()
        self._reserved = self._amount(Usage(self._prompt, answer))
        options = {**self.request.options, "max_completion_tokens": answer}
        self.request = replace(self.request, options=options)

    def _longest_answer(self) -> int:
        """Return how many tokens the budget has for an answer, within reason, whatever others have set aside."""
        lengths = range(_SHORTEST_ANSWER, (_LAST_ANSWER if self._is_last else _LONGEST_ANSWER) + 1)
        fitting = bisect_left(lengths, x=True, key=self._is_too_long)
        return lengths[max(0, fitting - 1)]

    def _is_too_long(self, answer: int) -> bool:
        return not self._budget.allows(self._amount(Usage(self._prompt, answer)))

    def settle(self, completion: Completion) -> Completion:
        """Count what an answer took, and return it with its cost; where the server is silent, the estimate stands."""
        usage = completion.usage
        if not usage.total:
            self._took = self._reserved
            return completion
        if usage.cost is None:
            usage = replace(usage, cost=self._pricing(usage))
        self._took = Spending(1, usage.total, usage.cost or 0.0)
        return replace(completion, usage=usage)

    def cancel(self) -> None:
        """Count nothing: no answer began."""
        self._took = Spending()

    def _broken_off(self) -> Spending:
        """Reckon what an answer took of whose end nothing was heard: what was sent, and what came."""
        return self._amount(Usage(self._prompt, _tokens("".join(self._said))))

    def _amount(self, usage: Usage) -> Spending:
        return Spending(1, usage.total, self._pricing(usage) or 0.0)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.settle(self._reserved, self._broken_off() if self._took is None else self._took)


def _tokens(sent: object) -> int:
    """Reckon how many tokens something has that is sent or received."""
    return _size(sent) // _BYTES_OF_TOKEN


def _size(sent: object) -> int:
    """Return how many bytes it is in JSON."""
    try:
        return len(msgspec.json.encode(sent))
    except UnicodeEncodeError:  # half of a surrogate pair, as file names may hold
        return len(json.dumps(sent))
