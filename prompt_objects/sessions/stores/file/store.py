"""The file store: a folder with a file for each session, their index, and a trash."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, SessionRecord, StoreIssue, TrashedSession, with_totals
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.stores.base import ALL_SESSIONS, SessionFilter, StoreOptions
from prompt_objects.sessions.stores.errors import check_size, conflict
from prompt_objects.sessions.stores.file.archive import Archives
from prompt_objects.sessions.stores.file.check import Repairer, StoreCheck
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import missing_file_error
from prompt_objects.sessions.stores.file.group_commit import GroupCommit
from prompt_objects.sessions.stores.file.handle_cache import FileCache
from prompt_objects.sessions.stores.file.index_sync import SessionIndex
from prompt_objects.sessions.stores.file.leases import FileLease, Leases
from prompt_objects.sessions.stores.file.session_file import SessionFile
from prompt_objects.sessions.stores.file.trash import Trash
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.process import ProcessInfo
from prompt_objects.utils.time import now, timestamp

__all__ = [
    "FileStore",
]


class FileStore:
    """Sessions in files, for any number of threads and processes of one machine.

    A session's file is locked before the index, never the other way round.
    """

    def __init__(self, folder: Path, options: StoreOptions = StoreOptions()) -> None:  # noqa: B008 - it is immutable
        self._limit = options.max_session_size
        self._notify = options.notify
        self._live = SessionDirectory(folder / "sessions", self._notify)
        self._leases = Leases(self._live.path / "leases", self._name_of)
        self._begin()
        disk.after_fork_in_child(self.after_fork)

    def _begin(self) -> None:
        self._entries = SessionIndex(self._live)
        self._index = self._entries.index
        self._archives = Archives(self._live, self._entries)
        self._files = FileCache(self._live, self._index, self._archives, self._notify)
        self._trash = Trash(self._live, self._entries, self._notify)
        self._newcomers = GroupCommit(self._live, self._trash, self._entries)

    def after_fork(self) -> None:
        """In a forked child, use descriptors of its own: a lock on a shared one would be its parent's, too."""
        files, index = self._files, self._index
        self._begin()
        self._leases.after_fork()
        files.close_after_fork()
        index.close_after_fork()

    # What is there

    def load(self, session_id: str) -> SessionRecord:
        """Return all of a session but its history."""
        try:
            return self._files.with_file_or_archive(session_id, self._entries.load, self._archives.load)
        except NotFound:
            with suppress(StoreError):
                self._entries.remove(session_id)
            raise

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`."""
        return self._files.with_file_or_archive(
            session_id,
            lambda file: file.read(start, stop),
            lambda packed: self._archives.read(packed, start, stop),
        )

    def locate(self, path: Path) -> str | None:
        """Return the id of the session whose file this is."""
        try:
            inside = path.parent.resolve() == self._live.path.resolve()
        except (OSError, RuntimeError):  # a link in a circle; which of them depends on the version of Python
            return None
        session_id = path.name.removesuffix(".gz").removesuffix(".json")
        return session_id if inside and session_id != path.name and is_id(session_id) else None

    # Writing

    def create(
        self,
        info: SessionInfo,
        metadata: dict[str, Any],
        messages: Iterable[Message] = (),
        *,
        unique_name: bool = False,
        enforce_limit: bool = False,
    ) -> SessionRecord:
        """Begin a session."""
        history = list(messages)
        lines = [encode(message) for message in history]
        if enforce_limit:
            check_size(info.name, 0, sum(map(len, lines)), self._limit, history)
        try:
            disk.make_folder(self._live.path)
        except OSError as error:
            raise disk.store_error("made", self._live.path, error) from error
        return SessionRecord(
            self._newcomers.create(with_totals(info, history), metadata, lines, numbered=unique_name), metadata
        )

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, enforce_limit: bool = True
    ) -> SessionInfo:
        """Add messages to a session of `expected` messages."""
        lines = [encode(message) for message in messages]
        limit = self._limit if enforce_limit else None
        while True:
            try:
                with self._files.get(session_id) as file:
                    return self._append(file, messages, lines, expected, limit)
            except NotFound:
                if not self._archives.unarchive(session_id):
                    raise

    def _append(
        self, file: SessionFile, messages: Sequence[Message], lines: list[bytes], expected: int, limit: int | None
    ) -> SessionInfo:
        with file.locked(writing=True):
            if file.count != expected:
                raise conflict(file.head.get("name"), file.count, expected)
            added = sum(map(len, lines))
            check_size(file.head.get("name"), file.size, added, limit, messages)
            moment = now()
            file.append(lines, timestamp(moment))
            info = self._entries.record_append(file, messages, expected, moment)
        file.sync()
        return info

    def update(
        self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> SessionRecord:
        """Change the name, or the metadata, or both."""
        return self._files.with_file_or_archive(
            session_id,
            lambda file: self._entries.update(file, name, metadata),
            lambda packed: self._archives.update(packed, name, metadata),
        )

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> SessionRecord:
        """Keep the first `count` messages."""
        return self._files.with_file_or_archive(
            session_id,
            lambda file: self._entries.truncate(file, count, expected),
            lambda packed: self._archives.truncate(packed, count, expected),
        )

    def archive(self, session_id: str) -> SessionRecord:
        """Keep a session compressed until its next message."""
        self.read(session_id, 0, sys.maxsize)  # what cannot be read is repaired before
        return self._files.with_file_or_archive(session_id, self._archive, self._archives.load)

    def _archive(self, file: SessionFile) -> SessionRecord:
        with file.locked(writing=True):
            with self._index:
                info = self._entries.entry(file)
            record = self._archives.put(file, info)
        file.close()
        return record

    # The trash

    def delete(self, session_id: str) -> None:
        """Move a session to the trash, where the time of its file is that of its deletion."""
        self._files.with_file_or_archive(session_id, self._delete, self._delete_archive)

    def _delete(self, file: SessionFile) -> None:
        with file.locked(), self._index:
            self._archives.drop_stale(file)
            self._trash.put(file.path, file.id)
        file.close()

    def _delete_archive(self, packed: Path) -> None:
        if not packed.exists():
            raise missing_file_error(packed)
        with self._index:
            if not packed.exists():  # it was brought back just now
                raise missing_file_error(packed)
            self._trash.put(packed, packed.name.partition(".")[0])

    def restore(self, session_id: str) -> SessionRecord:
        """Bring a session back from the trash."""
        return self._trash.restore(session_id)

    def trash(self) -> list[TrashedSession]:
        """Return what can be restored, the last deleted first."""
        return self._trash.entries()

    def read_trashed(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        """Return a session that is in the trash, history and all."""
        return self._trash.read(session_id)

    def purge(self, session_id: str) -> None:
        """Take a session out of the trash for good, with what a repair put beside it."""
        self._trash.purge(session_id)

    # Looking through it

    def check(self, *, repair: bool = False) -> list[StoreIssue]:
        """Look through everything for what is damaged or left over."""
        mending = Repairer(self._live, self._trash, self._files, self._archives, self._entries)
        return list(StoreCheck(self._live, self._trash, self._leases, mending, repair=repair).findings())

    # Who is at it

    def lease(self, session_id: str, holder: ProcessInfo) -> FileLease:
        """Have a session to oneself."""
        return self._leases.take(session_id, holder)

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return who has a session to itself."""
        return self._leases.holder(session_id)

    def _name_of(self, session_id: str) -> str | None:
        entry = self._index.peek(session_id)
        return entry.name if entry else None

    def close(self) -> None:
        self._files.close()
        self._index.close()

    def list(self, where: SessionFilter = ALL_SESSIONS, *, limit: int | None = None) -> list[SessionInfo]:
        return self._entries.list(where, limit)
