"""What is done beside a conversation, now and every hour, without anybody waiting for it."""

import asyncio
from collections.abc import Callable

from prompt_objects.chat import Chat
from prompt_objects.ui.beside import beside

__all__ = ["keep_up"]

EVERY_SECONDS = 3600.0


async def keep_up(chat: Chat, tell: Callable[[str], None]) -> None:
    """Back up and prune for as long as this is not cancelled, and tell what did not succeed."""
    while True:
        for told in await beside(chat.keep_up):
            tell(told)
        await asyncio.sleep(EVERY_SECONDS)
