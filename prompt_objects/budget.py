"""What one message may take, with all delegations that follow from it: requests, tokens, cost and time.

Every turn has a budget of its own, made from its prompt object's limits, that belongs to the budget of the turn which
asked it: what a child takes, all turns above it take too, and the smallest limit on the way counts. Before a request
is sent, what it may take is reserved, with all of them or with none; what it did take is settled afterwards. So
children that run side by side cannot go over a limit together.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from prompt_objects.errors import LimitReached
from prompt_objects.limits import Limits

__all__ = ["Amount", "Budget"]


class Amount(Struct, frozen=True):
    """What requests take: how many there are, their tokens, in and out, and their cost in US dollars."""

    turns: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.turns + other.turns, self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.turns - other.turns, self.tokens - other.tokens, self.cost - other.cost)


class Budget:
    """What one turn may take, and what it and all turns below it took; used in one event loop.

    `owner` is the prompt object whose limits these are. `clock` gives seconds, counted from when this was made.
    """

    def __init__(
        self,
        owner: str,
        limits: Limits,
        above: "Budget | None" = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = owner
        self.limits = limits
        self.spent = Amount()
        self._above = above
        self._reserved = Amount()
        self._clock = clock
        self._start = clock()
        self._excuses = 0  # how many wait for a person at this moment
        self._stopped_at = 0.0
        self._timeouts: dict[asyncio.Timeout, Budget] = {}  # of all budgets below, at the root

    def _upward(self) -> Iterator["Budget"]:
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget._above  # noqa: SLF001 - of the same kind

    @property
    def root(self) -> "Budget":
        """The budget of the turn that started it all."""
        *_, root = self._upward()
        return root

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return (self._stopped_at if self._excuses else self._clock()) - self._start

    @property
    def seconds_left(self) -> float | None:
        """How much time is left, by this and all budgets above; None without a limit, never less than 0."""
        bounded = (each for each in self._upward() if each.limits.seconds is not None)
        return min((max(0.0, (each.limits.seconds or 0.0) - each.seconds) for each in bounded), default=None)

    @property
    def tokens_left(self) -> int | None:
        """How many tokens are neither taken nor reserved, by this and all budgets above; None without a limit."""
        bounded = (each for each in self._upward() if each.limits.tokens is not None)
        return min((max(0, (each.limits.tokens or 0) - each._used.tokens) for each in bounded), default=None)  # noqa: SLF001

    @property
    def limits_cost(self) -> bool:
        """Say whether cost is limited, here or above."""
        return any(each.limits.cost is not None for each in self._upward())

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Do not count the time of the block, here and above: a person is waited for."""
        for each in self._upward():
            each._stop()  # noqa: SLF001
        self._set_all()
        try:
            yield
        finally:
            for each in self._upward():
                each._go_on()  # noqa: SLF001
            self._set_all()

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Let the block go on while there is time, here and above; raises `TimeoutError` when there is no more."""
        root = self.root
        async with asyncio.timeout(None) as timeout:
            root._timeouts[timeout] = self  # noqa: SLF001
            self._set(timeout)
            try:
                yield
            finally:
                del root._timeouts[timeout]  # noqa: SLF001

    def check_time(self) -> None:
        """Raise `LimitReached` where time is up."""
        for each in self._upward():
            limit = each.limits.seconds
            if limit is not None and each.seconds >= limit:
                raise LimitReached(_reached(each.owner, f"{limit:g} seconds"), each)

    def reserve(self, amount: Amount) -> None:
        """Set an amount aside, here and in all budgets above. Raises `LimitReached`, and nothing is set aside."""
        self.check_time()
        for each in self._upward():
            each._check(amount)  # noqa: SLF001
        self.grant(amount)

    def grant(self, amount: Amount) -> None:
        """Set an amount aside whatever the limits say: for the last words of a turn that reached its own."""
        for each in self._upward():
            each._reserved += amount  # noqa: SLF001

    def settle(self, reserved: Amount, took: Amount) -> None:
        """Put in the place of what was reserved what was taken."""
        for each in self._upward():
            each._reserved -= reserved  # noqa: SLF001
            each.spent += took

    def _stop(self) -> None:
        if not self._excuses:
            self._stopped_at = self._clock()
        self._excuses += 1

    def _go_on(self) -> None:
        self._excuses -= 1
        if not self._excuses:
            self._start += self._clock() - self._stopped_at

    def _set_all(self) -> None:
        for timeout, budget in self.root._timeouts.items():  # noqa: SLF001
            budget._set(timeout)  # noqa: SLF001

    def _set(self, timeout: asyncio.Timeout) -> None:
        """Have a block end when time is up, of this and all budgets above whose time goes on at this moment."""
        going_on = (each for each in self._upward() if each.limits.seconds is not None and not each._excuses)  # noqa: SLF001
        left = min(((each.limits.seconds or 0.0) - each.seconds for each in going_on), default=None)
        if not timeout.expired():
            timeout.reschedule(None if left is None else asyncio.get_running_loop().time() + left)

    @property
    def _used(self) -> Amount:
        return self.spent + self._reserved

    def _check(self, amount: Amount) -> None:
        used, limits = self._used, self.limits
        if used.turns + amount.turns > limits.turns:
            raise LimitReached(_reached(self.owner, f"{limits.turns} steps"), self)
        if limits.tokens is not None and used.tokens + amount.tokens > limits.tokens:
            raise LimitReached(_reached(self.owner, f"{limits.tokens:,} tokens"), self)
        if limits.cost is not None and used.cost + amount.cost > limits.cost:
            raise LimitReached(_reached(self.owner, f"{limits.cost:g} US dollars"), self)


def _reached(owner: str, limit: str) -> str:
    return f"{owner}'s limit of {limit} is reached."
