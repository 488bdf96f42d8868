"""Requests to the user: approvals of tool calls and questions, one at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Literal, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from msgspec import Struct

from prompt_objects.config.argument_kind import ArgumentKind
from prompt_objects.config.permissions import Effect
from prompt_objects.runtime.budget import Budget

_MAX_DIGITS = 4  # of the number of a choice; Python refuses to read numbers of thousands of digits


class ApprovalRequest(Struct, frozen=True, kw_only=True):
    """A tool call that needs the user's approval.

    `path` names the prompt objects from the top-level turn to the one that made the call. `kinds` says which
    arguments are paths, URLs and commands. `diff` is a unified diff of the file that the call would change, and
    `in_diff` names the arguments whose whole effect it shows; `remarks` are sentences about further consequences. If
    `for_session` is False, the call can only be approved once, not for the rest of the session.
    """

    path: tuple[str, ...]
    session_id: str
    tool: str
    effect: Effect
    arguments: Mapping[str, Any]
    kinds: Mapping[str, ArgumentKind] = {}
    diff: str = ""
    in_diff: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    for_session: bool = True


class EditedArguments(Struct, frozen=True):
    """The decision to run the call once, with other arguments."""

    arguments: dict[str, Any]


Decision: TypeAlias = Literal["once", "session", "no", "never"] | EditedArguments
"""`session` and `never` are remembered for this prompt object, this tool and the user's session."""


class InputRequest(Struct, frozen=True, kw_only=True):
    """A question of a prompt object to the user.

    `path` names the prompt objects from the top-level turn to the one that asks. `choices` are suggested answers; the
    user may give any other.
    """

    path: tuple[str, ...]
    session_id: str
    question: str
    choices: tuple[str, ...] = ()

    def resolve(self, typed: str) -> str:
        """Return the answer that was typed: a choice, given by its number or in any case, or the text itself."""
        text = typed.strip()
        is_number = text.isdecimal() and len(text) <= _MAX_DIGITS
        if is_number and 1 <= int(text) <= len(self.choices):
            return self.choices[int(text) - 1]
        return next((choice for choice in self.choices if choice.casefold() == text.casefold()), text)


class InteractionHandler(Protocol):
    """Presents requests to the user and returns the answers; implemented by user interfaces."""

    async def approve(self, request: ApprovalRequest) -> Decision:
        """Return the user's decision on a tool call."""

    async def ask(self, request: InputRequest) -> str | None:
        """Return the text that the user typed; None or an empty text if the user did not answer."""


class Stopwatch:
    """Measures the time of a tool call, without the time in which it, or a call below it, waits for the user."""

    current: ContextVar["Stopwatch | None"] = ContextVar("stopwatch", default=None)
    """The one of the call that runs in this task."""

    def __init__(self) -> None:
        self._outer = self.current.get()
        self._start = time.perf_counter()
        self._waits = 0
        self._waiting_since = 0.0

    @property
    def seconds(self) -> float:
        """The time so far."""
        return (self._waiting_since if self._waits else time.perf_counter()) - self._start

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make it the stopwatch of this task, and of the tasks that it starts, during the block."""
        token = self.current.set(self)
        try:
            yield
        finally:
            self.current.reset(token)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Do not count the time of the block, neither here nor in the calls above."""
        with self._outer.stopped() if self._outer else nullcontext():
            if not self._waits:
                self._waiting_since = time.perf_counter()
            self._waits += 1
            try:
                yield
            finally:
                self._waits -= 1
                if not self._waits:
                    self._start += time.perf_counter() - self._waiting_since


class UserInteraction:
    """Asks the user, one request at a time. `handler` is None if no user can be asked."""

    def __init__(self) -> None:
        self.handler: InteractionHandler | None = None
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @asynccontextmanager
    async def exclusive(self, budget: Budget | None) -> AsyncIterator[None]:
        """Wait until no other request is open; while waiting and in the block, the time limits are paused."""
        # One lock per event loop: an asyncio.Lock cannot be shared between loops, but this object can.
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        stopwatch = Stopwatch.current.get()
        with budget.paused() if budget else nullcontext(), stopwatch.stopped() if stopwatch else nullcontext():
            async with lock:
                yield
