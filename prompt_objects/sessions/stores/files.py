"""The file store: a folder with a file for each session, their index, and a trash."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, TypeGuard, TypeVar

from msgspec.structs import replace

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.holder import Holder
from prompt_objects.message import Message, now, timestamp
from prompt_objects.sessions import disk
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.record import Finding, Record, SessionInfo, Trashed, head_of
from prompt_objects.sessions.stores import StoreOptions
from prompt_objects.sessions.stores.contents import document, gone
from prompt_objects.sessions.stores.encoding import encode
from prompt_objects.sessions.stores.examination import Examination
from prompt_objects.sessions.stores.head import metadata_of
from prompt_objects.sessions.stores.index import Index
from prompt_objects.sessions.stores.index_file import in_order
from prompt_objects.sessions.stores.leases import FileLease, Leases
from prompt_objects.sessions.stores.refusals import check_size, conflict, name_taken, too_few
from prompt_objects.sessions.stores.session_file import SessionFile
from prompt_objects.sessions.stores.session_folder import SessionFolder
from prompt_objects.sessions.stores.shelf import Shelf
from prompt_objects.sessions.stores.trash import Trash
from prompt_objects.sessions.usage import summed, with_usage

__all__ = ["FileStore"]

T = TypeVar("T")

_MOST_OPEN = 32


class FileStore:
    """Sessions in files, for any number of threads and processes of one machine.

    A session's file is locked before the index, never the other way round.
    """

    def __init__(self, folder: Path, options: StoreOptions = StoreOptions()) -> None:  # noqa: B008 - it is immutable
        self._options = options
        self._notices: list[str] = []
        self._live = SessionFolder(folder / "sessions", self._notices)
        self._leases = Leases(self._live.path / "leases", self._name_of)
        self._begin()
        disk.in_forked_children(self.forget_parent)

    def _begin(self) -> None:
        self._files: OrderedDict[str, SessionFile] = OrderedDict()
        self._files_mutex = Lock()
        self._index = Index(self._live.path / "index.json", self._live.ids, self._survey)
        self._shelf = Shelf(self._live, self._index, self._check_name)
        self._trash = Trash(self._live, self._index, self._notices)

    def forget_parent(self) -> None:
        """In a forked child, use descriptors of its own: a lock on a shared one would be its parent's, too."""
        inherited, index = self._files, self._index
        self._begin()
        self._leases.forget_parent()
        for file in inherited.values():
            file.close()
        index.abandon()

    # What is there

    def load(self, session_id: str) -> Record:
        """Return all of a session but its history."""
        try:
            return self._wherever(session_id, self._load, self._shelf.load)
        except NotFound:
            with suppress(StoreError), self._index:
                if self._index.find(session_id) and not self._live.has(session_id):
                    self._index.remove(session_id)
            raise

    def _load(self, file: SessionFile) -> Record:
        file.look()
        entry = self._index.glance(file.id)
        return Record(entry if _is_entry_of(entry, file, file.count) else self._enter(file), metadata_of(file.head))

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`."""
        return self._wherever(
            session_id,
            lambda file: file.read(start, stop),
            lambda packed: self._shelf.read(packed, start, stop),
        )

    def sessions(self, *, limit: int | None = None) -> list[SessionInfo]:
        """Return what is known of the sessions; from their files, where the index cannot be put right."""
        try:
            with self._index:
                return self._index.entries() if limit is None else self._index.newest(limit)
        except StoreError:
            return in_order(self._survey(self._live.ids()))[:limit]

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

    def create(self, info: SessionInfo, metadata: dict[str, Any], messages: Iterable[Message] = ()) -> Record:
        """Begin a session."""
        history = list(messages)
        info = summed(info, history)
        path = self._live.file(info.id)
        chunks = list(document(head_of(info, metadata), history, timestamp(info.updated_at)))
        self._make_folder()
        with self._index:
            self._check_name(info.name, info.po_name)
            if self._live.has(info.id):
                raise StoreError(f"There is a session {info.id} already.")
            self._index.doubt(info.id)
            try:
                disk.replace_file(path, chunks)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise disk.failure("written", path, error) from error
            with self._index.following():
                self._index.put(info)
        return Record(info, metadata)

    def append(self, session_id: str, messages: Sequence[Message], *, expected: int) -> SessionInfo:
        """Add messages to a session of `expected` messages."""
        lines = [encode(message) for message in messages]
        while True:
            try:
                with self._file(session_id) as file:
                    return self._append(file, messages, lines, expected)
            except NotFound:
                if not self._shelf.bring_back(session_id):
                    raise

    def _append(
        self, file: SessionFile, messages: Sequence[Message], lines: list[bytes], expected: int
    ) -> SessionInfo:
        with file.locked(writing=True):
            if file.count != expected:
                raise conflict(file.head.get("name"), file.count, expected)
            added = sum(map(len, lines))
            check_size(file.head.get("name"), file.size, added, self._options.max_session_size, messages)
            moment = now()
            file.append(lines, timestamp(moment))
            info = self._note(file, messages, expected, moment)
        file.sync()
        return info

    def update(self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None) -> Record:
        """Change the name, or the metadata, or both."""
        return self._wherever(
            session_id,
            lambda file: self._update(file, name, metadata),
            lambda packed: self._shelf.update(packed, name, metadata),
        )

    def _update(self, file: SessionFile, name: str | None, metadata: dict[str, Any] | None) -> Record:
        with file.locked(writing=True), self._index:
            info = self._true_entry(file)
            head = dict(file.head)
            if name is not None and name != info.name:
                self._check_name(name, info.po_name)
                info = replace(info, name=name)
                head["name"] = name
            if metadata is not None:
                head["metadata"] = metadata
            self._index.doubt(file.id)
            file.rewrite_head(head)
            with self._index.following():
                self._index.put(info)
                self._index.sync()
            return Record(info, metadata_of(file.head))

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> Record:
        """Keep the first `count` messages."""
        return self._wherever(
            session_id,
            lambda file: self._truncate(file, count, expected),
            lambda packed: self._shelf.truncate(packed, count, expected),
        )

    def _truncate(self, file: SessionFile, count: int, expected: int | None) -> Record:
        with file.locked(writing=True), self._index:
            if expected is not None and expected != file.count:
                raise conflict(file.head.get("name"), file.count, expected)
            if not 0 <= count <= file.count:
                raise too_few(file.head.get("name"), file.count, count)
            info = self._true_entry(file)
            if count < file.count:
                self._index.doubt(file.id)
                file.truncate(count, timestamp())
                info = file.info()
                with self._index.following():
                    self._index.put(info)
                    self._index.sync()
            return Record(info, metadata_of(file.head))

    def archive(self, session_id: str) -> Record:
        """Keep a session compressed until its next message."""
        self.read(session_id, 0, sys.maxsize)  # what cannot be read is repaired before
        return self._wherever(session_id, self._archive, self._shelf.load)

    def _archive(self, file: SessionFile) -> Record:
        with file.locked(writing=True):
            with self._index:
                info = self._true_entry(file)
            record = self._shelf.put(file, info)
        file.close()
        return record

    def _wherever(self, session_id: str, of_file: Callable[[SessionFile], T], of_archive: Callable[[Path], T]) -> T:
        """Ask the file of a session, or, where there is none, its archive."""
        while True:
            try:
                with self._file(session_id) as file:
                    return of_file(file)
            except NotFound:
                try:
                    return of_archive(self._live.archive(session_id))
                except NotFound:
                    if not self._live.file(session_id).exists():  # or it was brought back just now
                        raise

    # The trash

    def delete(self, session_id: str) -> None:
        """Move a session to the trash, where the time of its file is that of its deletion."""
        self._wherever(session_id, self._delete, self._delete_archive)

    def _delete(self, file: SessionFile) -> None:
        with file.locked(), self._index:
            self._shelf.settle(file)
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
        return list(Examination(self._live, self._trash, self._leases, self, repair=repair).findings())

    def mend(self, session_id: str, *, trashed: bool) -> None:
        """Bring the file of a session, or its archive, into our form, whatever is wrong with it."""
        if trashed:
            self._trash.mend(session_id)
        elif not self._live.file(session_id).exists():
            self._shelf.update(self._live.archive(session_id), None, None)
        else:
            with self._file(session_id) as file:
                file.mend()
            self._shelf.clear_up(file)

    def enter(self, session_id: str) -> None:
        """Have the entry of a session say what its file says; without a file, take it out."""
        try:
            self._wherever(session_id, self._enter_exactly, self._shelf.load)
        except NotFound:
            with self._index:
                if not self._live.has(session_id):
                    self._index.remove(session_id)

    def _enter_exactly(self, file: SessionFile) -> None:
        with file.locked(), self._index:
            info = file.info()
            if self._index.find(file.id) != info:
                self._index.put(info)
                file.entry = None

    def enter_all(self) -> None:
        """Write the index anew from the session files."""
        with self._index:
            self._index.rebuild()

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
        with self._files_mutex:
            for file in self._files.values():
                with file:
                    file.close()
            self._files.clear()
        self._index.close()

    # Files

    def _file(self, session_id: str) -> SessionFile:
        """Return a session's file; the last used are kept open for the next time."""
        with self._files_mutex:
            file = self._files.get(session_id)
            is_new = file is None
            if file is None:
                file = self._files[session_id] = self._open(session_id)
                self._close_idle()
            self._files.move_to_end(session_id)
        if is_new:
            self._shelf.clear_up(file)
        return file

    def _open(self, session_id: str) -> SessionFile:
        return SessionFile(self._live.file(session_id), self._notices, lambda: self._index.glance(session_id))

    def _make_folder(self) -> None:
        try:
            disk.make_folder(self._live.path)
        except OSError as error:
            raise disk.failure("made", self._live.path, error) from error

    def _close_idle(self) -> None:
        # A thread may be about to use what is taken out here: it opens it again, and lets go when it is done.
        excess = len(self._files) - _MOST_OPEN
        for key in list(self._files)[: max(0, excess)]:
            if self._files[key].close_if_idle():
                del self._files[key]

    # The index

    def _survey(self, ids: Iterable[str]) -> Iterator[SessionInfo]:
        return (info for info, _ in self._live.infos(ids))

    def _enter(self, file: SessionFile) -> SessionInfo:
        """Have a session's entry say what its file says; where the index cannot be written, say it all the same."""
        with file.locked():
            try:
                with self._index:
                    return self._true_entry(file)
            except StoreError:
                return file.info()

    def _true_entry(self, file: SessionFile) -> SessionInfo:
        """Return a session's entry, put right where it does not say what the file says."""
        entry = self._index.find(file.id)
        if _is_entry_of(entry, file, file.count):
            return entry
        info = file.info()
        self._index.put(info)
        return info

    def _note(self, file: SessionFile, messages: Sequence[Message], before: int, moment: datetime) -> SessionInfo:
        """Bring a session's entry up to date after an append; the messages are in the file already."""
        try:
            with self._index:
                entry = file.entry
                if not _is_entry_of(entry, file, before):
                    entry = self._index.find(file.id)
                if _is_entry_of(entry, file, before):
                    info = with_usage(entry, messages, message_count=file.count, updated_at=moment)
                else:
                    info = file.info()
                self._index.put(info)
                file.entry = info
                return info
        except StoreError:
            return file.info()  # the entry is stale now, which will be seen by its count

    def _check_name(self, name: str, po_name: str) -> None:
        if self._index.has_name(name, po_name):
            raise name_taken(name, po_name, self._index.names(po_name))


def _is_entry_of(entry: SessionInfo | None, file: SessionFile, count: int) -> TypeGuard[SessionInfo]:
    """Say whether an entry tells of the session in a file when that had, or has, `count` messages."""
    if entry is None or entry.archived:
        return False
    return entry.message_count == count and entry.name == file.head.get("name")
