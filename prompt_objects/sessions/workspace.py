"""The files of a session besides its messages: workspace, steering queue, trace and logs."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store
from prompt_objects.utils import filesystem as disk


def workspace_of(info: SessionInfo, store: Store, folder: Path) -> Path:
    """Return the workspace, in the folder of all workspaces, that a session shares with its parents.

    It is named after the topmost session, and may not exist. Reads the parents from the store. Raises `StoreError`.
    """
    seen = {info.id}
    while info.parent and info.parent.session not in seen and is_id(info.parent.session):
        seen.add(info.parent.session)
        try:
            info = store.load(info.parent.session).info
        except (NotFound, Damaged):  # the parent was deleted, its child was not
            break
    return folder / info.id


@contextmanager
def copied_workspace(source: Path, target: Path) -> Iterator[None]:
    """Copy a workspace, if it exists, for a new session; remove the copy if the block fails. Raises `StoreError`."""
    import shutil

    with disk.store_errors("copied", source):
        if source.is_dir():
            disk.make_folder(target.parent)
            shutil.copytree(source, target, symlinks=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def trace_file(data_dir: Path, session_id: str) -> Path:
    """Return the path of a session's trace."""
    return data_dir / "traces" / f"{session_id}.jsonl"


def exists(store: Store, session_id: str) -> bool:
    """Return whether a session with this id exists outside the trash."""
    try:
        store.load(session_id)
    except NotFound:
        return False
    except Damaged:
        return True
    return True


def remove_session_files(data_dir: Path, session_id: str) -> None:
    """Remove all files of a session that was purged. Raises `StoreError`."""
    for folder in (data_dir / "logs" / session_id, data_dir / "workspace" / session_id):
        with disk.store_errors("removed", folder):
            disk.remove_folder(folder)
    trace = trace_file(data_dir, session_id)
    with disk.store_errors("removed", trace):
        trace.unlink(missing_ok=True)


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
        """Return the messages that a crash kept from the session."""
        queued = self._read()
        return [message for message in queued if message not in session.history]

    def remove(self, delivered: Sequence[Message]) -> None:
        """Remove messages that are in the session now. Raises `StoreError`."""
        with self._lock, disk.store_errors("written", self._file):
            rest = [message for message in self._read() if message not in delivered]
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


def _parsed(line: bytes) -> Message | None:
    """Return the message of a line; None if a crash cut the line short."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
