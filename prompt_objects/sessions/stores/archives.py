"""The archived sessions of a file store, from where they are brought back by the next message."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.message import Message, now
from prompt_objects.sessions import disk
from prompt_objects.sessions.record import Record, SessionInfo
from prompt_objects.sessions.stores.archive import (
    ArchiveReader,
    pack,
    read_archive,
    rewrite_archive,
    set_aside,
    unpack,
)
from prompt_objects.sessions.stores.contents import Contents, contents, gone
from prompt_objects.sessions.stores.entries import Entries
from prompt_objects.sessions.stores.head import id_of, metadata_of
from prompt_objects.sessions.stores.refusals import conflict, too_few
from prompt_objects.sessions.stores.session_file import SessionFile
from prompt_objects.sessions.stores.session_folder import SessionFolder
from prompt_objects.wording import count

__all__ = ["Archives"]


class Archives:
    """Puts session files into archives and takes them out. A `.json` comes or goes under the lock of the index."""

    def __init__(self, live: SessionFolder, entries: Entries) -> None:
        self._live = live
        self._entries = entries
        self._index = entries.index
        self._reader = ArchiveReader()

    def load(self, packed: Path) -> Record:
        """Return all of an archived session but its history. Raises `NotFound`."""
        found = self._read(packed)
        if self._index.glance(found.info.id) != found.info:
            with suppress(StoreError, NotFound), self._index:
                if not self._live.file(found.info.id).exists():
                    self._index.put(self._read(packed).info)
        return Record(found.info, found.metadata)

    def read(self, packed: Path, start: int, stop: int) -> list[Message]:
        """Return messages of an archived session. Raises `NotFound`."""
        return self._read(packed).read(start, stop)

    def put(self, file: SessionFile, info: SessionInfo) -> Record:
        """Archive a session whose file is locked, and of which its entry is to say `info` but for that."""
        info = replace(info, archived=True)
        pack(self._live.archive(file.id), file.data())
        with self._index:
            self._index.doubt(file.id)
            self._live.drop(file.path)
            self._entries.follow(info)
        return Record(info, metadata_of(file.head))

    def update(self, packed: Path, name: str | None, metadata: dict[str, Any] | None) -> Record:
        """Change the name of an archived session, or its metadata, or both."""
        with self._changing(packed) as found:
            head: dict[str, Any] = {} if metadata is None else {"metadata": metadata}
            if name is not None and name != found.info.name:
                self._entries.check_name(name, found.info.po_name)
                head["name"] = name
            return self._rewrite(packed, found, head, found.info.message_count, found.info.updated_at)

    def truncate(self, packed: Path, length: int, expected: int | None) -> Record:
        """Keep the first `length` messages of an archived session."""
        with self._changing(packed) as found:
            if expected is not None and expected != found.info.message_count:
                raise conflict(found.info.name, found.info.message_count, expected)
            if not 0 <= length <= found.info.message_count:
                raise too_few(found.info.name, found.info.message_count, length)
            if length == found.info.message_count:
                return Record(found.info, found.metadata)
            return self._rewrite(packed, found, {}, length, now())

    def _read(self, packed: Path) -> Contents:
        found = self._reader.read(packed, self._index.glance(id_of(packed)))
        if not found.whole:
            kept = count(found.info.message_count, "whole message")
            self._live.tell(f"{packed} is damaged; {kept} can be read. It is kept as it is when the session changes.")
        return found

    @contextmanager
    def _changing(self, packed: Path) -> Iterator[Contents]:
        """Have an archive to oneself for a block. Raises `NotFound` where it is, or comes to be, no archive."""
        self._read(packed)
        with self._index:
            found = self._read(packed)
            if self._live.file(found.info.id).exists():
                raise gone(packed)
            yield found

    def _rewrite(
        self, packed: Path, found: Contents, head: dict[str, Any], length: int, updated_at: datetime
    ) -> Record:
        self._index.doubt(found.info.id)
        found = rewrite_archive(packed, found, head, count=length, updated_at=updated_at)
        self._entries.follow(found.info, durable=True)
        return Record(found.info, found.metadata)

    def bring_back(self, session_id: str) -> bool:
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
            info = contents(packed, data, self._index.find(session_id)).info
            if not whole:
                set_aside(packed)
            self._index.doubt(session_id)
            disk.replace_file(path, (data,))
            self._live.drop(packed)
            self._entries.follow(info)
        return True

    def clear_up(self, file: SessionFile) -> None:
        """Take away the archive that a killed process left beside a file, which is what counts."""
        if self._live.archive(file.id).exists() and file.path.exists():
            with suppress(NotFound, StoreError), file, file.locked():
                self.settle(file)

    def settle(self, file: SessionFile) -> None:
        """Drop the archive beside a file, which is locked; one that holds something else is set aside."""
        packed = self._live.archive(file.id)
        if not packed.exists():
            return
        if not _begins_with(contents(file.path, file.data()), read_archive(packed)):
            beside = set_aside(packed)
            self._live.tell(f"{packed} held something else than the session's file, which counts; it is in {beside}.")
        self._live.drop(packed)


def _begins_with(found: Contents, packed: Contents) -> bool:
    """Say whether a session holds all that its archive does."""
    try:
        old = packed.read(0, sys.maxsize)
        return packed.whole and found.read(0, len(old)) == old
    except ValueError:  # a message that cannot be read
        return False
