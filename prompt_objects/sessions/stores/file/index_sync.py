"""What the index of a file store says of its sessions, kept true to their files."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeGuard

from msgspec.structs import replace

from prompt_objects.errors import StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, SessionRecord, add_usage
from prompt_objects.sessions.names import numbering_stem, unique_name
from prompt_objects.sessions.stores.base import SessionFilter
from prompt_objects.sessions.stores.errors import conflict, name_taken, too_few_messages
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import metadata_of
from prompt_objects.sessions.stores.file.index import Index
from prompt_objects.sessions.stores.file.index_file import in_order
from prompt_objects.sessions.stores.file.session_file import SessionFile
from prompt_objects.utils.time import timestamp

__all__ = [
    "SessionIndex",
]


class SessionIndex:
    """The entries of the sessions in a folder. Whoever calls has the file that is given, among threads.

    What takes a name or an info, and `follow`, wants the lock of the `index`, too.
    """

    def __init__(self, folder: SessionDirectory) -> None:
        self._folder = folder
        self.index = Index(folder.path / "index.json", folder.ids, self._survey)

    def _survey(self, ids: Iterable[str]) -> Iterator[SessionInfo]:
        return (info for info, _ in self._folder.infos(ids))

    def list(self, where: SessionFilter, limit: int | None) -> list[SessionInfo]:
        """Return the selected entries, the last changed first; if the index cannot be used, read the files."""
        try:
            with self.index:
                return self.index.entries(where) if limit is None else self.index.newest(limit, where)
        except StoreError:
            return in_order(where.select(self._survey(self._folder.ids())))[:limit]

    # Names

    def check_name(self, name: str, po_name: str, given: Collection[str] = ()) -> None:
        """Raise `NameTaken` where the prompt object has a session of that name, or it was just `given` to one."""
        if name in given or self.index.has_name(name, po_name):
            raise name_taken(name, po_name, self._names_like(name, po_name).union(given))

    def name_for(self, info: SessionInfo, *, numbered: bool, given: Collection[str] = ()) -> str:
        """Return what a session can be called that comes: as it says, or with a number where it may have one.

        Names that were just `given` are taken, too, but not in the index yet. Raises `NameTaken`.
        """
        if not numbered:
            self.check_name(info.name, info.po_name, given)
            return info.name
        return unique_name(info.name, self._names_like(info.name, info.po_name).union(given))

    def _names_like(self, name: str, po_name: str) -> set[str]:
        return self.index.names(po_name, numbering_stem(name))

    # Of a file

    def load(self, file: SessionFile) -> SessionRecord:
        """Return all of a session but its history, by its entry where that is true."""
        file.refresh()
        entry = self.index.peek(file.id)
        info = entry if _is_entry_of(entry, file, file.count) else self._corrected(file)
        return SessionRecord(info, metadata_of(file.head))

    def _corrected(self, file: SessionFile) -> SessionInfo:
        """Put an entry right; where the index cannot be written, return what it should say all the same."""
        with file.locked():
            try:
                with self.index:
                    return self.entry(file)
            except StoreError:
                return file.info()

    def entry(self, file: SessionFile) -> SessionInfo:
        """Return the entry of a file, put right where it does not say what the file says; both are locked."""
        entry = self.index.find(file.id)
        if _is_entry_of(entry, file, file.count):
            return entry
        info = file.info()
        self.index.put(info)
        return info

    def update(self, file: SessionFile, name: str | None, metadata: dict[str, Any] | None) -> SessionRecord:
        """Change the name in a file, or the metadata, or both. Raises `NameTaken`."""
        with file.locked(writing=True), self.index:
            info = self.entry(file)
            head = dict(file.head)
            if name is not None and name != info.name:
                self.check_name(name, info.po_name)
                info = replace(info, name=name)
                head["name"] = name
            if metadata is not None:
                head["metadata"] = metadata
            self.index.mark_dirty(file.id)
            file.rewrite_head(head)
            self.commit(info, durable=True)
            return SessionRecord(info, metadata_of(file.head))

    def truncate(self, file: SessionFile, count: int, expected: int | None) -> SessionRecord:
        """Keep the first `count` messages of a file."""
        with file.locked(writing=True), self.index:
            if expected is not None and expected != file.count:
                raise conflict(file.head.get("name"), file.count, expected)
            if not 0 <= count <= file.count:
                raise too_few_messages(file.head.get("name"), file.count, count)
            info = self.entry(file)
            if count < file.count:
                self.index.mark_dirty(file.id)
                file.truncate(count, timestamp())
                info = file.info()
                self.commit(info, durable=True)
            return SessionRecord(info, metadata_of(file.head))

    def record_append(
        self, file: SessionFile, messages: Sequence[Message], before: int, moment: datetime
    ) -> SessionInfo:
        """Bring an entry up to date after an append; the messages are in the file, which is locked, already."""
        try:
            with self.index:
                entry = file.entry
                if not _is_entry_of(entry, file, before):
                    entry = self.index.find(file.id)
                if _is_entry_of(entry, file, before):
                    info = add_usage(entry, messages, message_count=file.count, updated_at=moment)
                else:
                    info = file.info()
                self.index.put(info)
                file.entry = info
                return info
        except StoreError:
            return file.info()  # the entry is stale now, which will be seen by its count

    # As a whole

    def commit(self, info: SessionInfo, *, durable: bool = False) -> None:
        """Have an entry follow its file, which was in doubt while it was changed, as far as the disk lets it."""
        with self.index.committing():
            self.index.put(info)
            if durable:
                self.index.sync()

    def refresh(self, file: SessionFile) -> None:
        """Have an entry say what its file says, sums and all."""
        with file.locked(), self.index:
            info = file.info()
            if self.index.find(file.id) != info:
                self.index.put(info)
                file.entry = None

    def rebuild(self) -> None:
        """Write the index anew from the session files."""
        with self.index:
            self.index.rebuild()

    def remove(self, session_id: str) -> None:
        """Take out the entry of a session that has no file any more."""
        with self.index:
            if self.index.find(session_id) and not self._folder.has(session_id):
                self.index.remove(session_id)


def _is_entry_of(entry: SessionInfo | None, file: SessionFile, count: int) -> TypeGuard[SessionInfo]:
    """Say whether an entry tells of the session in a file when that had, or has, `count` messages."""
    if entry is None or entry.archived:
        return False
    return entry.message_count == count and entry.name == file.head.get("name")
