"""Appending messages and creating sessions, idempotent when retried after a lost connection."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Boolean, ColumnElement, Connection, bindparam, case, func, insert, select, update

from prompt_objects.errors import PromptObjectsError
from prompt_objects.message import Message
from prompt_objects.sessions.info import MAX_TOTAL, TOKENS, SessionInfo, totals_of
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.errors import already_exists, conflict, full
from prompt_objects.sessions.stores.sql.queries import IS_LIVE, bodies, find, live_names
from prompt_objects.sessions.stores.sql.schema import (
    INFO,
    MESSAGES,
    SESSIONS,
    AnyRow,
    body_row,
    info_of,
    line_of,
    microseconds,
    session_row,
)
from prompt_objects.utils.time import now

__all__ = [
    "AppendMessages",
    "CreateSession",
    "insert_lines",
]

_NO_LIMIT = 2**63 - 1


def _increased(column: ColumnElement[int], added: ColumnElement[int]) -> ColumnElement[int]:
    return case((column > MAX_TOTAL - added, MAX_TOTAL), else_=column + added)


# Counts messages in, if the session is as it was expected to be; until the transaction ends nobody else adds any.
_COUNT_IN = (
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
        **{name: _increased(SESSIONS.c[name], bindparam(f"added_{name}", type_=BigInteger)) for name in TOKENS},
    )
    .returning(*INFO)
)


class AppendMessages(NamedTuple):
    """Messages that are to be added to a session of `expected` messages, as they were given and as lines."""

    session_id: str
    messages: Sequence[Message]
    lines: list[bytes]
    expected: int
    options: StoreOptions

    def add(self, connection: Connection, *, again: bool) -> SessionInfo:
        """Add them; where that was tried before, and nothing is known of the outcome, look whether they are there."""
        if again and self.lines and (row := self._find_done(connection)):
            return info_of(row)
        row = connection.execute(_COUNT_IN, self._figures()).one_or_none()
        if row is None:
            raise self._refusal(connection)
        insert_lines(connection, self.session_id, self.expected, self.lines, self.options.compress)
        return info_of(row)

    def _find_done(self, connection: Connection) -> AnyRow | None:
        """Return the session if the messages stand where they were to stand, byte for byte."""
        row = find(connection, self.session_id, lock=True)
        within = (MESSAGES.c.n >= self.expected, MESSAGES.c.n < self.expected + len(self.lines))
        there = connection.execute(bodies(self.session_id).where(*within))
        return row if [line_of(body) for body in there] == self.lines else None

    def _figures(self) -> dict[str, Any]:
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

    def _refusal(self, connection: Connection) -> PromptObjectsError:
        """Say why they could not be counted in."""
        row, limit = find(connection, self.session_id), self.options.max_session_size
        if row.message_count != self.expected or limit is None:
            return conflict(row.name, row.message_count, self.expected)
        return full(row.name, row.bytes, limit)


def insert_lines(
    connection: Connection, session_id: str, start: int, lines: Sequence[bytes], compress: int | None
) -> None:
    """Put down messages, the first as number `start`; those of `compress` bytes or more compressed."""
    if lines:
        rows = [body_row(session_id, n, line, compress) for n, line in enumerate(lines, start)]
        connection.execute(insert(MESSAGES), rows)


class CreateSession:
    """A session that is to be made of encoded messages; if `numbered` its name may get a number.

    Messages of `compress` bytes or more are kept compressed. Raises `UsageError` for odd characters.
    """

    def __init__(
        self,
        info: SessionInfo,
        metadata: dict[str, Any],
        lines: Sequence[bytes],
        compress: int | None,
        *,
        numbered: bool,
    ) -> None:
        self._info = info
        self._row = session_row(info, metadata, sum(map(len, lines)))
        self._lines = lines
        self._compress = compress
        self._numbered = numbered

    def make(self, connection: Connection, *, again: bool) -> str:
        """Make it; return its name. Raises `StoreError` where its id is taken, and `IntegrityError` as well."""
        if name := self._name_if_made(connection, again=again):
            return name
        name = self._info.name
        if self._numbered:
            name = unique_name(name, live_names(connection, self._info.po_name))
        connection.execute(insert(SESSIONS), {**self._row, "name": name, "live_name": name})
        insert_lines(connection, self._info.id, 0, self._lines, self._compress)
        return name

    def _name_if_made(self, connection: Connection, *, again: bool) -> str | None:
        """Return the name that it got before; raises `StoreError` where another has its id."""
        if not (again or self._numbered):
            return None
        there = connection.execute(select(SESSIONS).where(SESSIONS.c.id == self._info.id)).one_or_none()
        if there is None:
            return None
        if again and (there.po_name, there.created_at) == (self._row["po_name"], self._row["created_at"]):
            return str(there.name)
        raise already_exists(self._info.id)
