"""Looking on: what others add to a session appears as it comes."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import TypeAlias

from prompt_objects.chat import Chat
from prompt_objects.errors import NotFound, PromptObjectsError
from prompt_objects.message import Message
from prompt_objects.occupancy import watch
from prompt_objects.patience import without_patience
from prompt_objects.sessions.session import Session
from prompt_objects.ui import drawing
from prompt_objects.ui.beside import beside
from prompt_objects.ui.messages import arrived, drawn
from prompt_objects.ui.recall import recalled
from prompt_objects.ui.style import Line

__all__ = ["Onlooker"]

_Looking: TypeAlias = tuple[Session, asyncio.Future[list[Message]]]

PATIENCE_SECONDS = 2.0
"""After which a look that has not come back counts as a failed one; it is not given up, and no other is begun."""
DELETED = "in the trash"


class Onlooker:
    """Has `show` draw what others do, at the present `width`; `trouble` is why that cannot be seen, if it cannot."""

    def __init__(self, chat: Chat, show: Callable[[list[Line]], None], width: Callable[[], int]) -> None:
        self.trouble = ""
        self._chat = chat
        self._show = show
        self._width = width
        self._looking: _Looking | None = None

    async def look(self) -> None:
        """Show what others added to the current session since the last look, or that one of them deleted it.

        A store that does not answer holds up nobody: neither who looks, nor who leaves.
        """
        session, looking = self._looking = self._looking or (self._chat.session, beside(self._glance))
        await asyncio.wait([looking], timeout=PATIENCE_SECONDS)
        if not looking.done():
            self.trouble = self._out_of_reach()
            return
        self._looking, before, self.trouble = None, self.trouble, ""
        try:
            came = looking.result()
        except NotFound:
            self._miss(session, is_known=before == DELETED)
        except PromptObjectsError:  # whoever sends something is told more
            self.trouble = self._out_of_reach()
        else:
            if came and session is self._chat.session:
                self._show([[], *arrived(session.po_name, came, self._width())])

    def _glance(self) -> list[Message]:
        with without_patience():
            return self._chat.look()

    def _miss(self, session: Session, *, is_known: bool) -> None:
        """Say, once, that a session is not there any more, unless the person has left it."""
        if session is not self._chat.session:
            return
        self.trouble = DELETED
        if not is_known:
            told = f"{session.name} was deleted meanwhile; /session restore {session.name} brings it back."
            self._show([[], *drawing.sentence(told, self._width(), "class:notice", "! ")])

    def _out_of_reach(self) -> str:
        is_database = "sql" in self._chat.environment.store_url.partition(":")[0]
        return "the database cannot be reached" if is_database else "the sessions cannot be read"

    async def watch(self, session: Session) -> None:
        """Show a session's messages as they come, until nobody is at it; raises what `Session.refresh` raises."""
        if session is not self._chat.session:
            self._show(await asyncio.to_thread(recalled, session.po_name, session, self._width()))
        async with aclosing(watch(self._chat.environment.store, session)) as coming:
            async for messages in coming:
                self._show(drawn(session.po_name, messages, self._width()))
        self._show([[], *drawing.sentence(f"{session.name} is free.", self._width(), "class:notice")])
