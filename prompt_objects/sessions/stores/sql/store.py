"""The SQL store: sessions in a database, for any number of threads, processes and, on a server, machines."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection, and_, delete, select, update
from sqlalchemy.exc import IntegrityError

from prompt_objects.errors import PromptObjectsError, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import (
    SessionInfo,
    SessionRecord,
    StoreIssue,
    TrashedSession,
    totals_of,
    with_totals,
)
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.errors import (
    already_exists,
    check_size,
    conflict,
    name_taken,
    not_found,
    require_id,
    too_few_messages,
)
from prompt_objects.sessions.stores.json_lines import decode, encode
from prompt_objects.sessions.stores.sql.check import StoreCheck
from prompt_objects.sessions.stores.sql.database import Database
from prompt_objects.sessions.stores.sql.leases import Leases, SqlLease
from prompt_objects.sessions.stores.sql.queries import IS_LIVE, IS_TRASHED, bodies, change, decoded, find, live_names
from prompt_objects.sessions.stores.sql.schema import (
    CORRUPT,
    INFO,
    MESSAGES,
    SESSIONS,
    AnyRow,
    damaged,
    info_of,
    line_of,
    microseconds,
    moment_of,
    packed,
    record_of,
    writable,
)
from prompt_objects.sessions.stores.sql.writes import AppendMessages, CreateSession
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.process import ProcessInfo
from prompt_objects.utils.time import now

__all__ = [
    "SqlStore",
]

T = TypeVar("T")
_RIVALS = 100  # how often a free name may be snatched away; of those who come at once, one gets its own each time


class SqlStore:
    """Sessions in a database, which itself keeps the messages of each in order, whoever adds to it."""

    def __init__(self, database: Database, options: StoreOptions) -> None:
        self._database = database
        self._options = options
        self._leases = Leases(database)
        disk.after_fork_in_child(self.after_fork)

    def after_fork(self) -> None:
        """In a forked child, use connections of its own, and hold nothing."""
        self._database.after_fork()
        self._leases.after_fork()

    # What is there

    def load(self, session_id: str) -> SessionRecord:
        """Return all of a session but its history."""
        return record_of(self._database.read(lambda connection: find(connection, session_id)))

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`."""
        require_id(session_id)
        within = and_(MESSAGES.c.session_id == SESSIONS.c.id, MESSAGES.c.n >= start, MESSAGES.c.n < stop)
        query = (
            select(MESSAGES.c.n, MESSAGES.c.body, MESSAGES.c.packed)
            .select_from(SESSIONS.outerjoin(MESSAGES, within))
            .where(SESSIONS.c.id == session_id, IS_LIVE)
            .order_by(MESSAGES.c.n)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        if not rows:
            raise not_found(session_id)
        return decoded(session_id, [row for row in rows if row.n is not None])

    def sessions(self, *, limit: int | None = None) -> list[SessionInfo]:
        """Return what is known of the sessions, the last changed first."""
        query = select(*INFO).where(IS_LIVE).order_by(SESSIONS.c.updated_at.desc(), SESSIONS.c.id.desc())
        rows = self._database.read(lambda connection: connection.execute(query.limit(limit)).all())
        return [info_of(row) for row in rows]

    def locate(self, path: Path) -> None:
        """Return None: sessions have no files of their own."""

    def notices(self) -> list[str]:
        """Return nothing: nothing is repaired unasked."""
        return []

    # Writing

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
        require_id(info.id)
        history = list(messages)
        lines = [encode(message) for message in history]
        if enforce_limit:
            check_size(info.name, 0, sum(map(len, lines)), self._options.max_session_size, history)
        info = with_totals(info, map(decode, lines))
        creation = CreateSession(info, metadata, lines, self._options.compress, numbered=unique_name)
        try:
            name = self._among_rivals(creation.make) if unique_name else self._database.write_once(creation.make)
        except IntegrityError as error:
            raise self._taken(info.id, info.name, info.po_name) from error
        return SessionRecord(replace(info, name=name), metadata)

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, enforce_limit: bool = True
    ) -> SessionInfo:
        """Add messages to a session of `expected` messages."""
        require_id(session_id)
        lines = [encode(message) for message in messages]
        options = self._options if enforce_limit else replace(self._options, max_session_size=None)
        try:
            return self._database.write_once(AppendMessages(session_id, messages, lines, expected, options).add)
        except IntegrityError as error:
            raise damaged(session_id, "there are more messages than it counts") from error

    def update(
        self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> SessionRecord:
        """Change the name, or the metadata, or both."""
        values: dict[str, Any] = {}
        if name is not None:
            values |= {"name": writable(name), "live_name": name}
        if metadata is not None:
            values["metadata"] = encode(metadata).decode()
        if not values:
            return self.load(session_id)
        try:
            return record_of(self._database.write(lambda connection: change(connection, session_id, values)))
        except IntegrityError as error:
            raise self._taken(None, name or "", self.load(session_id).info.po_name) from error

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> SessionRecord:
        """Keep the first `count` messages."""
        cutting = _TruncateSession(session_id, count, expected)
        return record_of(self._database.write_once(cutting))

    def archive(self, session_id: str) -> SessionRecord:
        """Keep a session compressed until its next message."""

        def work(connection: Connection) -> AnyRow:
            find(connection, session_id, lock=True)
            for row in connection.execute(bodies(session_id).where(MESSAGES.c.body.is_not(None))).all():
                if short := packed(line_of(row)):
                    here = and_(MESSAGES.c.session_id == session_id, MESSAGES.c.n == row.n)
                    connection.execute(update(MESSAGES).where(here).values(body=None, packed=short))
            return change(connection, session_id, {"archived": True})

        return record_of(self._database.write(work))

    # The trash

    def delete(self, session_id: str) -> None:
        """Move a session to the trash."""
        deletion = {"live_name": None, "deleted_at": microseconds(now())}

        def work(connection: Connection, *, again: bool) -> None:
            query = select(SESSIONS.c.deleted_at).where(SESSIONS.c.id == session_id)
            if not again or connection.scalar(query) != deletion["deleted_at"]:
                change(connection, session_id, deletion)

        self._database.write_once(work)

    def restore(self, session_id: str) -> SessionRecord:
        """Bring a session back from the trash."""
        return record_of(self._among_rivals(partial(_restore, session_id)))

    def trash(self) -> list[TrashedSession]:
        """Return what can be restored, the last deleted first."""
        query = select(*INFO).where(IS_TRASHED).order_by(SESSIONS.c.deleted_at.desc(), SESSIONS.c.id.desc())
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [TrashedSession(info_of(row), moment_of(row.deleted_at)) for row in rows]

    def read_trashed(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        """Return a session that is in the trash, history and all."""

        def work(connection: Connection) -> tuple[AnyRow, Sequence[AnyRow]]:
            row = find(connection, session_id, trashed=True, lock=True)  # so that it stays there meanwhile
            return row, connection.execute(bodies(session_id)).all()

        row, history = self._database.write(work)
        return record_of(row), decoded(session_id, history)

    def purge(self, session_id: str) -> None:
        """Take a session out of the trash for good, with what a repair set aside."""

        def work(connection: Connection, *, again: bool) -> None:
            require_id(session_id)
            if again and not connection.scalar(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id)):
                return
            find(connection, session_id, trashed=True, lock=True)
            for table, key in ((MESSAGES, MESSAGES.c.session_id), (CORRUPT, CORRUPT.c.session_id)):
                connection.execute(delete(table).where(key == session_id))
            connection.execute(delete(SESSIONS).where(SESSIONS.c.id == session_id))

        self._database.write_once(work)

    # Who is at it

    def lease(self, session_id: str, holder: ProcessInfo) -> SqlLease:
        """Have a session to oneself."""
        return self._leases.take(session_id, holder)

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return who has a session to itself."""
        return self._leases.holder(session_id)

    # The whole

    def check(self, *, repair: bool = False) -> list[StoreIssue]:
        """Look for what is damaged or left over."""
        return StoreCheck(self._database, repair=repair).findings()

    def close(self) -> None:
        """Release all leases, and let go of connections."""
        self._leases.close()
        self._database.close()

    def _among_rivals(self, work: Callable[..., T]) -> T:
        """Do once what takes a name that is free, also where another takes the same one first."""
        for _ in range(_RIVALS):
            try:
                return self._database.write_once(work)
            except IntegrityError:
                continue
        raise StoreError("Others are taking every name that is free.", hint="Try again in a moment.")

    def _taken(self, session_id: str | None, name: str, po_name: str) -> PromptObjectsError:
        """Say what stood in the way of a session that was to be unique."""

        def work(connection: Connection) -> tuple[bool, set[str]]:
            has_id = connection.scalar(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id))
            return bool(has_id), live_names(connection, po_name)

        is_there, names = self._database.read(work)
        if session_id and is_there:
            return already_exists(session_id)
        return name_taken(name, po_name, names | {name})  # it may be free again by now


class _TruncateSession:
    """The cutting of a session, which, done again, must not take what another has added since."""

    def __init__(self, session_id: str, count: int, expected: int | None) -> None:
        self._session_id = session_id
        self._count = count
        self._expected = expected
        self._moment = microseconds(now())
        self._seen: tuple[int, int] | None = None

    def __call__(self, connection: Connection, *, again: bool) -> AnyRow:
        row = find(connection, self._session_id, lock=True)
        state = (row.message_count, row.updated_at)
        if again and state == (self._count, self._moment):
            return row
        if again and self._seen and self._seen != state:
            raise conflict(row.name, row.message_count, self._seen[0])
        self._seen = state
        if self._expected is not None and self._expected != row.message_count:
            raise conflict(row.name, row.message_count, self._expected)
        if not 0 <= self._count <= row.message_count:
            raise too_few_messages(row.name, row.message_count, self._count)
        return row if self._count == row.message_count else self._cut(connection)

    def _cut(self, connection: Connection) -> AnyRow:
        beyond = and_(MESSAGES.c.session_id == self._session_id, MESSAGES.c.n >= self._count)
        connection.execute(delete(MESSAGES).where(beyond))
        kept = connection.execute(bodies(self._session_id)).all()
        values = {
            **totals_of(decoded(self._session_id, kept)),
            "bytes": sum(len(line_of(body)) for body in kept),
            "updated_at": self._moment,
        }
        return change(connection, self._session_id, values)


def _restore(session_id: str, connection: Connection, *, again: bool) -> AnyRow:
    there = select(SESSIONS).where(SESSIONS.c.id == session_id, IS_LIVE)
    if again and (row := connection.execute(there).one_or_none()) is not None:
        return row
    row = find(connection, session_id, trashed=True, lock=True)
    name = unique_name(row.name, live_names(connection, row.po_name))
    return change(connection, session_id, {"name": name, "live_name": name, "deleted_at": None}, trashed=True)
