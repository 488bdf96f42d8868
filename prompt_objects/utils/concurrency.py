"""Helpers for asyncio and threads: uninterrupted awaits, daemon threads, and failing instead of waiting."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar, cast

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; a cancellation takes effect only after it has finished.

    If `work` then fails, its error is the cause of the `CancelledError`.
    """
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


_MAY_WAIT = ContextVar("may_wait", default=True)


def may_wait() -> bool:
    """Return whether the current work may wait for a lock or a server."""
    return _MAY_WAIT.get()


@contextmanager
def fail_fast() -> Iterator[None]:
    """Make the work in a `with` block fail instead of waiting."""
    token = _MAY_WAIT.set(False)
    try:
        yield
    finally:
        _MAY_WAIT.reset(token)


def run_in_daemon_thread(function: Callable[[], T]) -> "asyncio.Future[T]":
    """Start `function` in a new thread, with the caller's context variables; return the future of its result.

    The end of the program, or a cancellation of the future, does not wait for the thread. Work that must be
    completed, such as saving, belongs in `asyncio.to_thread`. These threads do not come from its pool.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, failure: BaseException | None) -> None:
        if future.done():  # it was cancelled
            return
        if failure is None:
            future.set_result(cast("T", result))
        elif isinstance(failure, (SystemExit, KeyboardInterrupt, StopIteration)):  # these would end the event loop
            future.set_exception(RuntimeError(f"it raised {type(failure).__name__}"))
        else:
            future.set_exception(failure)

    def run() -> None:
        result, failure = None, None
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001 - raised again where the future is awaited
            failure = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="daemon work", daemon=True).start()
    return future
