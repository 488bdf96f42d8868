"""Waiting for other processes, such as for a file lock: after a second the user gets a message, and can give up.

A process that was stopped, or whose disk does not respond, may never release a lock. Therefore no system call waits:
`wait_until` polls, reports a long wait, and ends when the user gives up.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from threading import Lock, RLock
from typing import Self

from prompt_objects.errors import StoreError

REPORT_SECONDS = 1.0
GRACE_SECONDS = 0.3
"""How long work that was given up waits nevertheless, so that a lock in normal use does not stop it."""
_FIRST_PAUSE, _MAX_PAUSE = 0.00005, 0.01
_ATTEMPTS_WITHOUT_PAUSE = 30


if sys.platform == "win32":

    def _yield() -> None:
        time.sleep(0)
else:
    _yield = os.sched_yield


class GaveUp(StoreError):
    """The user gave up while an operation waited; it has changed nothing."""


class Work:
    """Work that may have to wait, in all threads that it uses.

    `report` gets a sentence about each wait of more than a second, in any thread, and an empty text when it is over.
    """

    def __init__(self, report: Callable[[str], None], parent: "Work | None" = None) -> None:
        self.report = report
        self._parent = parent
        self._is_given_up = False

    def give_up(self) -> None:
        """End the waits of this work, now and from now on: each raises `GaveUp`."""
        self._is_given_up = True

    @property
    def is_given_up(self) -> bool:
        return self._is_given_up or (self._parent is not None and self._parent.is_given_up)


_WORK: ContextVar[Work] = ContextVar("work", default=Work(lambda _: None))  # noqa: B039 - it is never given up


@contextmanager
def work(report: Callable[[str], None] | None = None) -> Iterator[Work]:
    """Begin a piece of work: what runs in the block, and all tasks and threads that it starts.

    It is given up with the work around it; its waits are reported to `report`, by default as there.
    """
    around = _WORK.get()
    token = _WORK.set(Work(report or around.report, around))
    try:
        yield _WORK.get()
    finally:
        _WORK.reset(token)


@contextmanager
def fail_fast() -> Iterator[None]:
    """Make the work in a `with` block fail instead of waiting."""
    with work(lambda _: None) as impatient:
        impatient.give_up()
        yield


def may_wait() -> bool:
    """Return whether the current work may wait for a lock or a server."""
    return not _WORK.get().is_given_up


class Wait:
    """One wait of the current work, in a `with` block; `what` describes what it waits for.

    Call `check` before each pause. It raises `GaveUp` if the work was given up.
    """

    def __init__(self, what: Callable[[], str]) -> None:
        self._what = what
        self._work = _WORK.get()
        self._since = time.monotonic()
        self._is_reported = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_reported:
            self._work.report("")

    def check(self) -> None:
        seconds = time.monotonic() - self._since
        if seconds >= GRACE_SECONDS and self._work.is_given_up:
            raise GaveUp(f"Gave up waiting for {self._what()}.", hint="Data saved earlier is safe. Try again later.")
        if seconds >= REPORT_SECONDS and not self._is_reported:
            self._is_reported = True
            self._work.report(f"Waiting for {self._what()}.")


def wait_until(attempt: Callable[[], bool], what: Callable[[], str]) -> None:
    """Try until an attempt succeeds; the pauses between attempts grow to 10 ms.

    At first there are no pauses: a lock that several processes use all the time is free in some microseconds.
    """
    for _ in range(_ATTEMPTS_WITHOUT_PAUSE):
        _yield()
        if attempt():
            return
    pause = _FIRST_PAUSE
    with Wait(what) as wait:
        while not attempt():
            wait.check()
            time.sleep(pause)
            pause = min(pause * 1.25, _MAX_PAUSE)


class Mutex:
    """A lock between the threads of this process, whose owner may be waiting for another process.

    `what` describes what it protects. A `recursive` one can be taken again by its owner. `try_acquire` tells whether
    it was free and is taken now.
    """

    def __init__(self, what: str, *, recursive: bool = False) -> None:
        self._what = what
        self._lock = RLock() if recursive else Lock()
        self.try_acquire = partial(self._lock.acquire, False)  # noqa: FBT003 - faster than a method
        self.release = self._lock.release

    def acquire(self) -> None:
        """Take the lock. Raises `GaveUp`."""
        if not self.try_acquire():
            self._wait()

    def _wait(self) -> None:
        with Wait(lambda: f"another operation on {self._what}") as wait:
            while not self._lock.acquire(timeout=GRACE_SECONDS):
                wait.check()

    def __enter__(self) -> Self:
        if not self.try_acquire():
            self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
