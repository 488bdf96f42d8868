"""What one message may take, with all delegations that follow from it: requests, tokens, cost and time.

Every turn has a budget of its own, made from its prompt object's limits, that belongs to the budget of the turn which
asked it: what a child takes, all turns above it take too, and the smallest limit on the way counts. Before a request
is sent, what it may take is reserved, with all of them or with none; what it did take is settled afterwards. So
children that run side by side cannot go over a limit together. As most take far less than they reserve, a request for
which there is room but for the reservations of others waits until these are settled. That ends: a reservation is held
only while its request is answered, never while a turn waits for another one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from msgspec import Struct, field

from prompt_objects.config.limits import Limits
from prompt_objects.errors import LimitReached
from prompt_objects.utils.text import pluralize

__all__ = [
    "Budget",
    "Spending",
]

_LAST_WORDS_SECONDS = 30.0


class Spending(Struct, frozen=True):
    """What requests take: how many there are, their tokens, in and out, and their cost in US dollars."""

    requests: int = field(default=0, name="turns")  # the name in trace files
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(self.requests + other.requests, self.tokens + other.tokens, self.cost + other.cost)


class Budget:
    """What one turn may take, and what it and all turns below it took; used in one event loop.

    `owner` is the prompt object whose limits these are. `clock` gives seconds, counted from when this was made.
    `uncounted` names the models whose answers are missing from the cost, although it is limited; one set for all
    budgets of a tree.
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
        self.spent = Spending()
        self._parent = above
        self._reserved: list[Spending] = []  # not their sum: of costs it would not come back to exactly 0
        self._is_lifted = False
        self._most_seconds = limits.seconds  # of its own; more for last words
        self._settled = asyncio.Event()  # at the root: set, and followed by a new one, whenever something is settled
        self._clock = clock
        self._start = clock()
        self._pauses = 0  # how many wait for a person at this moment
        self._stopped_at = 0.0
        self._timeouts: dict[asyncio.Timeout, Budget] = {}  # of all budgets below, at the root
        self.unpriced_models: set[str] = set() if above is None else above.unpriced_models

    def _upward(self) -> Iterator["Budget"]:
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget._parent  # noqa: SLF001 - of the same kind

    @property
    def root(self) -> "Budget":
        """The budget of the turn that started it all."""
        *_, root = self._upward()
        return root

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return (self._stopped_at if self._pauses else self._clock()) - self._start

    @property
    def seconds_left(self) -> float | None:
        """How much time is left, by this and all budgets above; None without a limit, never less than 0."""
        bounds = ((each, each._most_seconds) for each in self._upward())  # noqa: SLF001
        return min((max(0.0, most - each.seconds) for each, most in bounds if most is not None), default=None)

    @property
    def limits_tokens_or_cost(self) -> bool:
        """Say whether it matters how large a request is, as tokens or cost are limited, here or above."""
        return any(each.limits.tokens is not None or each.limits.cost is not None for each in self._upward())

    @property
    def limits_cost(self) -> bool:
        """Say whether cost is limited, here or above."""
        return any(each.limits.cost is not None for each in self._upward())

    @contextmanager
    def paused(self) -> Iterator[None]:
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
    async def timeout(self) -> AsyncIterator[None]:
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
            each._check_time()  # noqa: SLF001

    def allow_final_request(self) -> None:
        """Go by the limits above alone from now on: for the last words of a turn that reached its own.

        Where it is its time that is up, they have 30 seconds.
        """
        if not self._is_lifted:
            self._is_lifted = True
            self._most_seconds = self.seconds + _LAST_WORDS_SECONDS if self._is_time_up() else None

    def allows(self, amount: Spending) -> bool:
        """Say whether there is room for an amount, here and above, if nothing comes of what others reserved."""
        return not any(each._exceeded(each.spent + amount) for each in self._upward())  # noqa: SLF001

    def reserve(self, amount: Spending) -> bool:
        """Set an amount aside, here and in all budgets above.

        Returns False where there may be room after a `settlement`, and raises `LimitReached` where there will be
        none; then nothing is set aside.
        """
        for each in self._upward():
            each._check(amount)  # noqa: SLF001
        if any(each._exceeded(sum(each._reserved, each.spent + amount)) for each in self._upward()):  # noqa: SLF001
            return False
        for each in self._upward():
            each._reserved.append(amount)  # noqa: SLF001
        return True

    async def wait_for_settlement(self) -> None:
        """Wait until something that was reserved is settled, in whichever turn, or until time is up."""
        settled = self.root._settled  # noqa: SLF001
        with suppress(TimeoutError):
            async with self.timeout():
                await settled.wait()

    def settle(self, reserved: Spending, took: Spending) -> None:
        """Put in the place of what was reserved what was taken."""
        for each in self._upward():
            each._reserved.remove(reserved)  # noqa: SLF001
            each.spent += took
        root = self.root
        root._settled.set()  # noqa: SLF001
        root._settled = asyncio.Event()  # noqa: SLF001

    def _stop(self) -> None:
        if not self._pauses:
            self._stopped_at = self._clock()
        self._pauses += 1

    def _go_on(self) -> None:
        self._pauses -= 1
        if not self._pauses:
            self._start += self._clock() - self._stopped_at

    def _set_all(self) -> None:
        for timeout, budget in self.root._timeouts.items():  # noqa: SLF001
            budget._set(timeout)  # noqa: SLF001

    def _set(self, timeout: asyncio.Timeout) -> None:
        """Have a block end when time is up, of this and all budgets above whose time goes on at this moment."""
        going_on = ((each, each._most_seconds) for each in self._upward() if not each._pauses)  # noqa: SLF001
        left = min((most - each.seconds for each, most in going_on if most is not None), default=None)
        if not timeout.expired():
            timeout.reschedule(None if left is None else asyncio.get_running_loop().time() + left)

    def _check(self, amount: Spending) -> None:
        self._check_time()
        if limit := self._exceeded(self.spent + amount):
            raise self._reached(limit)

    def _check_time(self) -> None:
        if self._is_time_up():
            raise self._reached(f"{self.limits.seconds:g} seconds")

    def _is_time_up(self) -> bool:
        return self._most_seconds is not None and self.seconds >= self._most_seconds

    def _exceeded(self, total: Spending) -> str:
        """Name the limit that so much in all would exceed, or none."""
        limits = self.limits
        if self._is_lifted:
            return ""
        if total.requests > limits.requests:
            return pluralize(limits.requests, "request")
        if limits.tokens is not None and total.tokens > limits.tokens:
            return pluralize(limits.tokens, "token")
        if limits.cost is not None and total.cost > limits.cost:
            return f"{limits.cost:g} US dollars"
        return ""

    def _reached(self, limit: str) -> LimitReached:
        return LimitReached(f"{self.owner}'s limit of {limit} is reached.", self)
