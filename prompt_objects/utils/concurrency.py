"""Helpers for asyncio and threads: uninterruptible awaits, daemon threads, and failing fast."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

__all__ = [
    "beside",
    "fail_fast",
    "in_thread",
    "may_wait",
    "uninterrupted",
]

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` so that a cancellation takes effect only when it is done; what it raised then is its cause."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled() and (failure := task.exception()):
            raise cancelled from failure
        raise


_PATIENT = ContextVar("patient", default=True)


def may_wait() -> bool:
    """Say whether the work that is under way may wait."""
    return _PATIENT.get()


@contextmanager
def fail_fast() -> Iterator[None]:
    """Have what is done in a `with` block fail at once where it would have to wait."""
    token = _PATIENT.set(False)
    try:
        yield
    finally:
        _PATIENT.reset(token)


async def in_thread(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call `function` in a new thread and return what it returns, or raise what it raises.

    Cancelled, this ends at once, and the function goes on by itself. The threads that the program saves sessions
    with are others, so that functions cannot use them up.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    copied = contextvars.copy_context()

    def work() -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = copied.run(function, **arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            failure = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(_settle, future, result, failure)

    threading.Thread(target=work, name=f"tool {function.__name__}", daemon=True).start()
    return await future


def _settle(future: "asyncio.Future[Any]", result: Any, failure: BaseException | None) -> None:
    if future.done():  # cancelled
        return
    if failure is None:
        future.set_result(result)
    elif isinstance(failure, (SystemExit, KeyboardInterrupt, StopIteration)):
        # These mean something to the loop that the function cannot have meant.
        future.set_exception(RuntimeError(f"it raised {type(failure).__name__}"))
    else:
        future.set_exception(failure)


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
