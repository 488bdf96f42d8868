"""What goes on by itself, whatever the person does."""

import asyncio
from collections.abc import Callable

from prompt_objects.chat import Chat
from prompt_objects.ui import drawing
from prompt_objects.ui.footer import Footer
from prompt_objects.ui.onlooker import Onlooker
from prompt_objects.ui.recall import remind
from prompt_objects.ui.scrollback import Scrollback

__all__ = ["look_around", "warm_up"]

LOOK_SECONDS = 1.0


async def warm_up(chat: Chat, scrollback: Scrollback, footer: Footer) -> None:
    """Load what the first message needs, and show where the session was left and what the person should know."""
    from prompt_objects.ui import markdown

    await asyncio.to_thread(markdown.warm_up)
    await remind(chat, scrollback)
    for told in await asyncio.to_thread(chat.warm_up):
        scrollback.print(drawing.sentence(told, scrollback.width, "class:hint"))
    scrollback.note_all()
    footer.refresh()


async def look_around(onlooker: Onlooker, footer: Footer, is_ours: Callable[[], bool]) -> None:
    """Show what others add to the session, and who is at it, unless it `is_ours`."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not is_ours():
            await onlooker.look()
            footer.refresh(onlooker.trouble)
