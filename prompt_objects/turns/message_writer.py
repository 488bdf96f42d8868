"""`MessageWriter`: saves the messages of a turn, whatever other processes do with its session meanwhile."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from prompt_objects.errors import Conflict, NotFound, NotSaved, PromptObjectsError
from prompt_objects.llm.base import Usage
from prompt_objects.message import Message, calls_of
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import ExternalMessages, MessageSaved
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.turns.reply import Reply
from prompt_objects.utils.concurrency import uninterrupted


class MessageWriter:
    """Appends the messages of a turn to its session, and publishes each once it is saved.

    `last_calls` are the tool calls of the last response that was saved.
    """

    def __init__(self, context: Context, session: Session, session_manager: SessionManager) -> None:
        self.last_calls: list[dict[str, Any]] = []
        self._context = context
        self._session = session
        self._session_manager = session_manager

    async def save(self, *messages: Message, frames: Iterable[bytes] = ()) -> None:
        """Save messages, after the frames they refer to, and publish them; a cancellation takes effect afterwards.

        Raises `NotSaved` if there is a response among them; otherwise `StoreError`, and `NotFound` if the session was
        deleted permanently.
        """
        if messages:
            await uninterrupted(self._save_and_publish(messages, frames))

    async def _save_and_publish(self, messages: Sequence[Message], frames: Iterable[bytes]) -> None:
        external, note = await asyncio.to_thread(self._append_or_keep, messages, frames)
        if note:
            self._context.notify(note)
        if external:
            self._context.publish(ExternalMessages, messages=external)
        for message in messages:
            if message.get("role") == "assistant":
                self.last_calls = calls_of(message)
            self._context.publish(MessageSaved, message=message)

    def _append_or_keep(self, messages: Sequence[Message], frames: Iterable[bytes]) -> tuple[list[Message], str]:
        """Append messages; if that fails, keep a response elsewhere."""
        try:
            return self._append(messages, frames)
        except PromptObjectsError as error:
            response = next((message for message in messages if message.get("role") == "assistant"), None)
            if response is None:
                raise
            reply = Reply.of(response, self._session, Usage.from_json(response.get("usage") or {}))
            kept = self._context.services.unsaved.keep(self._session, messages, str(error), frames=frames)
            raise NotSaved(str(error), reply=reply, kept=kept) from error

    def _append(self, messages: Sequence[Message], frames: Iterable[bytes]) -> tuple[list[Message], str]:
        """Append messages; return the messages that others appended just before, and a notice to the user."""
        external: list[Message] = []
        note = ""
        while True:
            try:
                self._session.append(*messages, frames=frames)
            except Conflict:
                external += self._session.refresh()
            except NotFound:
                more, note = self._restore()
                external += more
            else:
                return external, note

    def _restore(self) -> tuple[list[Message], str]:
        """Restore a session that was deleted during the turn, so that no message is lost."""
        deleted = f"{self._session.name} was deleted by another process during this turn"
        with suppress(NotFound):  # it may be back already
            self._session_manager.restore(self._session.id)
        try:
            external = self._session.refresh()
        except NotFound as error:
            raise NotFound(
                f"{deleted}, permanently: new messages could not be saved.", hint="Continue in another session."
            ) from error
        return external, f"{deleted}; it was restored from the trash, as {self._session.name}."
