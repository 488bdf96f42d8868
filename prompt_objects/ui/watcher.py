"""Background work of a conversation: watching for changes by other processes, backups and pruning."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import TypeAlias

from prompt_objects.chat.chat import Chat, other_process
from prompt_objects.errors import NotFound, PromptObjectsError
from prompt_objects.sessions.session import Session, SessionUpdate
from prompt_objects.sessions.watch import follow
from prompt_objects.ui.render import text as render_text
from prompt_objects.ui.render.messages import draw_external, draw_messages, recap
from prompt_objects.ui.render.style import Line
from prompt_objects.utils.concurrency import run_in_daemon_thread
from prompt_objects.utils.waiting import fail_fast

_Poll: TypeAlias = tuple[Session, asyncio.Future[SessionUpdate]]
POLL_TIMEOUT = 2.0
"""Seconds after which a poll without an answer counts as failed. It still runs, and no other one is started."""
DELETED = "in the trash"


class SessionWatcher:
    """Shows what other processes do in a session; `problem` is the reason why that cannot be seen, if any."""

    def __init__(self, chat: Chat, show: Callable[[list[Line]], None], width: Callable[[], int]) -> None:
        self.problem = ""
        self._chat = chat
        self._show = show
        self._width = width
        self._running: _Poll | None = None

    async def poll(self) -> None:
        """Show what others added to the current session since the last poll, or that one of them deleted it.

        A store that does not answer blocks neither the caller nor the end of the program.
        """
        current = self._chat.session
        session, poll = self._running = self._running or (current, run_in_daemon_thread(partial(_poll, current)))
        await asyncio.wait([poll], timeout=POLL_TIMEOUT)
        if not poll.done():
            self.problem = self._unreachable()
            return
        self._running, before, self.problem = None, self.problem, ""
        try:
            update = poll.result()
        except NotFound:
            self._report_deleted(session, is_known=before == DELETED)
        except PromptObjectsError:  # sending a message shows the details
            self.problem = self._unreachable()
        else:
            if session is self._chat.session:
                self._chat.holder = other_process(update.holder)
                if update.messages:
                    self._show([[], *draw_external(session.po_name, update.messages, self._width())])

    def _report_deleted(self, session: Session, *, is_known: bool) -> None:
        if session is not self._chat.session:
            return
        self.problem = DELETED
        if not is_known:
            text = f"{session.name} was deleted by another process; /session restore {session.name} restores it."
            self._show([[], *render_text.paragraph(text, self._width(), "class:notice", "! ")])

    def _unreachable(self) -> str:
        is_database = "sql" in self._chat.environment.storage.url.partition(":")[0]
        return "the database cannot be reached" if is_database else "the sessions cannot be read"

    async def watch(self, session: Session) -> None:
        """Show the messages of a session as they come, until no other process uses it.

        Raises the errors of `Session.refresh`.
        """
        if session is not self._chat.session:
            self._show(await asyncio.to_thread(recap, session.po_name, session, self._width()))
        async with aclosing(follow(session)) as updates:
            async for messages in updates:
                self._show(draw_messages(session.po_name, messages, self._width()))
        self._show([[], *render_text.paragraph(f"{session.name} is free.", self._width(), "class:notice")])


def _poll(session: Session) -> SessionUpdate:
    with fail_fast():
        return session.poll()


MAINTENANCE_SECONDS = 3600.0


async def run_maintenance(chat: Chat, report: Callable[[str], None]) -> None:
    """Back up and prune every hour until cancelled; `report` gets the error messages."""
    while True:
        for problem in await run_in_daemon_thread(chat.run_maintenance):
            report(problem)
        await asyncio.sleep(MAINTENANCE_SECONDS)
