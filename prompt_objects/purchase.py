"""One request, paid for out of a budget: an amount is set aside before, and what it took is counted after."""

import json
from types import TracebackType
from typing import Self

import msgspec
from msgspec.structs import replace

from prompt_objects.budget import Amount, Budget
from prompt_objects.llm import Completion, Request, Usage
from prompt_objects.llm.prices import Pricing

__all__ = ["Purchase"]

_BYTES_OF_TOKEN = 3  # on the safe side: English has more to a token, few other languages have less
_LONGEST_ANSWER = 8192  # so many tokens are set aside for an answer, where there are as many
_LAST_ANSWER = 1024
_SHORTEST_ANSWER = 64  # with room for less, a request is not worth sending


class Purchase:
    """A `with` block in which one request is sent. Entering it raises `LimitReached` where the budget has not enough.

    `request` is what to send: where tokens or cost are limited, an answer may have as many tokens as were set aside.
    The last request of a turn (`is_last`) is granted whatever the limits say.
    """

    def __init__(self, budget: Budget, pricing: Pricing, request: Request, *, is_last: bool = False) -> None:
        self.request = request
        self._budget = budget
        self._pricing = pricing
        self._is_last = is_last
        self._reserved = self._took = Amount(turns=1)

    def __enter__(self) -> Self:
        if self._budget.tokens_left is not None or self._budget.limits_cost:
            self._estimate()
        if self._is_last:
            self._budget.grant(self._reserved)
        else:
            self._budget.reserve(self._reserved)
        return self

    def _estimate(self) -> None:
        prompt = _size([self.request.messages, self.request.tools]) // _BYTES_OF_TOKEN
        answer = _LAST_ANSWER if self._is_last else _LONGEST_ANSWER
        left = self._budget.tokens_left
        if left is not None and not self._is_last:
            answer = max(_SHORTEST_ANSWER, min(answer, left - prompt))
        self._reserved = self._amount(Usage(prompt, answer))
        self._took = self._amount(Usage(prompt, 0))  # at least, if nothing is heard of it any more
        options = {**self.request.options, "max_completion_tokens": answer}
        self.request = replace(self.request, options=options)

    def paid(self, completion: Completion) -> Completion:
        """Count what an answer took, and return it with its cost; where the server is silent, the estimate stands."""
        usage = completion.usage
        if not usage.total:
            self._took = self._reserved
            return completion
        if usage.cost is None:
            usage = replace(usage, cost=self._pricing(usage))
        self._took = Amount(1, usage.total, usage.cost or 0.0)
        return replace(completion, usage=usage)

    def refused(self) -> None:
        """Count nothing: no answer began."""
        self._took = Amount()

    def _amount(self, usage: Usage) -> Amount:
        return Amount(1, usage.total, self._pricing(usage) or 0.0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.settle(self._reserved, self._took)


def _size(sent: object) -> int:
    """Return how many bytes it is in JSON."""
    try:
        return len(msgspec.json.encode(sent))
    except UnicodeEncodeError:  # half of a surrogate pair, as file names may hold
        return len(json.dumps(sent))
