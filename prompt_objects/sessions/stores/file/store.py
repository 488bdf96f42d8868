"""The file store: a folder with one file per session, an index and a trash."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import (
    SessionInfo,
    SessionRecord,
    StoreIssue,
    TrashedSession,
    add_usage,
    is_id,
    with_totals,
)
from prompt_objects.sessions.stores.base import ALL_SESSIONS, SessionFilter, StoreOptions
from prompt_objects.sessions.stores.errors import check_size, conflict
from prompt_objects.sessions.stores.file.archive import Archives
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import missing_file_error
from prompt_objects.sessions.stores.file.frames import FileFrames
from prompt_objects.sessions.stores.file.group_commit import GroupCommit
from prompt_objects.sessions.stores.file.index_sync import SessionIndex
from prompt_objects.sessions.stores.file.leases import FileLease, Leases
from prompt_objects.sessions.stores.file.permissions import make_folders_private
from prompt_objects.sessions.stores.file.repair_log import RepairLog, set_aside
from prompt_objects.sessions.stores.file.session_file import FileCache, SessionFile
from prompt_objects.sessions.stores.file.trash import Trash
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.forks import after_fork_in_child
from prompt_objects.utils.watched_folder import check_not_moved


class FileStore:
    """Stores sessions in files, for any number of threads and processes on one machine.

    Lock order: the file of a session, then the index.
    """

    def __init__(self, folder: Path, options: StoreOptions = StoreOptions()) -> None:  # noqa: B008 - it is immutable
        self._limit = options.max_session_size
        self._notify = options.notify
        self._read_only = options.read_only
        self._repairs = RepairLog(folder / "sessions" / "repairs.jsonl", options.notify, read_only=self._read_only)
        self._live = SessionDirectory(folder / "sessions", self._notify, read_only=self._read_only)
        self.frames = FileFrames(folder / "frames", read_only=self._read_only)
        self._has_private_folders = False  # checked before the first write
        self._leases = Leases(self._live.path / "leases", self._name_of, read_only=self._read_only)
        self._open_parts()
        after_fork_in_child(self.after_fork)

    def _open_parts(self) -> None:
        self._entries = SessionIndex(self._live, self._repairs)
        self._index = self._entries.index
        self._archives = Archives(self._live, self._entries)
        self._files = FileCache(self._live, self._open_file, self._archives.drop_leftover)
        self._trash = Trash(self._live, self._entries, self._repairs.report)
        self._group_commit = GroupCommit(self._live, self._trash, self._entries)

    def _open_file(self, path: Path) -> SessionFile:
        known = partial(self._index.peek, path.stem)
        return SessionFile(path, self._repairs.report, known, read_only=self._read_only)

    def after_fork(self) -> None:
        """In a forked child, open new descriptors: a lock on an inherited one would also be the parent's."""
        files, index = self._files, self._index
        self._open_parts()
        self._leases.after_fork()
        files.close_after_fork()
        index.close_after_fork()

    # Reading

    def load(self, session_id: str) -> SessionRecord:
        try:
            return self._files.with_file_or_archive(session_id, self._entries.load, self._archives.load)
        except NotFound:
            if not self._read_only:
                with suppress(StoreError):
                    self._entries.remove(session_id)
            raise

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        return self._files.with_file_or_archive(
            session_id, lambda file: file.read(start, stop), lambda packed: self._archives.read(packed, start, stop)
        )

    def locate(self, path: Path) -> str | None:
        try:
            is_inside = path.parent.resolve() == self._live.path.resolve()
        except (OSError, RuntimeError):  # a circular link; the type depends on the Python version
            return None
        session_id = path.name.removesuffix(".gz").removesuffix(".json")
        return session_id if is_inside and session_id != path.name and is_id(session_id) else None

    # Writing

    def _require_writable(self) -> None:
        if self._read_only:
            raise disk.store_error("changed", self._live.path, disk.opened_for_reading())

    def create(
        self,
        info: SessionInfo,
        metadata: dict[str, Any],
        messages: Iterable[Message] = (),
        *,
        unique_name: bool = False,
        enforce_limit: bool = False,
    ) -> SessionRecord:
        self._require_writable()
        history = list(messages)
        lines = [encode(message) for message in history]
        if enforce_limit:
            check_size(info.name, 0, sum(map(len, lines)), self._limit, history)
        with disk.store_errors("made", self._live.path):
            disk.make_folder(self._live.path)
        if not self._has_private_folders:
            self._make_folders_private()
        return SessionRecord(
            self._group_commit.create(with_totals(info, history), metadata, lines, unique_name=unique_name), metadata
        )

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, enforce_limit: bool = True
    ) -> SessionInfo:
        self._require_writable()
        lines = [encode(message) for message in messages]
        limit = self._limit if enforce_limit else None
        while True:
            try:
                with self._files.get(session_id) as file:
                    return self._append(file, messages, lines, expected, limit)
            except NotFound:
                if not self._archives.unarchive(session_id):
                    with disk.store_errors("written", self._live.file(session_id)):
                        check_not_moved(self._live.path)
                    raise

    def _append(
        self, file: SessionFile, messages: Sequence[Message], lines: list[bytes], expected: int, limit: int | None
    ) -> SessionInfo:
        doc = file.lock(writing=True)
        try:
            if not self._has_private_folders:
                self._make_folders_private()
            if doc.count != expected:
                raise conflict(file.header.get("name"), doc.count, expected)
            added = sum(map(len, lines))
            if limit is not None and doc.size + added > limit:
                check_size(file.header.get("name"), doc.size, added, limit, messages)
            moment = datetime.now(UTC)
            file.append(lines, moment)
            info = self._update_entry(file, messages, expected, moment)
        finally:
            file.unlock()
        file.sync()
        return info

    def _make_folders_private(self) -> None:
        self._has_private_folders = True
        make_folders_private(self._live.path.parent)

    def _update_entry(
        self, file: SessionFile, messages: Sequence[Message], before: int, moment: datetime
    ) -> SessionInfo:
        """Update the index entry after an append; the messages are already in the locked file."""
        count = before + len(messages)
        try:
            with self._index:
                entry = file.entry
                if not file.is_described_by(entry, before):
                    entry = self._index.find(file.id)
                if file.is_described_by(entry, before):
                    info = add_usage(entry, messages, message_count=count, updated_at=moment)
                else:
                    self._entries.note_loss(entry, before)
                    info = file.info()
                self._index.put(info)
                file.entry = info
                return info
        except StoreError:
            return file.info()  # the old entry shows by its message count that it is stale

    def update(
        self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> SessionRecord:
        self._require_writable()
        return self._files.with_file_or_archive(
            session_id,
            partial(self._entries.update, name=name, metadata=metadata),
            partial(self._archives.update, name=name, metadata=metadata),
        )

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> SessionRecord:
        self._require_writable()
        return self._files.with_file_or_archive(
            session_id,
            partial(self._entries.truncate, count=count, expected=expected),
            partial(self._archives.truncate, count=count, expected=expected),
        )

    def archive(self, session_id: str) -> SessionRecord:
        self._require_writable()
        self.read(session_id, 0, sys.maxsize)  # repairs unreadable messages first
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
        self._require_writable()
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
            if not packed.exists():  # it was unarchived just now
                raise missing_file_error(packed)
            self._trash.put(packed, packed.name.partition(".")[0])

    def restore(self, session_id: str) -> SessionRecord:
        self._require_writable()
        return self._trash.restore(session_id)

    def trash(self) -> list[TrashedSession]:
        return self._trash.entries()

    def read_trashed(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        return self._trash.read(session_id)

    def purge(self, session_id: str) -> None:
        self._require_writable()
        self._trash.purge(session_id)

    # Checks and leases

    def check(self, *, repair: bool = False) -> list[StoreIssue]:
        from prompt_objects.sessions.stores.file.check import StoreCheck

        parts = (self._live, self._trash, self._files, self._archives, self._entries, self._leases, self.frames)
        return list(StoreCheck(*parts, self.update, repair).issues())

    def repairs(self) -> list[str]:
        folders = (self._live.path.parent, self._live.path, self._trash.path)
        return [*self._repairs.entries(), *(text for folder in folders for text in set_aside(folder))]

    def lease(self, session_id: str, holder: ProcessInfo) -> FileLease:
        self._require_writable()
        return self._leases.acquire(session_id, holder)

    def holder(self, session_id: str) -> ProcessInfo | None:
        return self._leases.holder(session_id)

    def _name_of(self, session_id: str) -> str | None:
        entry = self._index.peek(session_id)
        return entry.name if entry else None

    def close(self) -> None:
        self._files.close()
        self._index.close()

    def list(self, where: SessionFilter = ALL_SESSIONS, *, limit: int | None = None) -> list[SessionInfo]:
        return self._entries.list(where, limit)
