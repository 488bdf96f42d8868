"""Looking on: what others add to a session appears as it comes."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from prompt_objects.chat import Chat
from prompt_objects.errors import PromptObjectsError
from prompt_objects.occupancy import watch
from prompt_objects.sessions.session import Session
from prompt_objects.ui import drawing
from prompt_objects.ui.messages import arrived, drawn
from prompt_objects.ui.recall import recalled
from prompt_objects.ui.style import Line

__all__ = ["Onlooker"]


class Onlooker:
    """Has `show` draw what others do, at the present `width`."""

    def __init__(self, chat: Chat, show: Callable[[list[Line]], None], width: Callable[[], int]) -> None:
        self._chat = chat
        self._show = show
        self._width = width

    async def look(self) -> None:
        """Show what others added to the current session since the last look."""
        session = self._chat.session
        try:
            came = await asyncio.to_thread(self._chat.look)
        except PromptObjectsError:
            return  # whoever sends something is told
        if came and session is self._chat.session:
            self._show([[], *arrived(session.po_name, came, self._width())])

    async def watch(self, session: Session) -> None:
        """Show a session's messages as they come, until nobody is at it; raises what `Session.refresh` raises."""
        if session is not self._chat.session:
            self._show(await asyncio.to_thread(recalled, session.po_name, session, self._width()))
        async with aclosing(watch(self._chat.environment.store, session)) as coming:
            async for messages in coming:
                self._show(drawn(session.po_name, messages, self._width()))
        self._show([[], *drawing.sentence(f"{session.name} is free.", self._width(), "class:notice")])
