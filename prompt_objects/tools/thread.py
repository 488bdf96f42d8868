"""A plain function, run in a thread of its own: one that never ends holds up neither the others nor the program."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["in_thread"]


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
