"""The file store: a folder with a file for each session, their index, and a trash."""

import os
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, TypeGuard

from msgspec.structs import replace

from prompt_objects.errors import Conflict, NameTaken, NotFound, StoreError
from prompt_objects.message import Message, now, timestamp
from prompt_objects.sessions import disk
from prompt_objects.sessions.names import free_name, is_id
from prompt_objects.sessions.record import Record, SessionInfo, Trashed, head_of
from prompt_objects.sessions.stores import StoreOptions
from prompt_objects.sessions.stores.encoding import encode
from prompt_objects.sessions.stores.index import Index
from prompt_objects.sessions.stores.session_file import SessionFile, document
from prompt_objects.sessions.stores.session_folder import SessionFolder
from prompt_objects.sessions.usage import with_usage

__all__ = ["FileStore"]

_MOST_OPEN = 32


class FileStore:
    """Sessions in files, for any number of threads and processes of one machine.

    A session's file is locked before the index, never the other way round.
    """

    def __init__(self, folder: Path, options: StoreOptions = StoreOptions()) -> None:  # noqa: B008 - it is immutable
        self._options = options
        self._notices: list[str] = []
        self._live = SessionFolder(folder / "sessions", self._notices)
        self._trash = SessionFolder(folder / "sessions" / "trash", self._notices)
        try:
            disk.make_folder(self._trash.path)
        except OSError as error:
            if error.errno not in disk.UNWRITABLE:  # what is there can be read all the same
                raise disk.failure("made", self._trash.path, error) from error
        self._begin()
        _drop_descriptors_in_children(self)

    def _begin(self) -> None:
        self._files: OrderedDict[str, SessionFile] = OrderedDict()
        self._files_mutex = Lock()
        self._index = Index(self._live.path / "index.json", self._live.ids, self._survey)

    def forget_parent(self) -> None:
        """In a forked child, use descriptors of its own: a lock on a shared one would be its parent's, too."""
        inherited, index = self._files, self._index
        self._begin()
        for file in inherited.values():
            file.close()
        index.abandon()

    # What is there

    def load(self, session_id: str) -> Record:
        """Return all of a session but its history."""
        path = self._live.file(session_id)
        try:
            with self._file(session_id) as file:
                file.look()
                entry = self._index.glance(session_id)
                return Record(entry if _is_entry_of(entry, file, file.count) else self._enter(file), _metadata(file))
        except NotFound:
            with suppress(StoreError), self._index:
                if self._index.find(session_id) and not path.exists():
                    self._index.remove(session_id)
            raise

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`."""
        with self._file(session_id) as file:
            return file.read(start, stop)

    def sessions(self) -> list[SessionInfo]:
        """Return what is known of every session; from their files, where the index cannot be put right."""
        try:
            with self._index:
                return self._index.entries()
        except StoreError:
            return list(self._survey(self._live.ids()))

    def notices(self) -> list[str]:
        """Return, once, what a person should be told."""
        told, self._notices[:] = list(self._notices), []
        return told

    def locate(self, path: Path) -> str | None:
        """Return the id of the session whose file this is."""
        try:
            inside = path.parent.resolve() == self._live.path.resolve() and path.suffix == ".json"
        except (OSError, RuntimeError):  # a link in a circle; which of them depends on the version of Python
            return None
        return path.stem if inside and is_id(path.stem) else None

    # Writing

    def create(self, info: SessionInfo, metadata: dict[str, Any], messages: Iterable[Message] = ()) -> Record:
        """Begin a session."""
        history = list(messages)
        info = with_usage(_without_sums(info, len(history)), history)
        path = self._live.file(info.id)
        chunks = list(document(head_of(info, metadata), history, timestamp(info.updated_at)))
        with self._index:
            self._check_name(info.name, info.po_name)
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
        with self._file(session_id) as file:
            with file.locked(writing=True):
                if file.count != expected:
                    raise _conflict(file, expected)
                moment = now()
                file.append(lines, timestamp(moment))
                info = self._note(file, messages, expected, moment)
            file.sync()
        return info

    def update(self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None) -> Record:
        """Change the name, or the metadata, or both."""
        with self._file(session_id) as file, file.locked(writing=True), self._index:
            info = self._true_entry(file)
            head = dict(file.head)
            if name is not None and name != info.name:
                self._check_name(name, info.po_name)
                info = replace(info, name=name)
                head["name"] = name
            if metadata is not None:
                head["metadata"] = metadata
            self._index.doubt(session_id)
            file.rewrite_head(head)
            with self._index.following():
                self._index.put(info)
                self._index.sync()
            return Record(info, _metadata(file))

    # The trash

    def delete(self, session_id: str) -> None:
        """Move a session to the trash, where the time of its file is that of its deletion."""
        with self._file(session_id) as file:
            with file.locked(), self._index:
                self._index.doubt(session_id)
                self._trash.take(file.path, touch=True)
                with self._index.following():
                    self._index.remove(session_id)
            file.close()

    def restore(self, session_id: str) -> Record:
        """Bring a session back from the trash."""
        file = SessionFile(self._trash.file(session_id), self._notices)
        try:
            with file, file.locked(), self._index:
                info = file.info()
                name = free_name(info.name, self._index.names(info.po_name))
                if name != info.name:
                    file.rewrite_head({**file.head, "name": name})
                    info = replace(info, name=name)
                self._index.doubt(session_id)
                self._live.take(file.path)
                with self._index.following():
                    self._index.put(info)
                return Record(info, _metadata(file))
        finally:
            file.close()

    def trash(self) -> list[Trashed]:
        """Return what can be restored, the last deleted first."""
        infos = self._trash.infos(self._trash.ids())
        found = [Trashed(info, datetime.fromtimestamp(deleted_at, UTC)) for info, deleted_at in infos]
        return sorted(found, key=lambda trashed: trashed.deleted_at, reverse=True)

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
            if file is None:
                file = self._files[session_id] = SessionFile(self._live.file(session_id), self._notices)
                self._close_idle()
            self._files.move_to_end(session_id)
        return file

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
            raise NameTaken(
                f"{po_name} has a session called {name!r} already.",
                suggestion=free_name(name, self._index.names(po_name)),
            )


def _drop_descriptors_in_children(store: FileStore) -> None:
    reference = weakref.ref(store)  # what is registered stays for ever; the store need not

    def in_child() -> None:
        if inherited := reference():
            inherited.forget_parent()

    os.register_at_fork(after_in_child=in_child)


def _is_entry_of(entry: SessionInfo | None, file: SessionFile, count: int) -> TypeGuard[SessionInfo]:
    """Say whether an entry tells of the session in a file when that had, or has, `count` messages."""
    return entry is not None and entry.message_count == count and entry.name == file.head.get("name")


def _metadata(file: SessionFile) -> dict[str, Any]:
    metadata = file.head.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _without_sums(info: SessionInfo, count: int) -> SessionInfo:
    return replace(info, message_count=count, prompt_tokens=0, completion_tokens=0, cached_tokens=0, cost=None)


def _conflict(file: SessionFile, expected: int) -> Conflict:
    added = file.count - expected
    what = f"{added} messages were added" if added > 0 else f"{-added} messages were taken out"
    return Conflict(
        f"In the session {file.head.get('name')!r} {what} by another window or program; nothing was written.",
        hint="Read the session again, then repeat what you did.",
    )
