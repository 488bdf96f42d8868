"""What is done beside a conversation, now and every hour, without anybody waiting for it."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from prompt_objects.chat import Chat

__all__ = ["keep_up"]

T = TypeVar("T")

EVERY_SECONDS = 3600.0


async def keep_up(chat: Chat, tell: Callable[[str], None]) -> None:
    """Back up and prune for as long as this is not cancelled, and tell what did not succeed."""
    while True:
        for told in await _beside(chat.keep_up):
            tell(told)
        await asyncio.sleep(EVERY_SECONDS)


async def _beside(work: Callable[[], T]) -> T:
    """Await `work` in a thread that does not hold up the end of the program."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T) -> None:
        if not done.cancelled():
            done.set_result(result)

    def run() -> None:
        result = work()
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="upkeep", daemon=True).start()
    return await done
