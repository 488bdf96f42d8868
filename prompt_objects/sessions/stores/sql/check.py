"""Looking through a database of sessions for what does not fit, and putting it right without losing anything."""

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

__all__ = [
    "StoreCheck",
]

_NOTES: dict[str, tuple[Any, str | None]] = {  # what is JSON in a session's row, and what is said instead
    "metadata": (dict[str, Any], "{}"),
    "parent": (ParentCall, None),
    "tags": (list[str], None),
}


class _Whole(NamedTuple):
    """A message that can be read."""

    row: AnyRow
    message: Message
    size: int


class _Found(NamedTuple):
    """A session, with its messages as they are."""

    row: AnyRow
    whole: list[_Whole]
    broken: list[AnyRow]

    def sums(self) -> dict[str, Any]:
        """Return what the session's row is to say of the messages that can be read."""
        return {**totals_of(each.message for each in self.whole), "bytes": sum(each.size for each in self.whole)}

    def _missing(self) -> int:
        """Return how many there should be, by the count and the highest number, and are not."""
        numbers = self._numbers()
        wanted = max([int(self.row.message_count), len(numbers), *(n + 1 for n in numbers)])
        return wanted - len(numbers)

    def _numbers(self) -> list[int]:
        return [row.n for row in (*(each.row for each in self.whole), *self.broken)]

    def faults(self) -> Iterator[tuple[str, str]]:
        """Say what does not fit, and what is done about it."""
        if self.broken:
            numbers = ", ".join(str(row.n) for row in self.broken[:5]) + (", …" if len(self.broken) > 5 else "")  # noqa: PLR2004
            yield (
                f"{len(self.broken)} of its messages cannot be read: {numbers}.",
                "They are kept in the table corrupt, and the others renumbered.",
            )
        if missing := self._missing():
            are = "is" if missing == 1 else "are"
            yield f"{missing:,} of its messages {are} missing.", "The others are renumbered; look for a backup of it."
        elif any(n < 0 for n in self._numbers()):
            yield "Its messages are not numbered from 0 on.", "They are renumbered."
        if not self.broken and not missing and not _is_same(self.row, self.sums()):
            yield "Its counts are not those of its messages.", "They are counted again."


class StoreCheck:
    """One look through a database; with `repair` all is put right, in a transaction for each session."""

    def __init__(self, database: Database, *, repair: bool) -> None:
        self._database = database
        self._repair = repair

    def findings(self) -> list[StoreIssue]:
        """Return what does not fit, and, with `repair`, has been put right."""
        found = [*self._file(), *self._orphans()]
        for session_id in self._scalars(select(SESSIONS.c.id).order_by(SESSIONS.c.id)):
            found += [*self._notes(session_id), *self._messages(session_id)]
        return [*found, *self._leases()]

    def _file(self) -> Iterator[StoreIssue]:
        for problem in self._database.problems():
            yield StoreIssue(
                place=self._database.label,
                problem=f"The file is damaged: {problem}.",
                remedy="Make a copy of it, then bring back a backup, or try `sqlite3 FILE .recover`.",
            )

    # Messages of no session

    def _orphans(self) -> Iterator[StoreIssue]:
        lost = ~exists().where(SESSIONS.c.id == MESSAGES.c.session_id)
        for session_id in self._scalars(select(MESSAGES.c.session_id).where(lost).distinct()):
            if self._repair:
                self._adopt(session_id)
            yield self._finding(
                session_id,
                f"session {session_id}",
                "It has messages, but nothing says what it is.",
                'It becomes a session of "unknown", called "Recovered" and its date.',
            )

    def _adopt(self, session_id: str) -> None:
        moment = created_at_of(session_id) or now()

        def work(connection: Connection) -> None:
            there = connection.scalar(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id))
            if not there:
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

    # What is noted of a session

    def _notes(self, session_id: str) -> Iterator[StoreIssue]:
        query = select(*(SESSIONS.c[key] for key in ("name", *_NOTES))).where(SESSIONS.c.id == session_id)
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        for key, (form, instead) in _NOTES.items() if row else ():
            if row and not _is_readable(getattr(row, key), form):
                if self._repair:
                    self._set_aside_note(session_id, key, getattr(row, key), instead)
                yield self._finding(
                    session_id,
                    f'session "{row.name}"',
                    f"Its {key} cannot be read.",
                    "It is kept in the table corrupt.",
                )

    def _set_aside_note(self, session_id: str, key: str, kept: str, instead: str | None) -> None:
        here = and_(SESSIONS.c.id == session_id, SESSIONS.c[key] == kept)

        def work(connection: Connection) -> None:
            if connection.execute(update(SESSIONS).where(here).values({key: instead})).rowcount:
                connection.execute(insert(CORRUPT), _aside(session_id, key, kept, None))

        self._database.write(work)

    # Messages

    def _messages(self, session_id: str) -> Iterator[StoreIssue]:
        if self._repair:
            found = self._database.write(lambda connection: _repaired(connection, session_id))
        else:
            found = self._database.read(lambda connection: _look(connection, session_id))
        if found:
            for problem, remedy in found.faults():
                yield self._finding(session_id, f'session "{found.row.name}"', problem, remedy)

    # Leases

    def _leases(self) -> Iterator[StoreIssue]:
        over = LEASES.c.expires_at < self._database.clock
        query = select(func.count()).select_from(LEASES).where(over)
        count = self._database.read(lambda connection: connection.scalar(query))
        if count:
            if self._repair:
                self._database.write(lambda connection: connection.execute(delete(LEASES).where(over)))
            yield self._finding(
                None,
                "leases",
                f"{count} were left behind by programs that ended.",
                "They are removed.",
            )

    def _scalars(self, query: Select[Any]) -> Sequence[str]:
        return self._database.read(lambda connection: connection.scalars(query).all())

    def _finding(self, session_id: str | None, place: str, problem: str, remedy: str) -> StoreIssue:
        return StoreIssue(place=place, problem=problem, remedy=remedy, session_id=session_id, repaired=self._repair)


def _look(connection: Connection, session_id: str) -> _Found | None:
    """Read a session with all of its messages, in one statement, and so as they were at one moment."""
    query = (
        select(*INFO, MESSAGES.c.n, MESSAGES.c.body, MESSAGES.c.packed)
        .select_from(SESSIONS.outerjoin(MESSAGES, MESSAGES.c.session_id == SESSIONS.c.id))
        .where(SESSIONS.c.id == session_id)
        .order_by(MESSAGES.c.n)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    found = _Found(rows[0], [], [])
    for row in rows if rows[0].n is not None else ():
        try:
            line = line_of(row)
            found.whole.append(_Whole(row, decode(line), len(line)))
        except ValueError:
            found.broken.append(row)
    return found


def _repaired(connection: Connection, session_id: str) -> _Found | None:
    """Put a session right, and return it as it was before."""
    connection.execute(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id).with_for_update())
    found = _look(connection, session_id)
    if found and any(found.faults()):
        for row in found.broken:
            connection.execute(insert(CORRUPT), _aside(session_id, f"message {row.n}", row.body, row.packed))
            connection.execute(delete(MESSAGES).where(MESSAGES.c.session_id == session_id, MESSAGES.c.n == row.n))
        for n, each in enumerate(found.whole):  # from the first on, so that no number is had twice
            if each.row.n != n:
                here = and_(MESSAGES.c.session_id == session_id, MESSAGES.c.n == each.row.n)
                connection.execute(update(MESSAGES).where(here).values(n=n))
        connection.execute(update(SESSIONS).where(SESSIONS.c.id == session_id).values(found.sums()))
    return found


def _aside(session_id: str, part: str, body: str | None, packed: bytes | None) -> dict[str, Any]:
    kept = {"body": body, "packed": packed}
    return {"id": new_id(), "session_id": session_id, "part": part, **kept, "found_at": microseconds(now())}


def _is_same(row: AnyRow, sums: dict[str, Any]) -> bool:
    kept, true = row.cost, sums["cost"]
    same_cost = kept == true if None in (kept, true) else math.isclose(kept, true)  # it was added up in another order
    return same_cost and all(getattr(row, key) == value for key, value in sums.items() if key != "cost")


def _is_readable(kept: str | None, form: Any) -> bool:
    if kept is None:
        return True
    try:
        msgspec.convert(json.loads(kept), form)
    except (ValueError, RecursionError):
        return False
    return True
