"""Work in a thread that nobody has to wait for, not even the end of the program."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

__all__ = ["beside"]

T = TypeVar("T")


def beside(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Have `work` done, and return what will be its outcome; it is broken off where the program ends before.

    So it must not be work that is to be done to its end; that belongs into `asyncio.to_thread`.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not outcome.done():  # else it was cancelled
            tell()

    def run() -> None:
        try:
            tell = partial(outcome.set_result, work())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the outcome is awaited
            tell = partial(outcome.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, name="beside", daemon=True).start()
    return outcome
