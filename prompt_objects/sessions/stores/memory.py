"""`MemoryStore`: sessions that last as long as the process."""

import zlib
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions.info import (
    SessionInfo,
    SessionRecord,
    TrashedSession,
    add_usage,
    require_id,
    with_totals,
)
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.base import ALL_SESSIONS, SessionFilter, StoreOptions
from prompt_objects.sessions.stores.errors import (
    already_exists,
    busy,
    check_size,
    check_truncation,
    conflict,
    name_taken,
    not_found,
)
from prompt_objects.sessions.stores.frames import checked_frame, digest_of
from prompt_objects.sessions.stores.json_lines import decode, encode
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.utils.forks import after_fork_in_child
from prompt_objects.utils.time import now

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class _StoredSession:
    """A session; messages and metadata are encoded, so that callers cannot change them."""

    def __init__(self, info: SessionInfo, metadata: bytes, lines: list[bytes]) -> None:
        self.info = info
        self.metadata = metadata
        self.size = 0
        self.deleted_at: datetime | None = None
        self.store_lines(lines)

    def store_lines(self, lines: list[bytes], *, archived: bool = False) -> None:
        self.size = sum(map(len, lines))
        self._lines = [] if archived else lines
        self._compressed = zlib.compress(b"\n".join(lines)) if archived and lines else b""
        self.info = replace(self.info, archived=archived)

    @property
    def lines(self) -> list[bytes]:
        return zlib.decompress(self._compressed).split(b"\n") if self._compressed else self._lines

    def record(self) -> SessionRecord:
        return SessionRecord(self.info, decode(self.metadata))

    def read(self, start: int, stop: int) -> list[Message]:
        return [decode(line) for line in self.lines[start:stop]]

    def append(self, lines: list[bytes]) -> None:
        if self.info.archived:
            self.store_lines(self.lines)
        self._lines += lines
        self.size += sum(map(len, lines))

    def truncate(self, count: int) -> None:
        archived, lines = self.info.archived, self.lines[:count]
        self.info = with_totals(replace(self.info, updated_at=now()), map(decode, lines))
        self.store_lines(lines, archived=archived)


class MemoryFrames:
    """The request frames of a `MemoryStore`."""

    def __init__(self) -> None:
        self._frames: dict[str, tuple[bytes, datetime]] = {}  # content and last use

    def keep(self, frame: bytes) -> str:
        digest = digest_of(frame)
        self._frames[digest] = frame, now()
        return digest

    def get(self, digest: str) -> bytes:
        return checked_frame(digest, self._frames.get(digest, (None,))[0])

    def remove(self, digest: str, *, unused_for: "timedelta") -> bool:
        kept = self._frames.pop(digest, None)  # before the comparison, because another thread may keep it again
        if kept is None:
            return False
        if is_used := now() - kept[1] < unused_for:
            self._frames.setdefault(digest, kept)
        return not is_used

    def list(self) -> "dict[str, timedelta]":
        moment = now()
        return {digest: moment - used_at for digest, (_, used_at) in self._frames.copy().items()}


class MemoryStore:
    """Sessions of one process, for any number of its threads; a forked child has its own copy."""

    def __init__(self, options: StoreOptions = StoreOptions()) -> None:  # noqa: B008 - it is immutable
        self.frames = MemoryFrames()
        self._options = options
        self._mutex = Lock()
        self._sessions: dict[str, _StoredSession] = {}
        self._names: set[tuple[str, str]] = set()  # prompt object and name, without the trash
        self._leases: dict[str, MemoryLease] = {}
        after_fork_in_child(self.after_fork)

    def after_fork(self) -> None:
        """In a forked child, forget the leases of the parent."""
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
        history = list(messages)
        lines = [encode(message) for message in history]
        stored = _StoredSession(with_totals(info, map(decode, lines)), encode(metadata), lines)
        if enforce_limit:
            check_size(info.name, 0, stored.size, self._options.max_session_size, history)
        require_id(info.id)
        with self._mutex:
            if info.id in self._sessions:
                raise already_exists(info.id)
            self._register(stored, info.name, make_unique=unique_name)
            self._sessions[info.id] = stored
            return stored.record()

    def load(self, session_id: str) -> SessionRecord:
        with self._mutex:
            return self._find(session_id).record()

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        with self._mutex:
            return self._find(session_id).read(start, stop)

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, enforce_limit: bool = True
    ) -> SessionInfo:
        lines = [encode(message) for message in messages]
        with self._mutex:
            stored = self._find(session_id)
            count = stored.info.message_count
            if count != expected:
                raise conflict(stored.info.name, count, expected)
            limit = self._options.max_session_size if enforce_limit else None
            check_size(stored.info.name, stored.size, sum(map(len, lines)), limit, messages)
            stored.append(lines)
            stored.info = add_usage(stored.info, messages, message_count=count + len(lines), updated_at=now())
            return stored.info

    def update(
        self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> SessionRecord:
        encoded = None if metadata is None else encode(metadata)
        with self._mutex:
            stored = self._find(session_id)
            if name is not None and name != stored.info.name:
                former = (stored.info.po_name, stored.info.name)
                self._register(stored, name)
                self._names.remove(former)
            stored.metadata = stored.metadata if encoded is None else encoded
            return stored.record()

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> SessionRecord:
        with self._mutex:
            stored = self._find(session_id)
            check_truncation(stored.info.name, stored.info.message_count, count, expected)
            if count < stored.info.message_count:
                stored.truncate(count)
            return stored.record()

    def archive(self, session_id: str) -> SessionRecord:
        with self._mutex:
            stored = self._find(session_id)
            if not stored.info.archived:
                stored.store_lines(stored.lines, archived=True)
            return stored.record()

    def delete(self, session_id: str) -> None:
        with self._mutex:
            stored = self._find(session_id)
            self._names.remove((stored.info.po_name, stored.info.name))
            stored.deleted_at = now()

    def restore(self, session_id: str) -> SessionRecord:
        with self._mutex:
            stored = self._find(session_id, trashed=True)
            self._register(stored, stored.info.name, make_unique=True)
            stored.deleted_at = None
            return stored.record()

    def trash(self) -> list[TrashedSession]:
        with self._mutex:
            found = [
                TrashedSession(each.info, each.deleted_at) for each in self._sessions.values() if each.deleted_at
            ]
        return sorted(found, key=lambda trashed: trashed.deleted_at, reverse=True)

    def read_trashed(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        with self._mutex:
            stored = self._find(session_id, trashed=True)
            return stored.record(), stored.read(0, stored.info.message_count)

    def purge(self, session_id: str) -> None:
        with self._mutex:
            self._find(session_id, trashed=True)
            del self._sessions[session_id]

    def lease(self, session_id: str, holder: ProcessInfo) -> "MemoryLease":
        require_id(session_id)
        with self._mutex:
            if held := self._leases.get(session_id):
                stored = self._sessions.get(session_id)
                raise busy(session_id, stored.info.name if stored else None, held.holder)
            lease = self._leases[session_id] = MemoryLease(self._leases, session_id, holder)
            return lease

    def holder(self, session_id: str) -> ProcessInfo | None:
        lease = self._leases.get(session_id)
        return lease.holder if lease else None

    def close(self) -> None:
        pass  # the store may be used again

    def list(self, where: SessionFilter = ALL_SESSIONS, *, limit: int | None = None) -> list[SessionInfo]:
        with self._mutex:
            infos = [stored.info for stored in self._sessions.values() if stored.deleted_at is None]
        found = sorted(where.select(infos), key=lambda info: (info.updated_at, info.id), reverse=True)
        return found[:limit]

    def _find(self, session_id: str, *, trashed: bool = False) -> _StoredSession:
        require_id(session_id)
        stored = self._sessions.get(session_id)
        if stored is None or (stored.deleted_at is not None) != trashed:
            raise not_found(session_id, trashed=trashed)
        return stored

    def _register(self, stored: _StoredSession, name: str, *, make_unique: bool = False) -> None:
        """Name a session; with `make_unique`, add a number if the name is taken. Raises `NameTaken`."""
        po_name = stored.info.po_name
        if (po_name, name) in self._names:
            taken = {other for owner, other in self._names if owner == po_name}
            if not make_unique:
                raise name_taken(name, po_name, taken)
            name = unique_name(name, taken)
        self._names.add((po_name, name))
        stored.info = replace(stored.info, name=name)


class MemoryLease:
    """A lease on a session of a `MemoryStore`."""

    def __init__(self, leases: dict[str, "MemoryLease"], session_id: str, holder: ProcessInfo) -> None:
        self.holder = holder
        self._leases = leases
        self._session_id = session_id

    def release(self) -> None:
        if self._leases.get(self._session_id) is self:
            del self._leases[self._session_id]
