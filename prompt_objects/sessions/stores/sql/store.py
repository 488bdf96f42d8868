"""`SqlStore`: sessions in a database, for any number of threads, processes and, on a server, machines."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection, Select, and_, delete, select, update
from sqlalchemy.exc import IntegrityError

from prompt_objects.errors import NotFound, PromptObjectsError, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import (
    SessionInfo,
    SessionRecord,
    StoreIssue,
    TrashedSession,
    require_id,
    with_totals,
)
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.base import ALL_SESSIONS, SessionFilter, StoreOptions
from prompt_objects.sessions.stores.errors import already_exists, check_size, name_taken, not_found
from prompt_objects.sessions.stores.json_lines import decode, encode
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.sessions.stores.sql.check import StoreCheck
from prompt_objects.sessions.stores.sql.database import Database, Idempotent
from prompt_objects.sessions.stores.sql.frames import SqlFrames
from prompt_objects.sessions.stores.sql.leases import Leases, SqlLease
from prompt_objects.sessions.stores.sql.schema import (
    CORRUPT,
    INFO,
    IS_LIVE,
    IS_TRASHED,
    MESSAGES,
    SESSIONS,
    AnyRow,
    bodies,
    change,
    conditions,
    damaged,
    decoded,
    find,
    info_of,
    line_of,
    live_names,
    microseconds,
    moment_of,
    packed,
    record_of,
    session_row,
    writable,
)
from prompt_objects.sessions.stores.sql.writes import AppendMessages, CreateSession, TruncateSession
from prompt_objects.utils.forks import after_fork_in_child
from prompt_objects.utils.time import now

T = TypeVar("T")
_NAME_ATTEMPTS = 100  # of several writers that want the same free name, one succeeds in each round


class SqlStore:
    """Sessions in a database, whose constraints keep messages in order and names unique."""

    def __init__(self, database: Database, options: StoreOptions) -> None:
        self._database = database
        self._options = options
        self.frames = SqlFrames(database)
        self._leases = Leases(database)
        after_fork_in_child(self.after_fork)

    def after_fork(self) -> None:
        """In a forked child, open new connections and forget the leases of the parent."""
        self._database.after_fork()
        self._leases.after_fork()

    def load(self, session_id: str) -> SessionRecord:
        return record_of(self._database.read(lambda connection: find(connection, session_id)))

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
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

    def create(
        self,
        info: SessionInfo,
        metadata: dict[str, Any],
        messages: Iterable[Message] = (),
        *,
        unique_name: bool = False,
        enforce_limit: bool = False,
    ) -> SessionRecord:
        require_id(info.id)
        history = list(messages)
        lines = [encode(message) for message in history]
        if enforce_limit:
            check_size(info.name, 0, sum(map(len, lines)), self._options.max_session_size, history)
        info = with_totals(info, map(decode, lines))
        row = session_row(info, metadata, sum(map(len, lines)))
        creation = CreateSession(row, lines, self._options.compress, unique_name)
        try:
            name = self._with_free_name(creation) if unique_name else self._database.write_once(creation)
        except IntegrityError as error:
            raise self._not_unique(info.id, info.name, info.po_name) from error
        return SessionRecord(replace(info, name=name), metadata)

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, enforce_limit: bool = True
    ) -> SessionInfo:
        require_id(session_id)
        lines = [encode(message) for message in messages]
        options = self._options if enforce_limit else replace(self._options, max_session_size=None)
        try:
            return self._database.write_once(AppendMessages(session_id, messages, lines, expected, options))
        except IntegrityError as error:
            raise damaged(session_id, "it has more messages than its count says") from error

    def update(
        self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> SessionRecord:
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
            raise self._not_unique(None, name or "", self.load(session_id).info.po_name) from error

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> SessionRecord:
        return record_of(self._database.write_once(TruncateSession(session_id, count, expected)))

    def archive(self, session_id: str) -> SessionRecord:
        def work(connection: Connection) -> AnyRow:
            find(connection, session_id, lock=True)
            for row in connection.execute(bodies(session_id).where(MESSAGES.c.body.is_not(None))).all():
                if short := packed(line_of(row)):
                    here = and_(MESSAGES.c.session_id == session_id, MESSAGES.c.n == row.n)
                    connection.execute(update(MESSAGES).where(here).values(body=None, packed=short))
            return change(connection, session_id, {"archived": True})

        return record_of(self._database.write(work))

    def delete(self, session_id: str) -> None:
        deletion = {"live_name": None, "deleted_at": microseconds(now())}

        def work(connection: Connection, *, is_retry: bool) -> None:
            query = select(SESSIONS.c.deleted_at).where(SESSIONS.c.id == session_id)
            if not is_retry or connection.scalar(query) != deletion["deleted_at"]:
                change(connection, session_id, deletion)

        self._database.write_once(work)

    def restore(self, session_id: str) -> SessionRecord:
        return record_of(self._with_free_name(partial(_restore, session_id)))

    def trash(self) -> list[TrashedSession]:
        query = select(*INFO).where(IS_TRASHED).order_by(SESSIONS.c.deleted_at.desc(), SESSIONS.c.id.desc())
        rows = self._rows(query)
        return [TrashedSession(info_of(row), moment_of(row.deleted_at)) for row in rows]

    def read_trashed(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        is_reading = self._options.read_only

        def work(connection: Connection) -> tuple[AnyRow, Sequence[AnyRow]]:
            row = find(connection, session_id, trashed=True, lock=not is_reading)  # keep it in the trash
            return row, connection.execute(bodies(session_id)).all()

        row, history = self._database.read(work) if is_reading else self._database.write(work)
        return record_of(row), decoded(session_id, history)

    def purge(self, session_id: str) -> None:
        def work(connection: Connection, *, is_retry: bool) -> None:
            require_id(session_id)
            if is_retry and not connection.scalar(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id)):
                return
            find(connection, session_id, trashed=True, lock=True)
            for table, key in ((MESSAGES, MESSAGES.c.session_id), (CORRUPT, CORRUPT.c.session_id)):
                connection.execute(delete(table).where(key == session_id))
            connection.execute(delete(SESSIONS).where(SESSIONS.c.id == session_id))

        self._database.write_once(work)

    def lease(self, session_id: str, holder: ProcessInfo) -> SqlLease:
        return self._leases.acquire(session_id, holder)

    def holder(self, session_id: str) -> ProcessInfo | None:
        return self._leases.holder(session_id)

    def check(self, *, repair: bool = False) -> list[StoreIssue]:
        with suppress(NotFound):
            return StoreCheck(self._database, repair=repair).issues()
        return []

    def close(self) -> None:
        self._leases.close()
        self._database.close()

    def list(self, where: SessionFilter = ALL_SESSIONS, *, limit: int | None = None) -> list[SessionInfo]:
        query = select(*INFO).where(*conditions(where))
        query = query.order_by(SESSIONS.c.updated_at.desc(), SESSIONS.c.id.desc()).limit(limit)
        return [info_of(row) for row in self._rows(query)]

    def _rows(self, query: Select[Any]) -> Sequence[AnyRow]:
        """Return the rows of a query; none if there are no tables, and they must not be created."""
        with suppress(NotFound):
            return self._database.read(lambda connection: connection.execute(query).all())
        return []

    def _with_free_name(self, work: Idempotent[T]) -> T:
        """Run a transaction that uses a free name, again if another writer takes that name first."""
        for _ in range(_NAME_ATTEMPTS):
            try:
                return self._database.write_once(work)
            except IntegrityError:
                continue
        raise StoreError("Other processes take every free name.", hint="Try again in a moment.")

    def _not_unique(self, session_id: str | None, name: str, po_name: str) -> PromptObjectsError:

        def work(connection: Connection) -> tuple[bool, set[str]]:
            has_id = connection.scalar(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id))
            return bool(has_id), live_names(connection, po_name)

        id_exists, names = self._database.read(work)
        if session_id and id_exists:
            return already_exists(session_id)
        return name_taken(name, po_name, names | {name})  # it may be free again by now


def _restore(session_id: str, connection: Connection, *, is_retry: bool) -> AnyRow:
    live = select(SESSIONS).where(SESSIONS.c.id == session_id, IS_LIVE)
    if is_retry and (row := connection.execute(live).one_or_none()) is not None:
        return row
    row = find(connection, session_id, trashed=True, lock=True)
    name = unique_name(row.name, live_names(connection, row.po_name))
    return change(connection, session_id, {"name": name, "live_name": name, "deleted_at": None}, trashed=True)
