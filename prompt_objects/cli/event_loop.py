"""Running the event loop of one command, and ending it so that nothing is cut off."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from prompt_objects.environment.environment import Environment

__all__ = [
    "run_uninterrupted",
]

T = TypeVar("T")


def run_uninterrupted(work: Coroutine[Any, Any, T], environment: Environment) -> T:
    """Run `work` and close the environment.

    A closed window or a polite kill cancels it as Ctrl-C does, so that what a model has said so far is kept.
    """

    async def run() -> T:
        async with environment:
            task = asyncio.ensure_future(work)
            for name in ("SIGTERM", "SIGHUP"):
                if hasattr(signal, name):
                    asyncio.get_running_loop().add_signal_handler(getattr(signal, name), task.cancel)
            return await task

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
