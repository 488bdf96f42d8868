"""What goes on beside a conversation: changes by other processes, backups and pruning."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import TypeAlias

from prompt_objects.chat.chat import Chat
from prompt_objects.errors import NotFound, PromptObjectsError
from prompt_objects.message import Message
from prompt_objects.sessions.session import Session, follow
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.messages import arrived, drawn
from prompt_objects.ui.render.recap import recap
from prompt_objects.ui.render.style import Line
from prompt_objects.utils.concurrency import beside, fail_fast

__all__ = [
    "SessionWatcher",
    "keep_up",
]

_Looking: TypeAlias = tuple[Session, asyncio.Future[list[Message]]]
PATIENCE_SECONDS = 2.0
"""After which a look that has not come back counts as a failed one; it is not given up, and no other is begun."""
DELETED = "in the trash"


class SessionWatcher:
    """Has `show` draw what others do, at the present `width`; `trouble` is why that cannot be seen, if it cannot."""

    def __init__(self, chat: Chat, show: Callable[[list[Line]], None], width: Callable[[], int]) -> None:
        self.problem = ""
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
            self.problem = self._out_of_reach()
            return
        self._looking, before, self.problem = None, self.problem, ""
        try:
            came = looking.result()
        except NotFound:
            self._miss(session, is_known=before == DELETED)
        except PromptObjectsError:  # whoever sends something is told more
            self.problem = self._out_of_reach()
        else:
            if came and session is self._chat.session:
                self._show([[], *arrived(session.po_name, came, self._width())])

    def _glance(self) -> list[Message]:
        with fail_fast():
            return self._chat.poll()

    def _miss(self, session: Session, *, is_known: bool) -> None:
        """Say, once, that a session is not there any more, unless the person has left it."""
        if session is not self._chat.session:
            return
        self.problem = DELETED
        if not is_known:
            told = f"{session.name} was deleted meanwhile; /session restore {session.name} brings it back."
            self._show([[], *drawing.paragraph(told, self._width(), "class:notice", "! ")])

    def _out_of_reach(self) -> str:
        is_database = "sql" in self._chat.environment.store_url.partition(":")[0]
        return "the database cannot be reached" if is_database else "the sessions cannot be read"

    async def watch(self, session: Session) -> None:
        """Show a session's messages as they come, until nobody is at it; raises what `Session.refresh` raises."""
        if session is not self._chat.session:
            self._show(await asyncio.to_thread(recap, session.po_name, session, self._width()))
        async with aclosing(follow(session)) as coming:
            async for messages in coming:
                self._show(drawn(session.po_name, messages, self._width()))
        self._show([[], *drawing.paragraph(f"{session.name} is free.", self._width(), "class:notice")])


EVERY_SECONDS = 3600.0


async def keep_up(chat: Chat, tell: Callable[[str], None]) -> None:
    """Back up and prune for as long as this is not cancelled, and tell what did not succeed."""
    while True:
        for told in await beside(chat.keep_up):
            tell(told)
        await asyncio.sleep(EVERY_SECONDS)
