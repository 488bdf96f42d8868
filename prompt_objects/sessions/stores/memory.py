"""The memory store: sessions for as long as the program runs, for tests and for what is not to be kept."""

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions.info import (
    SessionInfo,
    SessionRecord,
    StoreIssue,
    TrashedSession,
    add_usage,
    with_totals,
)
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.base import ALL_SESSIONS, SessionFilter, StoreOptions
from prompt_objects.sessions.stores.errors import (
    already_exists,
    busy,
    check_size,
    conflict,
    name_taken,
    not_found,
    require_id,
    too_few_messages,
)
from prompt_objects.sessions.stores.json_lines import decode, encode
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.process import ProcessInfo
from prompt_objects.utils.time import now

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "MemoryStore",
]


class _Kept:
    """A session; messages and metadata are kept encoded, so that nobody shares them with the store."""

    def __init__(self, info: SessionInfo, metadata: bytes, lines: list[bytes]) -> None:
        self.info = info
        self.metadata = metadata
        self.lines = lines
        self.size = sum(map(len, lines))
        self.deleted_at: datetime | None = None
        self._packed: bytes | None = None

    def record(self) -> SessionRecord:
        return SessionRecord(self.info, decode(self.metadata))

    def read(self, start: int, stop: int) -> list[Message]:
        lines = zlib.decompress(self._packed).split(b"\n") if self._packed else self.lines
        return [decode(line) for line in lines[start:stop]]

    def truncate(self, count: int) -> None:
        archived = self.info.archived
        self.unpack()
        self.lines = self.lines[:count]
        self.size = sum(map(len, self.lines))
        self.info = with_totals(replace(self.info, updated_at=now()), map(decode, self.lines))
        if archived:
            self.pack()

    def pack(self) -> None:
        self._packed = zlib.compress(b"\n".join(self.lines)) if self.lines else None
        self.lines = []
        self.info = replace(self.info, archived=True)

    def unpack(self) -> None:
        if self._packed:
            self.lines = zlib.decompress(self._packed).split(b"\n")
        self._packed = None
        self.info = replace(self.info, archived=False)


class MemoryStore:
    """Sessions of one process, for any number of its threads; a forked child has a copy of its own."""

    def __init__(self, options: StoreOptions = StoreOptions()) -> None:  # noqa: B008 - it is immutable
        self._options = options
        self._mutex = Lock()
        self._sessions: dict[str, _Kept] = {}
        self._names: dict[tuple[str, str], str] = {}  # the live ones: prompt object and name, to id
        self._leases: dict[str, MemoryLease] = {}
        disk.after_fork_in_child(self.after_fork)

    def after_fork(self) -> None:
        """In a forked child, let nobody hold anything: what was held is held in the parent."""
        self._mutex = Lock()
        self._leases = {}

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
        kept = _Kept(with_totals(info, map(decode, lines)), encode(metadata), lines)
        if enforce_limit:
            check_size(info.name, 0, kept.size, self._options.max_session_size, history)
        require_id(info.id)
        with self._mutex:
            if info.id in self._sessions:
                raise already_exists(info.id)
            self._enter(kept, numbered=unique_name)
            self._sessions[info.id] = kept
            return kept.record()

    def load(self, session_id: str) -> SessionRecord:
        """Return all of a session but its history."""
        with self._mutex:
            return self._live(session_id).record()

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`."""
        with self._mutex:
            return self._live(session_id).read(start, stop)

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, enforce_limit: bool = True
    ) -> SessionInfo:
        """Add messages to a session of `expected` messages."""
        lines = [encode(message) for message in messages]
        with self._mutex:
            kept = self._live(session_id)
            count = kept.info.message_count
            if count != expected:
                raise conflict(kept.info.name, count, expected)
            added = sum(map(len, lines))
            limit = self._options.max_session_size if enforce_limit else None
            check_size(kept.info.name, kept.size, added, limit, messages)
            kept.unpack()
            kept.lines += lines
            kept.size += added
            kept.info = add_usage(kept.info, messages, message_count=count + len(lines), updated_at=now())
            return kept.info

    def update(
        self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> SessionRecord:
        """Change the name, or the metadata, or both."""
        encoded = None if metadata is None else encode(metadata)
        with self._mutex:
            kept = self._live(session_id)
            if name is not None and name != kept.info.name:
                self._rename(kept, name)
            kept.metadata = kept.metadata if encoded is None else encoded
            return kept.record()

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> SessionRecord:
        """Keep the first `count` messages."""
        with self._mutex:
            kept = self._live(session_id)
            if expected is not None and expected != kept.info.message_count:
                raise conflict(kept.info.name, kept.info.message_count, expected)
            if not 0 <= count <= kept.info.message_count:
                raise too_few_messages(kept.info.name, kept.info.message_count, count)
            if count < kept.info.message_count:
                kept.truncate(count)
            return kept.record()

    def archive(self, session_id: str) -> SessionRecord:
        """Keep a session compressed until its next message."""
        with self._mutex:
            kept = self._live(session_id)
            if not kept.info.archived:
                kept.pack()
            return kept.record()

    def delete(self, session_id: str) -> None:
        """Move a session to the trash."""
        with self._mutex:
            kept = self._live(session_id)
            del self._names[kept.info.po_name, kept.info.name]
            kept.deleted_at = now()

    def restore(self, session_id: str) -> SessionRecord:
        """Bring a session back from the trash."""
        with self._mutex:
            kept = self._trashed(session_id)
            self._enter(kept, numbered=True)
            kept.deleted_at = None
            return kept.record()

    def trash(self) -> list[TrashedSession]:
        """Return what can be restored, the last deleted first."""
        with self._mutex:
            found = [
                TrashedSession(kept.info, kept.deleted_at) for kept in self._sessions.values() if kept.deleted_at
            ]
        return sorted(found, key=lambda trashed: trashed.deleted_at, reverse=True)

    def read_trashed(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        """Return a session that is in the trash, history and all."""
        with self._mutex:
            kept = self._trashed(session_id)
            return kept.record(), kept.read(0, kept.info.message_count)

    def purge(self, session_id: str) -> None:
        """Take a session out of the trash for good."""
        with self._mutex:
            self._trashed(session_id)
            del self._sessions[session_id]

    def lease(self, session_id: str, holder: ProcessInfo) -> "MemoryLease":
        """Have a session to oneself."""
        require_id(session_id)
        with self._mutex:
            if held := self._leases.get(session_id):
                kept = self._sessions.get(session_id)
                raise busy(session_id, kept.info.name if kept else None, held.holder)
            lease = self._leases[session_id] = MemoryLease(self._leases, session_id, holder)
            return lease

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return who has a session to itself."""
        lease = self._leases.get(session_id)
        return lease.holder if lease else None

    def check(self, *, repair: bool = False) -> list[StoreIssue]:  # noqa: ARG002 - there is never anything to repair
        """Find nothing: there is no disk that could damage anything."""
        return []

    def locate(self, path: Path) -> None:
        """Return None: there are no files."""

    def notices(self) -> list[str]:
        """Return nothing: there is nothing to be told."""
        return []

    def close(self) -> None:
        """Keep everything: the store may be used again."""

    def list(self, where: SessionFilter = ALL_SESSIONS, *, limit: int | None = None) -> list[SessionInfo]:
        with self._mutex:
            infos = [kept.info for kept in self._sessions.values() if kept.deleted_at is None]
        found = sorted(where.select(infos), key=lambda info: (info.updated_at, info.id), reverse=True)
        return found[:limit]

    def _live(self, session_id: str) -> _Kept:
        return self._found(session_id, trashed=False)

    def _trashed(self, session_id: str) -> _Kept:
        return self._found(session_id, trashed=True)

    def _found(self, session_id: str, *, trashed: bool) -> _Kept:
        require_id(session_id)
        kept = self._sessions.get(session_id)
        if kept is None or (kept.deleted_at is not None) != trashed:
            raise not_found(session_id, trashed=trashed)
        return kept

    def _enter(self, kept: _Kept, *, numbered: bool = False) -> None:
        """Let a session have its name, with a number if need be and `numbered`. Raises `NameTaken`."""
        if numbered:
            kept.info = replace(kept.info, name=unique_name(kept.info.name, self._taken(kept.info.po_name)))
        self._check_name(kept.info.name, kept.info.po_name)
        self._names[kept.info.po_name, kept.info.name] = kept.info.id

    def _rename(self, kept: _Kept, name: str) -> None:
        self._check_name(name, kept.info.po_name)
        del self._names[kept.info.po_name, kept.info.name]
        kept.info = replace(kept.info, name=name)
        self._enter(kept)

    def _check_name(self, name: str, po_name: str) -> None:
        if (po_name, name) in self._names:
            raise name_taken(name, po_name, self._taken(po_name))

    def _taken(self, po_name: str) -> set[str]:
        return {name for owner, name in self._names if owner == po_name}


class MemoryLease:
    """A session that one turn has to itself."""

    def __init__(self, leases: dict[str, "MemoryLease"], session_id: str, holder: ProcessInfo) -> None:
        self.holder = holder
        self._leases = leases
        self._session_id = session_id

    def release(self) -> None:
        """Let the next one have it."""
        if self._leases.get(self._session_id) is self:
            del self._leases[self._session_id]
