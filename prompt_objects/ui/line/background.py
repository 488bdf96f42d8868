"""Warming up, and watching, while the person types."""

import asyncio
from collections.abc import Callable
from functools import partial

from prompt_objects.chat.chat import Chat
from prompt_objects.ui.line.scrollback import Scrollback
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.line.texts import INTERRUPTED
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.recap import recap
from prompt_objects.ui.watcher import SessionWatcher
from prompt_objects.utils.concurrency import beside

__all__ = [
    "show_recap",
    "warm_up",
    "watch_session",
]


async def show_recap(chat: Chat, scrollback: Scrollback) -> None:
    """Show where the current session was left, unless it has gone on meanwhile."""
    session = chat.session
    known = session.message_count
    lines = await beside(partial(recap, chat.po.name, session, scrollback.width))
    is_idle = not chat.is_pending_here and not chat.turns()
    if lines and chat.session is session and session.message_count == known and is_idle:
        scrollback.print([[], *lines])
        if await beside(chat.is_interrupted):
            scrollback.note(INTERRUPTED)


LOOK_SECONDS = 1.0


async def warm_up(chat: Chat, scrollback: Scrollback, footer: StatusBar) -> None:
    """Load what the first message needs, and show where the session was left and what the person should know."""
    from prompt_objects.ui.render import markdown

    await asyncio.to_thread(markdown.warm_up)
    await show_recap(chat, scrollback)
    for told in await asyncio.to_thread(chat.warm_up):
        scrollback.print(drawing.paragraph(told, scrollback.width, "class:hint"))
    scrollback.note_all()
    footer.refresh()


async def watch_session(onlooker: SessionWatcher, footer: StatusBar, is_ours: Callable[[], bool]) -> None:
    """Show what others add to the session, and who is at it, unless it `is_ours`."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not is_ours():
            await onlooker.look()
            footer.refresh(onlooker.problem)
