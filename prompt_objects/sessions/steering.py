"""Messages to a turn under way that it has not read yet: kept in a file until they stand in the session."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

from prompt_objects.message import Message
from prompt_objects.sessions.session import Session
from prompt_objects.utils import filesystem as disk

__all__ = [
    "SteeringQueue",
]


class SteeringQueue:
    """The messages that wait in one session. Each has a moment (`at`), by which it is known again.

    A message stays in the file until it is certain to be in the session, so it may be in both when a program was
    killed just then; `left` tells them apart. Safe to use from several threads.
    """

    def __init__(self, workspace: Path, session_id: str) -> None:
        self._file = workspace / session_id / "unread.jsonl"
        self._changing = threading.Lock()

    def add(self, message: Message) -> None:
        """Keep a message, durably; raises `StoreError`."""
        with self._changing:
            try:
                disk.make_folder(self._file.parent)
                disk.append_once(self._file, json.dumps(message).encode() + b"\n")
            except OSError as error:
                raise disk.store_error("written", self._file, error) from error

    def undelivered(self, session: Session) -> list[Message]:
        """Return the messages that nobody read, as a crash came between, and that are not in the session."""
        kept = self._all()
        return [message for message in kept if message not in session.history]

    def remove(self, read: Sequence[Message]) -> None:
        """Take messages out that are in the session by now; raises `StoreError`."""
        with self._changing:
            rest = [message for message in self._all() if message not in read]
            try:
                if rest:
                    disk.replace_file(self._file, [json.dumps(message).encode() + b"\n" for message in rest])
                else:
                    self._file.unlink(missing_ok=True)
            except OSError as error:
                raise disk.store_error("written", self._file, error) from error

    def _all(self) -> list[Message]:
        try:
            lines = disk.read_file(self._file).splitlines()
        except OSError:
            return []
        return [message for line in lines if (message := _message(line))]


def _message(line: bytes) -> Message | None:
    """Read a line; None for one that a crash cut off."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
