"""`SteeringQueue`: the messages to a running turn that it has not read yet."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

from prompt_objects.message import Message, text_of
from prompt_objects.sessions.session import Session
from prompt_objects.utils import filesystem as disk


class SteeringQueue:
    """The messages to a running turn that it has not read yet, in a file. Safe to use from several threads.

    Each message has a time (`at`), which identifies it. A message stays in the file until it is certainly in the
    session, so that after a crash it may be in both; `undelivered` compares them.
    """

    def __init__(self, workspace: Path, session_id: str) -> None:
        self._file = workspace / session_id / "unread.jsonl"
        self._lock = threading.Lock()

    def add(self, message: Message) -> None:
        """Save a message, durably. Raises `StoreError`."""
        with self._lock, disk.store_errors("written", self._file):
            disk.make_folder(self._file.parent)
            disk.append_once(self._file, json.dumps(message).encode() + b"\n")

    def undelivered(self, session: Session) -> list[Message]:
        """Return the queued messages that are not in the session."""
        queued = self._read()
        known = set(map(_identity, session.history)) if queued else ()
        return [message for message in queued if _identity(message) not in known]

    def remove(self, delivered: Sequence[Message]) -> None:
        """Remove messages that are in the session now. Raises `StoreError`."""
        with self._lock, disk.store_errors("written", self._file):
            known = set(map(_identity, delivered))
            rest = [message for message in self._read() if _identity(message) not in known]
            if rest:
                disk.replace_file(self._file, [json.dumps(message).encode() + b"\n" for message in rest])
            else:
                self._file.unlink(missing_ok=True)

    def _read(self) -> list[Message]:
        try:
            lines = disk.read_file(self._file).splitlines()
        except OSError:
            return []
        return [message for line in lines if (message := _parsed(line))]


def _identity(message: Message) -> tuple[str, str]:
    return str(message.get("at")), text_of(message)


def _parsed(line: bytes) -> Message | None:
    """Return the message of a line; None if a crash cut the line short."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
