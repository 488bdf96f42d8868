"""Helpers for asyncio and threads: uninterrupted awaits, and daemon threads."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar, cast

from prompt_objects.utils import waiting

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; a cancellation takes effect only after it has finished, or given up waiting for a lock.

    If `work` then fails, its error is the cause of the `CancelledError`.
    """
    with waiting.work() as own:
        task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        own.give_up()
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled() and (failure := task.exception()):
            raise cancelled from failure
        raise


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
