"""`StoreCheck`: finds inconsistencies in a database of sessions, and repairs them without losing anything."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, and_, delete, exists, func, insert, select, update

from prompt_objects.message import Message
from prompt_objects.sessions.info import ParentCall, SessionInfo, StoreIssue, created_at_of, new_id, totals_of
from prompt_objects.sessions.names import recovered_name, unique_name
from prompt_objects.sessions.stores.json_lines import decode
from prompt_objects.sessions.stores.sql.database import Database
from prompt_objects.sessions.stores.sql.schema import (
    CORRUPT,
    INFO,
    LEASES,
    MESSAGES,
    SESSIONS,
    AnyRow,
    line_of,
    microseconds,
    session_row,
)
from prompt_objects.utils.time import now

_JSON_COLUMNS: dict[str, tuple[Any, str | None]] = {  # the type of each, and a value to replace invalid JSON
    "metadata": (dict[str, Any], "{}"),
    "parent": (ParentCall, None),
    "tags": (list[str], None),
}


class _Readable(NamedTuple):
    row: AnyRow
    message: Message
    size: int


class _Session(NamedTuple):
    row: AnyRow
    readable: list[_Readable]
    broken: list[AnyRow]

    def totals(self) -> dict[str, Any]:
        """Return the totals of the readable messages, as columns of the session's row."""
        return {
            **totals_of(each.message for each in self.readable),
            "bytes": sum(each.size for each in self.readable),
        }

    def _missing(self) -> int:
        numbers = self._numbers()
        expected = max([int(self.row.message_count), len(numbers), *(n + 1 for n in numbers)])
        return expected - len(numbers)

    def _numbers(self) -> list[int]:
        return [row.n for row in (*(each.row for each in self.readable), *self.broken)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield each problem with its repair, both as sentences."""
        if self.broken:
            numbers = ", ".join(str(row.n) for row in self.broken[:5]) + (", …" if len(self.broken) > 5 else "")  # noqa: PLR2004
            yield (
                f"{len(self.broken)} of its messages cannot be read: {numbers}.",
                "They are moved to the table corrupt, and the others are renumbered.",
            )
        if missing := self._missing():
            are = "is" if missing == 1 else "are"
            yield (f"{missing:,} of its messages {are} missing.", "The others are renumbered; look for a backup.")
        elif any(n < 0 for n in self._numbers()):
            yield "Its messages are not numbered from 0.", "They are renumbered."
        if not self.broken and not missing and not _is_same(self.row, self.totals()):
            yield "Its totals do not match its messages.", "They are computed again."


class StoreCheck:
    """One check of a database; with `repair`, each session is repaired in its own transaction."""

    def __init__(self, database: Database, *, repair: bool) -> None:
        self._database = database
        self._repair = repair

    def issues(self) -> list[StoreIssue]:
        """Return all issues; with `repair`, they have been repaired."""
        found = [*self._file(), *self._orphans()]
        for session_id in self._scalars(select(SESSIONS.c.id).order_by(SESSIONS.c.id)):
            found += [*self._columns(session_id), *self._messages(session_id)]
        return [*found, *self._leases()]

    def _file(self) -> Iterator[StoreIssue]:
        for problem in self._database.problems():
            yield StoreIssue(
                place=self._database.label,
                problem=f"The file is damaged: {problem}.",
                remedy="Make a copy of it, then restore a backup, or try `sqlite3 FILE .recover`.",
            )

    def _orphans(self) -> Iterator[StoreIssue]:
        orphaned = ~exists().where(SESSIONS.c.id == MESSAGES.c.session_id)
        for session_id in self._scalars(select(MESSAGES.c.session_id).where(orphaned).distinct()):
            if self._repair:
                self._adopt(session_id)
            yield self._issue(
                session_id,
                f"session {session_id}",
                "It has messages, but no row in the table sessions.",
                'It becomes a session of "unknown", named "Recovered" with its date.',
            )

    def _adopt(self, session_id: str) -> None:
        moment = created_at_of(session_id) or now()

        def work(connection: Connection) -> None:
            if not connection.scalar(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id)):
                taken = set(connection.scalars(select(SESSIONS.c.name).where(SESSIONS.c.po_name == "unknown")))
                info = SessionInfo(
                    id=session_id,
                    name=unique_name(recovered_name(moment), taken),
                    po_name="unknown",
                    message_count=0,
                    created_at=moment,
                    updated_at=moment,
                )
                connection.execute(insert(SESSIONS), session_row(info, {}, 0))

        self._database.write(work)

    def _columns(self, session_id: str) -> Iterator[StoreIssue]:
        query = select(*(SESSIONS.c[key] for key in ("name", *_JSON_COLUMNS))).where(SESSIONS.c.id == session_id)
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        for key, (type_, replacement) in _JSON_COLUMNS.items() if row else ():
            if row and not _is_valid(getattr(row, key), type_):
                if self._repair:
                    self._replace_value(session_id, key, getattr(row, key), replacement)
                yield self._issue(
                    session_id,
                    f'session "{row.name}"',
                    f"Its {key} cannot be read.",
                    "It is moved to the table corrupt.",
                )

    def _replace_value(self, session_id: str, key: str, value: str, replacement: str | None) -> None:
        here = and_(SESSIONS.c.id == session_id, SESSIONS.c[key] == value)

        def work(connection: Connection) -> None:
            if connection.execute(update(SESSIONS).where(here).values({key: replacement})).rowcount:
                connection.execute(insert(CORRUPT), _corrupt_row(session_id, key, value, None))

        self._database.write(work)

    def _messages(self, session_id: str) -> Iterator[StoreIssue]:
        if self._repair:
            found = self._database.write(lambda connection: _repair_session(connection, session_id))
        else:
            found = self._database.read(lambda connection: _load_session(connection, session_id))
        if found:
            for problem, remedy in found.problems():
                yield self._issue(session_id, f'session "{found.row.name}"', problem, remedy)

    def _leases(self) -> Iterator[StoreIssue]:
        expired = LEASES.c.expires_at < self._database.clock
        query = select(func.count()).select_from(LEASES).where(expired)
        count = self._database.read(lambda connection: connection.scalar(query))
        if count:
            if self._repair:
                self._database.write(lambda connection: connection.execute(delete(LEASES).where(expired)))
            yield self._issue(
                None,
                "leases",
                f"{count} have expired: their programs ended without releasing them.",
                "They are removed.",
            )

    def _scalars(self, query: Select[Any]) -> Sequence[str]:
        return self._database.read(lambda connection: connection.scalars(query).all())

    def _issue(self, session_id: str | None, place: str, problem: str, remedy: str) -> StoreIssue:
        return StoreIssue(place=place, problem=problem, remedy=remedy, session_id=session_id, repaired=self._repair)


def _load_session(connection: Connection, session_id: str) -> _Session | None:
    """Read a session with all its messages in one statement, which makes it a consistent snapshot."""
    query = (
        select(*INFO, MESSAGES.c.n, MESSAGES.c.body, MESSAGES.c.packed)
        .select_from(SESSIONS.outerjoin(MESSAGES, MESSAGES.c.session_id == SESSIONS.c.id))
        .where(SESSIONS.c.id == session_id)
        .order_by(MESSAGES.c.n)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    found = _Session(rows[0], [], [])
    for row in rows if rows[0].n is not None else ():
        try:
            line = line_of(row)
            found.readable.append(_Readable(row, decode(line), len(line)))
        except ValueError:
            found.broken.append(row)
    return found


def _repair_session(connection: Connection, session_id: str) -> _Session | None:
    connection.execute(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id).with_for_update())
    found = _load_session(connection, session_id)
    if found and any(found.problems()):
        for row in found.broken:
            connection.execute(insert(CORRUPT), _corrupt_row(session_id, f"message {row.n}", row.body, row.packed))
            connection.execute(delete(MESSAGES).where(MESSAGES.c.session_id == session_id, MESSAGES.c.n == row.n))
        for n, each in enumerate(found.readable):  # in ascending order, so that numbers stay unique
            if each.row.n != n:
                here = and_(MESSAGES.c.session_id == session_id, MESSAGES.c.n == each.row.n)
                connection.execute(update(MESSAGES).where(here).values(n=n))
        connection.execute(update(SESSIONS).where(SESSIONS.c.id == session_id).values(found.totals()))
    return found


def _corrupt_row(session_id: str, part: str, body: str | None, packed: bytes | None) -> dict[str, Any]:
    row = {"id": new_id(), "session_id": session_id, "part": part, "body": body, "packed": packed}
    return {**row, "found_at": microseconds(now())}


def _is_same(row: AnyRow, totals: dict[str, Any]) -> bool:
    stored, actual = row.cost, totals["cost"]
    same_cost = (
        stored == actual if None in (stored, actual) else math.isclose(stored, actual)
    )  # summed in another order
    return same_cost and all(getattr(row, key) == value for key, value in totals.items() if key != "cost")


def _is_valid(value: str | None, type_: Any) -> bool:
    if value is None:
        return True
    try:
        msgspec.convert(json.loads(value), type_)
    except (ValueError, RecursionError):
        return False
    return True
