"""Making a session in a database, so that doing it again, after the connection was lost, makes no second one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from prompt_objects.sessions.names import free_name
from prompt_objects.sessions.record import SessionInfo
from prompt_objects.sessions.stores.refusals import exists
from prompt_objects.sessions.stores.sql.appending import insert_lines
from prompt_objects.sessions.stores.sql.rows import live_names
from prompt_objects.sessions.stores.sql.schema import SESSIONS, session_row

__all__ = ["Creation"]


class Creation:
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
            name = free_name(name, live_names(connection, self._info.po_name))
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
        raise exists(self._info.id)
