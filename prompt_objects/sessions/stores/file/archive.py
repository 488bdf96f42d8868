"""The archived sessions of a file store: compressed until the next message."""

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
from prompt_objects.sessions.stores.errors import check_truncation
from prompt_objects.sessions.stores.file.archive_file import (
    ArchiveReader,
    keep_copy,
    pack,
    read_archive,
    rewrite_archive,
    unpack,
)
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import ParsedFile, id_of, missing_file_error, parse_file
from prompt_objects.sessions.stores.file.index_sync import SessionIndex
from prompt_objects.sessions.stores.file.session_file import SessionFile
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import pluralize
from prompt_objects.utils.time import now


class Archives:
    """Archives session files and restores them. Session files are created and removed under the lock of the index."""

    def __init__(self, live: SessionDirectory, entries: SessionIndex) -> None:
        self._live = live
        self._entries = entries
        self._index = entries.index
        self._reader = ArchiveReader()

    def load(self, packed: Path) -> SessionRecord:
        found = self._read(packed)
        if self._index.peek(found.info.id) != found.info and not self._live.read_only:
            with suppress(StoreError, NotFound), self._index:
                if not self._live.file(found.info.id).exists():
                    self._index.put(self._read(packed).info)
        return found.record

    def read(self, packed: Path, start: int, stop: int) -> list[Message]:
        return self._read(packed).read(start, stop)

    def put(self, file: SessionFile, info: SessionInfo) -> SessionRecord:
        """Archive a session whose file is locked; `info` is its info before that."""
        info = replace(info, archived=True)
        pack(self._live.archive(file.id), file.data())
        with self._index:
            self._index.mark_dirty(file.id)
            self._live.drop(file.path)
            self._index.commit(info)
        return file.record(info)

    def update(self, packed: Path, name: str | None, metadata: dict[str, Any] | None) -> SessionRecord:
        with self._locked(packed) as found:
            header: dict[str, Any] = {} if metadata is None else {"metadata": metadata}
            if name is not None and name != found.info.name:
                self._entries.check_name(name, found.info.po_name)
                header["name"] = name
            return self._rewrite(packed, found, header)

    def truncate(self, packed: Path, count: int, expected: int | None) -> SessionRecord:
        with self._locked(packed) as found:
            check_truncation(found.info.name, found.info.message_count, count, expected)
            if count == found.info.message_count:
                return found.record
            return self._rewrite(packed, found, {}, count, now())

    def _read(self, packed: Path) -> ParsedFile:
        found = self._reader.read(packed, self._index.peek(id_of(packed)))
        if not found.whole:
            kept = pluralize(found.info.message_count, "whole message")
            self._live.report(
                f"{packed} is damaged; {kept} can be read. It is kept as it is when the session changes."
            )
        return found

    @contextmanager
    def _locked(self, packed: Path) -> Iterator[ParsedFile]:
        """Lock the index for a block, and return the archive. Raises `NotFound` if the session is not archived."""
        self._read(packed)
        with self._index:
            found = self._read(packed)
            if self._live.file(found.info.id).exists():
                raise missing_file_error(packed)
            yield found

    def _rewrite(
        self,
        packed: Path,
        found: ParsedFile,
        header: dict[str, Any],
        count: int = sys.maxsize,
        moment: datetime | None = None,
    ) -> SessionRecord:
        self._index.mark_dirty(found.info.id)
        found = rewrite_archive(packed, found, header, count, moment)
        self._index.commit(found.info, durable=True)
        return found.record

    def unarchive(self, session_id: str) -> bool:
        """Restore the file of an archived session; return whether the session has a file now.

        The lock of the index is held all the time; otherwise a second process would overwrite a new message.
        """
        path, packed = self._live.file(session_id), self._live.archive(session_id)
        if not packed.exists():
            return path.exists()
        with self._index:
            if path.exists() or not packed.exists():  # another process did it
                return path.exists()
            data, whole = unpack(packed)
            info = parse_file(packed, data, self._index.find(session_id)).info
            if not whole:
                keep_copy(packed)
            self._index.mark_dirty(session_id)
            disk.replace_file(path, (data,))
            self._live.drop(packed)
            self._index.commit(info)
        return True

    def drop_leftover(self, file: SessionFile) -> None:
        """Remove the archive that a killed process left beside a file; the file is valid."""
        if self._live.read_only:
            return
        if self._live.archive(file.id).exists() and file.path.exists():
            with suppress(NotFound, StoreError), file, file.locked():
                self.drop_stale(file)

    def drop_stale(self, file: SessionFile) -> None:
        """Remove the archive beside a locked file; if it has other messages, keep a copy."""
        packed = self._live.archive(file.id)
        if not packed.exists():
            return
        if not _starts_with(parse_file(file.path, file.data()), read_archive(packed)):
            beside = keep_copy(packed)
            self._live.report(f"{packed} differed from the session file, which is used. It was saved as {beside}.")
        self._live.drop(packed)


def _starts_with(found: ParsedFile, packed: ParsedFile) -> bool:
    """Return whether a session starts with all messages of its archive."""
    try:
        old = packed.read(0, sys.maxsize)
        return packed.whole and found.read(0, len(old)) == old
    except ValueError:  # a message that cannot be read
        return False
