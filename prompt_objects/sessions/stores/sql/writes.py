"""Transactions that append messages, create and truncate sessions; they are safe to retry."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from prompt_objects.errors import PromptObjectsError
from prompt_objects.message import Message
from prompt_objects.sessions.info import MAX_TOTAL, TOKENS, SessionInfo, totals_of
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.errors import already_exists, check_truncation, conflict, full
from prompt_objects.sessions.stores.sql.schema import (
    INFO,
    IS_LIVE,
    MESSAGES,
    SESSIONS,
    AnyRow,
    bodies,
    body_row,
    change,
    decoded,
    find,
    info_of,
    line_of,
    live_names,
    microseconds,
)
from prompt_objects.utils.time import now

_NO_LIMIT = 2**63 - 1


def _capped_sum(column: ColumnElement[int], added: ColumnElement[int]) -> ColumnElement[int]:
    return case((column > MAX_TOTAL - added, MAX_TOTAL), else_=column + added)


# Updates count and totals if the session has the expected messages; the row stays locked until the transaction ends.
_ADD_TOTALS = (
    update(SESSIONS)
    .where(
        SESSIONS.c.id == bindparam("key"),
        SESSIONS.c.message_count == bindparam("expected"),
        SESSIONS.c.bytes + bindparam("size") <= bindparam("limit", type_=BigInteger),
        IS_LIVE,
    )
    .values(
        message_count=bindparam("counted"),
        updated_at=bindparam("moment"),
        bytes=SESSIONS.c.bytes + bindparam("size"),
        archived=False,
        cost=case(
            (bindparam("has_cost", type_=Boolean), func.coalesce(SESSIONS.c.cost, 0.0) + bindparam("added_cost")),
            else_=SESSIONS.c.cost,
        ),
        **{name: _capped_sum(SESSIONS.c[name], bindparam(f"added_{name}", type_=BigInteger)) for name in TOKENS},
    )
    .returning(*INFO)
)


class AppendMessages(NamedTuple):
    """Appends messages to a session that has `expected` messages; `lines` are the same messages, encoded."""

    session_id: str
    messages: Sequence[Message]
    lines: list[bytes]
    expected: int
    options: StoreOptions

    def __call__(self, connection: Connection, *, is_retry: bool) -> SessionInfo:
        if is_retry and self.lines and (row := self._find_committed(connection)):
            return info_of(row)
        row = connection.execute(_ADD_TOTALS, self._parameters()).one_or_none()
        if row is None:
            raise self._error(connection)
        insert_lines(connection, self.session_id, self.expected, self.lines, self.options.compress)
        return info_of(row)

    def _find_committed(self, connection: Connection) -> AnyRow | None:
        """Return the session if exactly these messages are in place already."""
        row = find(connection, self.session_id, lock=True)
        within = (MESSAGES.c.n >= self.expected, MESSAGES.c.n < self.expected + len(self.lines))
        found = connection.execute(bodies(self.session_id).where(*within))
        return row if [line_of(body) for body in found] == self.lines else None

    def _parameters(self) -> dict[str, Any]:
        added = totals_of(self.messages)
        limit = self.options.max_session_size
        is_limited = limit is not None and any(message.get("role") == "user" for message in self.messages)
        return {
            "key": self.session_id,
            "expected": self.expected,
            "counted": self.expected + len(self.lines),
            "moment": microseconds(now()),
            "size": sum(map(len, self.lines)),
            "limit": limit if is_limited else _NO_LIMIT,
            **{f"added_{name}": added[name] for name in TOKENS},
            "has_cost": added["cost"] is not None,
            "added_cost": added["cost"] or 0.0,
        }

    def _error(self, connection: Connection) -> PromptObjectsError:
        row, limit = find(connection, self.session_id), self.options.max_session_size
        if row.message_count != self.expected or limit is None:
            return conflict(row.name, row.message_count, self.expected)
        return full(row.name, row.bytes, limit)


def insert_lines(
    connection: Connection, session_id: str, start: int, lines: Sequence[bytes], compress: int | None
) -> None:
    """Insert messages, the first one with number `start`; compress those of at least `compress` bytes."""
    if lines:
        rows = [body_row(session_id, n, line, compress) for n, line in enumerate(lines, start)]
        connection.execute(insert(MESSAGES), rows)


class CreateSession(NamedTuple):
    """Creates a session from its row and encoded messages, compressing those of at least `compress` bytes.

    With `unique_name`, a name that is taken gets a number.
    """

    row: dict[str, Any]
    lines: Sequence[bytes]
    compress: int | None
    unique_name: bool

    def __call__(self, connection: Connection, *, is_retry: bool) -> str:
        """Return the name. Raises `StoreError` or `IntegrityError` if the id is taken."""
        if name := self._committed_name(connection, is_retry=is_retry):
            return name
        name = str(self.row["name"])
        if self.unique_name:
            name = unique_name(name, live_names(connection, self.row["po_name"]))
        connection.execute(insert(SESSIONS), {**self.row, "name": name, "live_name": name})
        insert_lines(connection, self.row["id"], 0, self.lines, self.compress)
        return name

    def _committed_name(self, connection: Connection, *, is_retry: bool) -> str | None:
        """Return the name if an earlier attempt committed. Raises `StoreError` if another session has the id."""
        if not (is_retry or self.unique_name):
            return None
        found = connection.execute(select(SESSIONS).where(SESSIONS.c.id == self.row["id"])).one_or_none()
        if found is None:
            return None
        if is_retry and (found.po_name, found.created_at) == (self.row["po_name"], self.row["created_at"]):
            return str(found.name)
        raise already_exists(self.row["id"])


class TruncateSession:
    """Truncates a session; a retry must not remove messages that another writer has added since."""

    def __init__(self, session_id: str, count: int, expected: int | None) -> None:
        self._session_id = session_id
        self._count = count
        self._expected = expected
        self._moment = microseconds(now())
        self._previous: tuple[int, int] | None = None

    def __call__(self, connection: Connection, *, is_retry: bool) -> AnyRow:
        row = find(connection, self._session_id, lock=True)
        state = (row.message_count, row.updated_at)
        if is_retry and state == (self._count, self._moment):
            return row
        if is_retry and self._previous and self._previous != state:
            raise conflict(row.name, row.message_count, self._previous[0])
        self._previous = state
        check_truncation(row.name, row.message_count, self._count, self._expected)
        return row if self._count == row.message_count else self._truncate(connection)

    def _truncate(self, connection: Connection) -> AnyRow:
        beyond = and_(MESSAGES.c.session_id == self._session_id, MESSAGES.c.n >= self._count)
        connection.execute(delete(MESSAGES).where(beyond))
        kept = connection.execute(bodies(self._session_id)).all()
        values = {
            **totals_of(decoded(self._session_id, kept)),
            "bytes": sum(len(line_of(body)) for body in kept),
            "updated_at": self._moment,
        }
        return change(connection, self._session_id, values)
