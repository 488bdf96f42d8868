"""The archived sessions of a file store, from where they are brought back by the next message."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, SessionRecord
from prompt_objects.sessions.stores.base import conflict, too_few_messages
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import (
    ArchiveReader,
    ParsedFile,
    id_of,
    missing_file_error,
    pack,
    parse_file,
    read_archive,
    rewrite_archive,
    set_aside,
    unpack,
)
from prompt_objects.sessions.stores.file.index_sync import SessionIndex
from prompt_objects.sessions.stores.file.session_file import SessionFile
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import now, pluralize


class Archives:
    """Puts session files into archives and takes them out. A `.json` comes or goes under the lock of the index."""

    def __init__(self, live: SessionDirectory, entries: SessionIndex) -> None:
        self._live = live
        self._entries = entries
        self._index = entries.index
        self._reader = ArchiveReader()

    def load(self, packed: Path) -> SessionRecord:
        """Return all of an archived session but its history. Raises `NotFound`."""
        found = self._read(packed)
        if self._index.peek(found.info.id) != found.info:
            with suppress(StoreError, NotFound), self._index:
                if not self._live.file(found.info.id).exists():
                    self._index.put(self._read(packed).info)
        return SessionRecord(found.info, found.metadata)

    def read(self, packed: Path, start: int, stop: int) -> list[Message]:
        """Return messages of an archived session. Raises `NotFound`."""
        return self._read(packed).read(start, stop)

    def put(self, file: SessionFile, info: SessionInfo) -> SessionRecord:
        """Archive a session whose file is locked, and of which its entry is to say `info` but for that."""
        info = replace(info, archived=True)
        pack(self._live.archive(file.id), file.data())
        with self._index:
            self._index.mark_dirty(file.id)
            self._live.drop(file.path)
            self._entries.commit(info)
        return SessionRecord(info, file.metadata)

    def update(self, packed: Path, name: str | None, metadata: dict[str, Any] | None) -> SessionRecord:
        """Change the name of an archived session, or its metadata, or both."""
        with self._changing(packed) as found:
            head: dict[str, Any] = {} if metadata is None else {"metadata": metadata}
            if name is not None and name != found.info.name:
                self._entries.check_name(name, found.info.po_name)
                head["name"] = name
            return self._rewrite(packed, found, head, found.info.message_count, found.info.updated_at)

    def truncate(self, packed: Path, length: int, expected: int | None) -> SessionRecord:
        """Keep the first `length` messages of an archived session."""
        with self._changing(packed) as found:
            if expected is not None and expected != found.info.message_count:
                raise conflict(found.info.name, found.info.message_count, expected)
            if not 0 <= length <= found.info.message_count:
                raise too_few_messages(found.info.name, found.info.message_count, length)
            if length == found.info.message_count:
                return SessionRecord(found.info, found.metadata)
            return self._rewrite(packed, found, {}, length, now())

    def _read(self, packed: Path) -> ParsedFile:
        found = self._reader.read(packed, self._index.peek(id_of(packed)))
        if not found.whole:
            kept = pluralize(found.info.message_count, "whole message")
            self._live.report(
                f"{packed} is damaged; {kept} can be read. It is kept as it is when the session changes."
            )
        return found

    @contextmanager
    def _changing(self, packed: Path) -> Iterator[ParsedFile]:
        """Have an archive to oneself for a block. Raises `NotFound` where it is, or comes to be, no archive."""
        self._read(packed)
        with self._index:
            found = self._read(packed)
            if self._live.file(found.info.id).exists():
                raise missing_file_error(packed)
            yield found

    def _rewrite(
        self, packed: Path, found: ParsedFile, head: dict[str, Any], length: int, updated_at: datetime
    ) -> SessionRecord:
        self._index.mark_dirty(found.info.id)
        found = rewrite_archive(packed, found, head, count=length, updated_at=updated_at)
        self._entries.commit(found.info, durable=True)
        return SessionRecord(found.info, found.metadata)

    def unarchive(self, session_id: str) -> bool:
        """Have an archived session in a file again; False where it is not there at all.

        The lock of the index is held throughout: who came second would else put the old file over a new message.
        """
        path, packed = self._live.file(session_id), self._live.archive(session_id)
        if not packed.exists():
            return path.exists()
        with self._index:
            if path.exists() or not packed.exists():  # somebody else was at it
                return path.exists()
            data, whole = unpack(packed)
            info = parse_file(packed, data, self._index.find(session_id)).info
            if not whole:
                set_aside(packed)
            self._index.mark_dirty(session_id)
            disk.replace_file(path, (data,))
            self._live.drop(packed)
            self._entries.commit(info)
        return True

    def drop_leftover(self, file: SessionFile) -> None:
        """Take away the archive that a killed process left beside a file, which is what counts."""
        if self._live.archive(file.id).exists() and file.path.exists():
            with suppress(NotFound, StoreError), file, file.locked():
                self.drop_stale(file)

    def drop_stale(self, file: SessionFile) -> None:
        """Drop the archive beside a file, which is locked; one that holds something else is set aside."""
        packed = self._live.archive(file.id)
        if not packed.exists():
            return
        if not _begins_with(parse_file(file.path, file.data()), read_archive(packed)):
            beside = set_aside(packed)
            self._live.report(
                f"{packed} held something else than the session's file, which counts; it is in {beside}."
            )
        self._live.drop(packed)


def _begins_with(found: ParsedFile, packed: ParsedFile) -> bool:
    """Say whether a session holds all that its archive does."""
    try:
        old = packed.read(0, sys.maxsize)
        return packed.whole and found.read(0, len(old)) == old
    except ValueError:  # a message that cannot be read
        return False
