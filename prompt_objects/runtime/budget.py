"""Budgets: the requests, tokens, cost and time that a message and all its delegations may use.

Every turn has a budget with the limits of its prompt object, and counts toward the budgets of all turns above it; the
smallest limit applies. Before a request is sent, its estimated spending is reserved in all of these budgets or in
none; after the response, its actual spending is settled. So parallel delegations cannot exceed a limit together. As
most requests spend far less than they reserve, a request that fits only without the reservations of others waits
until those are settled. This ends: a reservation is held only during a request, never while a turn waits for another.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from msgspec import Struct, field

from prompt_objects.config.limits import Limits
from prompt_objects.errors import LimitReached
from prompt_objects.utils.text import pluralize

_FINAL_SECONDS = 30.0


class Spending(Struct, frozen=True):
    """What requests spend: their number, their tokens (prompts and responses), and their cost in US dollars."""

    requests: int = field(default=0, name="turns")  # the name in trace files
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(self.requests + other.requests, self.tokens + other.tokens, self.cost + other.cost)


class Budget:
    """The budget of one turn, which counts toward `parent`; used in one event loop.

    `owner` is the name of the prompt object, `root` the budget of the top-level turn. `clock` returns seconds; time
    counts from the creation. `unpriced_models`, shared by all budgets of a message, are models whose cost is unknown.
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
        self.limits = limits
        self.root: Budget = parent.root if parent else self
        self.chain: _Chain = _Chain(_Account(self, owner, clock), parent.chain if parent else None)
        self.unpriced_models = self.chain.shared.unpriced_models
        self.limits_cost = any(each.limits.cost is not None for each in self.chain)
        self.limits_tokens_or_cost = self.limits_cost or any(each.limits.tokens is not None for each in self.chain)

    @property
    def spent(self) -> Spending:
        """What this turn and its delegations have spent."""
        return self.chain.own.spent

    @property
    def seconds(self) -> float:
        """How long the turn has been running, without pauses."""
        return self.chain.own.seconds

    @property
    def seconds_left(self) -> float | None:
        """The time left in this budget and all above it, at least 0; None without a time limit."""
        left = self.chain.seconds_left()
        return None if left is None else max(0.0, left)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the clocks of this budget and its parents while waiting for the user."""
        for each in self.chain:
            each.pause()
        self.chain.reschedule_all()
        try:
            yield
        finally:
            for each in self.chain:
                each.resume()
            self.chain.reschedule_all()

    @asynccontextmanager
    async def timeout(self) -> AsyncIterator[None]:
        """Raise `TimeoutError` in the block when the time of this budget or one above it is up."""
        async with asyncio.timeout(None) as timeout:
            self.chain.shared.timeouts[timeout] = self.chain
            self.chain.reschedule(timeout)
            try:
                yield
            finally:
                del self.chain.shared.timeouts[timeout]

    def check_time(self) -> None:
        """Raise `LimitReached` if time is up."""
        for each in self.chain:
            each.check_time()

    def allow_final_request(self) -> None:
        """Ignore the limits of this budget from now on, but not those above it; if time is up, allow 30 seconds."""
        self.chain.own.lift_limits()

    def allows(self, amount: Spending) -> bool:
        """Return whether this budget and all above it have room for an amount, ignoring reservations."""
        return not any(each.exceeded_limit(each.spent + amount) for each in self.chain)

    def reserve(self, amount: Spending) -> bool:
        """Reserve an amount in this budget and all above it, or in none of them.

        Returns False if there may be room after a settlement; raises `LimitReached` if there will be none.
        """
        for each in self.chain:
            each.check(amount)
        if any(each.exceeded_limit(sum(each.reserved, each.spent + amount)) for each in self.chain):
            return False
        for each in self.chain:
            each.reserved.append(amount)
        return True

    async def wait_for_settlement(self) -> None:
        """Wait until any turn of the message settles a reservation, or time is up."""
        settled = self.chain.shared.settled
        with suppress(TimeoutError):
            async with self.timeout():
                await settled.wait()

    def settle(self, reserved: Spending, spent: Spending) -> None:
        """Replace a reservation by the actual spending."""
        for each in self.chain:
            each.reserved.remove(reserved)
            each.spent += spent
        self.chain.notify_settlement()


class _Account:
    def __init__(self, budget: Budget, owner: str, clock: Callable[[], float]) -> None:
        self.limits = budget.limits
        self.spent = Spending()
        self.reserved: list[Spending] = []  # not their sum: a sum of costs would not return to exactly 0
        self.max_seconds = self.limits.seconds
        self._budget = budget
        self._owner = owner
        self._ignores_limits = False
        self._clock = clock
        self._start = clock()
        self._pauses = 0
        self._paused_at = 0.0

    @property
    def seconds(self) -> float:
        return (self._paused_at if self._pauses else self._clock()) - self._start

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

    def lift_limits(self) -> None:
        if not self._ignores_limits:
            self._ignores_limits = True
            self.max_seconds = self.seconds + _FINAL_SECONDS if self._is_time_up() else None

    def check(self, amount: Spending) -> None:
        self.check_time()
        if limit := self.exceeded_limit(self.spent + amount):
            raise self._limit_reached(limit)

    def check_time(self) -> None:
        if self._is_time_up():
            raise self._limit_reached(f"{self.limits.seconds:g} seconds")

    def exceeded_limit(self, total: Spending) -> str:
        """Return the limit that a total exceeds, in words; empty if it exceeds none."""
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

    def _is_time_up(self) -> bool:
        return self.max_seconds is not None and self.seconds >= self.max_seconds

    def _limit_reached(self, limit: str) -> LimitReached:
        return LimitReached(f"{self._owner}'s limit of {limit} is reached.", self._budget)


class _Shared:
    """The state that all budgets of a message share."""

    def __init__(self) -> None:
        self.unpriced_models: set[str] = set()
        self.timeouts: dict[asyncio.Timeout, _Chain] = {}
        self.settled = asyncio.Event()  # set at the next settlement, then replaced by a new one


class _Chain:
    """The accounts from a turn's own up to that of the top-level turn."""

    def __init__(self, own: _Account, parent: "_Chain | None") -> None:
        self.own = own
        self.accounts: tuple[_Account, ...] = (own, *parent.accounts) if parent else (own,)
        self.shared: _Shared = parent.shared if parent else _Shared()

    def __iter__(self) -> Iterator[_Account]:
        return iter(self.accounts)

    def seconds_left(self, *, running_only: bool = False) -> float | None:
        limited = ((each, each.max_seconds) for each in self if not (running_only and each.is_paused))
        return min((most - each.seconds for each, most in limited if most is not None), default=None)

    def reschedule(self, timeout: asyncio.Timeout) -> None:
        """Set the time of a timeout by the accounts whose clocks are running."""
        left = self.seconds_left(running_only=True)
        if not timeout.expired():
            timeout.reschedule(None if left is None else asyncio.get_running_loop().time() + left)

    def reschedule_all(self) -> None:
        for timeout, chain in self.shared.timeouts.items():
            chain.reschedule(timeout)

    def notify_settlement(self) -> None:
        self.shared.settled.set()
        self.shared.settled = asyncio.Event()
