"""The minutes of a turn: what is said in it is saved, durably, and only then told."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from prompt_objects.errors import Conflict, NotFound
from prompt_objects.message import Message, calls_of
from prompt_objects.runtime.context import Context, notice, publish
from prompt_objects.runtime.events import ExternalMessages, MessageSaved
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.utils.concurrency import uninterrupted

__all__ = [
    "MessageWriter",
]


class MessageWriter:
    """Writes a turn's messages into its session, and tells of each once it is there.

    `replaces` are the numbers of the messages that the next answer stands for, from one up to another; `calls` are
    those of the last answer that was saved.
    """

    def __init__(self, context: Context, session: Session, session_manager: SessionManager) -> None:
        self.replaces: tuple[int, int] | None = None
        self.calls: list[dict[str, Any]] = []
        self._context = context
        self._session = session
        self._session_manager = session_manager

    async def report_external(self) -> None:
        """Tell what others added; in a session that nobody looked at before, there is nothing to be told."""
        came = [] if self._session.is_draft else await asyncio.to_thread(self._session.refresh)
        if came and self._context.parent is None:
            publish(self._context, ExternalMessages, messages=came)

    async def save(self, *messages: Message) -> None:
        """Save messages, and tell of them; raises `StoreError`, and `NotFound` where the session is gone for good."""
        if not messages:
            return
        if self.replaces is not None and messages[0].get("role") == "assistant":
            messages = ({**messages[0], "replaces": list(self.replaces)}, *messages[1:])
            self.replaces = None
        await self.save_from(lambda: messages)

    async def save_from(self, find: Callable[[], Sequence[Message]]) -> Sequence[Message]:
        """Save what `find` returns, which is called in the thread that saves, and tell of it.

        Raises what `save` raises, and what `find` does.
        """
        return await uninterrupted(self._save_and_tell(find))

    async def _save_and_tell(self, find: Callable[[], Sequence[Message]]) -> Sequence[Message]:
        messages, came, told = await asyncio.to_thread(self._find_and_append, find)
        for message in messages:
            if message.get("role") == "assistant":
                self.calls = calls_of(message)
        if told:
            notice(self._context, told)
        if came:
            publish(self._context, ExternalMessages, messages=came)
        for message in messages:
            publish(self._context, MessageSaved, message=message)
        return messages

    def _find_and_append(self, find: Callable[[], Sequence[Message]]) -> tuple[Sequence[Message], list[Message], str]:
        messages = find()
        came, told = self._append(messages) if messages else ([], "")
        return messages, came, told

    def _append(self, messages: Sequence[Message]) -> tuple[list[Message], str]:
        """Add messages to the session; return those that others added just before, and what a person should know."""
        came: list[Message] = []
        told = ""
        while True:
            try:
                self._session.append(*messages)
            except Conflict:
                came += self._session.refresh()  # what came in between stays where it is; ours follows it
            except NotFound:
                more, told = self._bring_back()
                came += more
            else:
                return came, told

    def _bring_back(self) -> tuple[list[Message], str]:
        """Restore a session that was deleted while we were talking, so that what has been said since is not lost.

        Returns what `refresh` returns, and what happened, in a sentence. Raises `NotFound` where it is gone for good.
        """
        deleted = f"{self._session.name} was deleted meanwhile, in another window or program"
        with suppress(NotFound):  # it may be back already
            self._session_manager.restore(self._session.id)
        try:
            came = self._session.refresh()
        except NotFound as error:
            raise NotFound(
                f"{deleted}, for good: what is said now could not be saved.",
                hint="What you see of it is all that there is; copy it from here.",
            ) from error
        return came, f"{deleted}; this answer has brought it back from the trash, as {self._session.name}."
