"""The file store: a folder with a file for each session, their index, and a trash."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.holder import Holder
from prompt_objects.message import Message, now, timestamp
from prompt_objects.sessions import disk
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.record import Finding, Record, SessionInfo, Trashed
from prompt_objects.sessions.stores import StoreOptions
from prompt_objects.sessions.stores.archives import Archives
from prompt_objects.sessions.stores.contents import gone
from prompt_objects.sessions.stores.encoding import encode
from prompt_objects.sessions.stores.entries import Entries
from prompt_objects.sessions.stores.examination import Examination
from prompt_objects.sessions.stores.leases import FileLease, Leases
from prompt_objects.sessions.stores.mending import Mending
from prompt_objects.sessions.stores.newcomers import Newcomers
from prompt_objects.sessions.stores.open_files import OpenFiles
from prompt_objects.sessions.stores.refusals import check_size, conflict
from prompt_objects.sessions.stores.session_file import SessionFile
from prompt_objects.sessions.stores.session_folder import SessionFolder
from prompt_objects.sessions.stores.trash import Trash
from prompt_objects.sessions.usage import summed

__all__ = ["FileStore"]


class FileStore:
    """Sessions in files, for any number of threads and processes of one machine.

    A session's file is locked before the index, never the other way round.
    """

    def __init__(self, folder: Path, options: StoreOptions = StoreOptions()) -> None:  # noqa: B008 - it is immutable
        self._limit = options.max_session_size
        self._notices: list[str] = []
        self._live = SessionFolder(folder / "sessions", self._notices)
        self._leases = Leases(self._live.path / "leases", self._name_of)
        self._begin()
        disk.in_forked_children(self.forget_parent)

    def _begin(self) -> None:
        self._entries = Entries(self._live)
        self._index = self._entries.index
        self._archives = Archives(self._live, self._entries)
        self._files = OpenFiles(self._live, self._index, self._archives, self._notices)
        self._trash = Trash(self._live, self._entries, self._notices)
        self._newcomers = Newcomers(self._live, self._trash, self._entries)

    def forget_parent(self) -> None:
        """In a forked child, use descriptors of its own: a lock on a shared one would be its parent's, too."""
        files, index = self._files, self._index
        self._begin()
        self._leases.forget_parent()
        files.abandon()
        index.abandon()

    # What is there

    def load(self, session_id: str) -> Record:
        """Return all of a session but its history."""
        try:
            return self._files.ask(session_id, self._entries.load, self._archives.load)
        except NotFound:
            with suppress(StoreError):
                self._entries.drop(session_id)
            raise

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`."""
        return self._files.ask(
            session_id,
            lambda file: file.read(start, stop),
            lambda packed: self._archives.read(packed, start, stop),
        )

    def sessions(self, *, limit: int | None = None) -> list[SessionInfo]:
        """Return what is known of the sessions; from their files, where the index cannot be put right."""
        return self._entries.newest(limit)

    def notices(self) -> list[str]:
        """Return, once, what a person should be told."""
        told, self._notices[:] = list(self._notices), []
        return told

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
        numbered: bool = False,
        measured: bool = False,
    ) -> Record:
        """Begin a session."""
        history = list(messages)
        lines = [encode(message) for message in history]
        if measured:
            check_size(info.name, 0, sum(map(len, lines)), self._limit, history)
        try:
            disk.make_folder(self._live.path)
        except OSError as error:
            raise disk.failure("made", self._live.path, error) from error
        return Record(self._newcomers.make(summed(info, history), metadata, lines, numbered=numbered), metadata)

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, measured: bool = True
    ) -> SessionInfo:
        """Add messages to a session of `expected` messages."""
        lines = [encode(message) for message in messages]
        limit = self._limit if measured else None
        while True:
            try:
                with self._files.get(session_id) as file:
                    return self._append(file, messages, lines, expected, limit)
            except NotFound:
                if not self._archives.bring_back(session_id):
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
            info = self._entries.note(file, messages, expected, moment)
        file.sync()
        return info

    def update(self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None) -> Record:
        """Change the name, or the metadata, or both."""
        return self._files.ask(
            session_id,
            lambda file: self._entries.update(file, name, metadata),
            lambda packed: self._archives.update(packed, name, metadata),
        )

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> Record:
        """Keep the first `count` messages."""
        return self._files.ask(
            session_id,
            lambda file: self._entries.truncate(file, count, expected),
            lambda packed: self._archives.truncate(packed, count, expected),
        )

    def archive(self, session_id: str) -> Record:
        """Keep a session compressed until its next message."""
        self.read(session_id, 0, sys.maxsize)  # what cannot be read is repaired before
        return self._files.ask(session_id, self._archive, self._archives.load)

    def _archive(self, file: SessionFile) -> Record:
        with file.locked(writing=True):
            with self._index:
                info = self._entries.entry(file)
            record = self._archives.put(file, info)
        file.close()
        return record

    # The trash

    def delete(self, session_id: str) -> None:
        """Move a session to the trash, where the time of its file is that of its deletion."""
        self._files.ask(session_id, self._delete, self._delete_archive)

    def _delete(self, file: SessionFile) -> None:
        with file.locked(), self._index:
            self._archives.settle(file)
            self._trash.put(file.path, file.id)
        file.close()

    def _delete_archive(self, packed: Path) -> None:
        if not packed.exists():
            raise gone(packed)
        with self._index:
            if not packed.exists():  # it was brought back just now
                raise gone(packed)
            self._trash.put(packed, packed.name.partition(".")[0])

    def restore(self, session_id: str) -> Record:
        """Bring a session back from the trash."""
        return self._trash.restore(session_id)

    def trash(self) -> list[Trashed]:
        """Return what can be restored, the last deleted first."""
        return self._trash.entries()

    def read_trashed(self, session_id: str) -> tuple[Record, list[Message]]:
        """Return a session that is in the trash, history and all."""
        return self._trash.read(session_id)

    def purge(self, session_id: str) -> None:
        """Take a session out of the trash for good, with what a repair put beside it."""
        self._trash.purge(session_id)

    # Looking through it

    def examine(self, *, repair: bool = False) -> list[Finding]:
        """Look through everything for what is damaged or left over."""
        mending = Mending(self._live, self._trash, self._files, self._archives, self._entries)
        return list(Examination(self._live, self._trash, self._leases, mending, repair=repair).findings())

    # Who is at it

    def lease(self, session_id: str, holder: Holder) -> FileLease:
        """Have a session to oneself."""
        return self._leases.take(session_id, holder)

    def holder(self, session_id: str) -> Holder | None:
        """Return who has a session to itself."""
        return self._leases.holder(session_id)

    def _name_of(self, session_id: str) -> str | None:
        entry = self._index.glance(session_id)
        return entry.name if entry else None

    def close(self) -> None:
        """Close all files."""
        self._files.close()
        self._index.close()
