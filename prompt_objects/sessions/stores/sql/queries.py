"""Queries that every operation needs: the row of a session, its messages, the names in use."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, update

from prompt_objects.message import Message
from prompt_objects.sessions.info import is_id, new_id
from prompt_objects.sessions.stores.base import SessionFilter, not_found, require_id
from prompt_objects.sessions.stores.json_lines import decode
from prompt_objects.sessions.stores.sql.schema import MESSAGES, SESSIONS, AnyRow, damaged, line_of, parent_prefix

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


def conditions(where: SessionFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a filter on the rows of `sessions`, outside the trash."""
    yield IS_LIVE
    if where.po_name is not None:
        yield SESSIONS.c.po_name == where.po_name
    if where.user_id is not None:
        yield SESSIONS.c.user_id == where.user_id
    if where.parents is not None:
        ids = [parent for parent in where.parents if is_id(parent)]
        length = len(parent_prefix(new_id()))
        yield func.substr(SESSIONS.c.parent, 1, length).in_(map(parent_prefix, ids))
    if where.top_level:
        yield SESSIONS.c.parent.is_(None)


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
