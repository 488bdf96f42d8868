"""Queries that every operation needs: the row of a session, its messages, the names in use."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, select, update

from prompt_objects.message import Message
from prompt_objects.sessions.stores.errors import not_found, require_id
from prompt_objects.sessions.stores.json_lines import decode
from prompt_objects.sessions.stores.sql.schema import MESSAGES, SESSIONS, AnyRow, damaged, line_of

__all__ = [
    "IS_LIVE",
    "IS_TRASHED",
    "bodies",
    "change",
    "decoded",
    "find",
    "live_names",
]

IS_LIVE = SESSIONS.c.deleted_at.is_(None)
IS_TRASHED = SESSIONS.c.deleted_at.is_not(None)


def find(connection: Connection, session_id: str, *, trashed: bool = False, lock: bool = False) -> AnyRow:
    """Return the row of a session; `lock` it until the transaction ends. Raises `NotFound`."""
    require_id(session_id)
    query = select(SESSIONS).where(SESSIONS.c.id == session_id, IS_TRASHED if trashed else IS_LIVE)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise not_found(session_id, trashed=trashed)
    return row


def change(connection: Connection, session_id: str, values: dict[str, Any], *, trashed: bool = False) -> AnyRow:
    """Update a session and return its row. Raises `NotFound`."""
    require_id(session_id)
    matches = (SESSIONS.c.id == session_id, IS_TRASHED if trashed else IS_LIVE)
    row = connection.execute(update(SESSIONS).where(*matches).values(values).returning(SESSIONS)).one_or_none()
    if row is None:
        raise not_found(session_id, trashed=trashed)
    return row


def bodies(session_id: str) -> Select[Any]:
    """Return a query for all messages of a session, in order."""
    columns = (MESSAGES.c.n, MESSAGES.c.body, MESSAGES.c.packed)
    return select(*columns).where(MESSAGES.c.session_id == session_id).order_by(MESSAGES.c.n)


def live_names(connection: Connection, po_name: str) -> set[str]:
    """Return the names of a prompt object's sessions, without the trash."""
    return set(connection.scalars(select(SESSIONS.c.name).where(SESSIONS.c.po_name == po_name, IS_LIVE)))


def decoded(session_id: str, rows: Iterable[AnyRow]) -> list[Message]:
    """Return the messages of rows. Raises `Damaged`."""
    try:
        return [decode(line_of(row)) for row in rows]
    except ValueError as error:
        raise damaged(session_id, str(error)) from error
