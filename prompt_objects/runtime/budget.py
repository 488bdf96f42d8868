"""Budgets: the requests, tokens, cost and time that a message and all its delegations may use.

Every turn has a budget with the limits of its prompt object, and counts toward the budgets of all turns above it; the
smallest limit applies. Before a request is sent, its estimated spending is reserved in all of these budgets or in
none; after the response, its actual spending is settled. So parallel delegations cannot exceed a limit together. As
most requests spend far less than they reserve, a request that fits only without the reservations of others waits
until those are settled. This ends: a reservation is held only during a request, never while a turn waits for another.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from msgspec import Struct, field

from prompt_objects.config.limits import Limits
from prompt_objects.errors import LimitReached
from prompt_objects.utils.text import pluralize

_FINAL_SECONDS = 30.0


class Spending(Struct, frozen=True):
    """The spending of requests: their number, their tokens (prompts and responses), and their cost in US dollars."""

    requests: int = field(default=0, name="turns")  # the name in trace files
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(self.requests + other.requests, self.tokens + other.tokens, self.cost + other.cost)


class Budget:
    """The budget of one turn, which counts toward `parent`; used in one event loop.

    `owner` is the name of the prompt object. `root` is the budget of the top-level turn, `chain` all budgets from
    this one to it. `spent` is what this turn and its delegations have spent, `reserved` what their requests in
    progress may spend. `unpriced_models`, shared by all budgets of a message, are models whose cost is unknown.
    `limits_cost` and `limits_tokens_or_cost` say whether this budget or one above it has such a limit.
    """

    def __init__(
        self,
        owner: str,
        limits: Limits,
        parent: "Budget | None" = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = owner
        self.limits = limits
        self.spent = Spending()
        self.reserved: list[Spending] = []  # not their sum: a sum of costs would not return to exactly 0
        self.timer = _Timer(limits.seconds, clock)
        self.root: Budget = parent.root if parent else self
        self.chain: tuple[Budget, ...] = (self, *parent.chain) if parent else (self,)
        self.unpriced_models: set[str] = parent.unpriced_models if parent else set()
        self.limits_cost = any(each.limits.cost is not None for each in self.chain)
        self.limits_tokens_or_cost = self.limits_cost or any(each.limits.tokens is not None for each in self.chain)
        self._ignores_limits = False
        # Used in the budget of the top-level turn only:
        self.timeouts: dict[asyncio.Timeout, Budget] = {}
        self.settled = asyncio.Event()  # set at the next settlement, then replaced by a new one

    @property
    def seconds_left(self) -> float | None:
        """The time left in this budget and all above it, at least 0; None without a time limit."""
        left = _shortest(each.timer for each in self.chain)
        return None if left is None else max(0.0, left)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the timers of this budget and its parents while waiting for the user."""
        for each in self.chain:
            each.timer.pause()
        self._reschedule_timeouts()
        try:
            yield
        finally:
            for each in self.chain:
                each.timer.resume()
            self._reschedule_timeouts()

    def _reschedule_timeouts(self) -> None:
        for timeout, budget in self.root.timeouts.items():
            _reschedule(timeout, budget)

    @asynccontextmanager
    async def timeout(self) -> AsyncIterator[None]:
        """Raise `TimeoutError` in the block when the time of this budget or one above it is up."""
        async with asyncio.timeout(None) as timeout:
            self.root.timeouts[timeout] = self
            _reschedule(timeout, self)
            try:
                yield
            finally:
                del self.root.timeouts[timeout]

    def check_time(self) -> None:
        """Raise `LimitReached` if time is up."""
        for each in self.chain:
            _check(each)

    def allow_final_request(self) -> None:
        """Ignore the limits of this budget from now on, but not those above it; if time is up, allow 30 seconds."""
        if not self._ignores_limits:
            self._ignores_limits = True
            self.timer.limit = self.timer.seconds + _FINAL_SECONDS if self.timer.is_up else None

    def exceeded_limit(self, total: Spending) -> str:
        """Return the limit of this budget alone that a total exceeds, in words; empty if it exceeds none."""
        limits = self.limits
        if self._ignores_limits:
            return ""
        if total.requests > limits.requests:
            return pluralize(limits.requests, "request")
        if limits.tokens is not None and total.tokens > limits.tokens:
            return pluralize(limits.tokens, "token")
        if limits.cost is not None and total.cost > limits.cost:
            return f"{limits.cost:g} US dollars"
        return ""

    def allows(self, amount: Spending) -> bool:
        """Return whether this budget and all above it have room for an amount, ignoring reservations."""
        return not any(each.exceeded_limit(each.spent + amount) for each in self.chain)

    def reserve(self, amount: Spending) -> bool:
        """Reserve an amount in this budget and all above it, or in none of them.

        Returns False if there may be room after a settlement; raises `LimitReached` if there will be none.
        """
        for each in self.chain:
            _check(each, amount)
        if any(each.exceeded_limit(sum(each.reserved, each.spent + amount)) for each in self.chain):
            return False
        for each in self.chain:
            each.reserved.append(amount)
        return True

    async def wait_for_settlement(self) -> None:
        """Wait until any turn of the message settles a reservation, or time is up."""
        with suppress(TimeoutError):
            async with self.timeout():
                await self.root.settled.wait()

    def settle(self, reserved: Spending, spent: Spending) -> None:
        """Replace a reservation by the actual spending."""
        for each in self.chain:
            each.reserved.remove(reserved)
            each.spent += spent
        self.root.settled.set()
        self.root.settled = asyncio.Event()


class _Timer:
    """Counts seconds from its creation, without pauses; time is up after `limit` seconds, if there is a limit."""

    def __init__(self, limit: float | None, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._clock = clock
        self._start = clock()
        self._pauses = 0
        self._paused_at = 0.0

    @property
    def seconds(self) -> float:
        return (self._paused_at if self._pauses else self._clock()) - self._start

    @property
    def is_up(self) -> bool:
        return self.limit is not None and self.seconds >= self.limit

    @property
    def is_paused(self) -> bool:
        return self._pauses > 0

    def pause(self) -> None:
        if not self._pauses:
            self._paused_at = self._clock()
        self._pauses += 1

    def resume(self) -> None:
        self._pauses -= 1
        if not self._pauses:
            self._start += self._clock() - self._paused_at


def _check(budget: Budget, amount: Spending | None = None) -> None:
    """Raise `LimitReached` if the time of one budget is up, or an amount would exceed its limits."""
    limit = "" if amount is None else budget.exceeded_limit(budget.spent + amount)
    if budget.timer.is_up:
        limit = f"{budget.limits.seconds:g} seconds"
    if limit:
        raise LimitReached(f"{budget.owner}'s limit of {limit} is reached.", budget)


def _shortest(timers: Iterable[_Timer]) -> float | None:
    """Return the shortest time left; None if no timer has a limit."""
    return min((timer.limit - timer.seconds for timer in timers if timer.limit is not None), default=None)


def _reschedule(timeout: asyncio.Timeout, budget: Budget) -> None:
    """Set the time of a timeout by the timers that are running."""
    left = _shortest(each.timer for each in budget.chain if not each.timer.is_paused)
    if not timeout.expired():
        timeout.reschedule(None if left is None else asyncio.get_running_loop().time() + left)
