"""The tables of a database of sessions, the conversion of their rows, and common queries.

Times are microseconds since 1970, in UTC. A constraint on `live_name` keeps names unique: it is the name of a session
outside the trash, and NULL for a session in it.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
    update,
)

from prompt_objects.errors import Damaged, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.info import (
    DERIVED_FIELDS,
    ParentCall,
    SessionInfo,
    SessionRecord,
    is_id,
    new_id,
    require_id,
)
from prompt_objects.sessions.stores.base import SessionFilter
from prompt_objects.sessions.stores.errors import not_found
from prompt_objects.sessions.stores.json_lines import decode, encode

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
VERSION = 2
TABLES = MetaData()
META = Table("meta", TABLES, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
SESSIONS = Table(
    "sessions",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("po_name", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("live_name", Text),
    Column("message_count", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("user_id", Text),
    Column("parent", Text),  # JSON, like tags and metadata
    Column("tags", Text),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost", Double),
    Column("archived", Boolean(create_constraint=False), nullable=False),
    Column("bytes", BigInteger, nullable=False),  # of all messages as JSON, uncompressed
    Column("deleted_at", BigInteger),
    Column("metadata", Text, nullable=False),
    UniqueConstraint("po_name", "live_name", name="sessions_have_names_of_their_own"),
    CheckConstraint(
        "(deleted_at IS NULL AND live_name IS NOT NULL AND live_name = name)"
        " OR (deleted_at IS NOT NULL AND live_name IS NULL)",
        name="sessions_are_live_or_in_the_trash",
    ),
    Index("sessions_by_use", "updated_at", "id"),
)
MESSAGES = Table(
    "messages",
    TABLES,
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text),  # JSON, or NULL if `packed` is set
    Column("packed", LargeBinary),  # the same JSON, compressed with zlib
    CheckConstraint("(body IS NULL) <> (packed IS NULL)", name="messages_have_one_form"),
)
LEASES = Table(
    "leases",
    TABLES,
    Column("session_id", Text, primary_key=True),
    Column("token", Text, nullable=False),  # identifies this lease
    Column("holder", Text, nullable=False),  # JSON
    Column("process", BigInteger, nullable=False),
    Column("place", Text, nullable=False),  # the machine and PID namespace of `process`
    Column("expires_at", BigInteger, nullable=False),  # milliseconds since 1970, by the clock of the database
)
FRAMES = Table(
    "frames",
    TABLES,
    Column("digest", Text, primary_key=True),
    Column("content", Text, nullable=False),  # JSON
    Column("used_at", BigInteger, nullable=False),
)
CORRUPT = Table(
    "corrupt",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("part", Text, nullable=False),
    Column("body", Text),
    Column("packed", LargeBinary),
    Column("found_at", BigInteger, nullable=False),
)
INFO = tuple(column for column in SESSIONS.c if column.name != "metadata")  # the columns of a listing
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Return a time as it is stored."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(stored: int) -> datetime:
    """Return the time that is stored as this number."""
    return _EPOCH + timedelta(microseconds=stored)


def session_row(info: SessionInfo, metadata: dict[str, Any], size: int) -> dict[str, Any]:
    """Return the row of a session whose messages have `size` bytes. Raises `UsageError` as `writable` does."""
    return {
        **{key: getattr(info, key) for key in ("id", *DERIVED_FIELDS)},
        "po_name": writable(info.po_name),
        "name": writable(info.name),
        "live_name": info.name,
        "user_id": info.user_id and writable(info.user_id),
        "created_at": microseconds(info.created_at),
        "updated_at": microseconds(info.updated_at),
        "parent": json.dumps(msgspec.to_builtins(info.parent)) if info.parent else None,
        "tags": json.dumps(info.tags) if info.tags else None,
        "bytes": size,
        "metadata": encode(metadata).decode(),
    }


def parent_prefix(session_id: str) -> str:
    """Return how the column `parent` begins if a call in this session started the row's session."""
    return json.dumps({"session": session_id})[:-1] + ","


def info_of(row: AnyRow) -> SessionInfo:
    """Return the info in a row of `sessions`. Raises `Damaged`."""
    try:
        return SessionInfo(
            id=row.id,
            name=row.name,
            po_name=row.po_name,
            created_at=moment_of(row.created_at),
            updated_at=moment_of(row.updated_at),
            user_id=row.user_id,
            parent=msgspec.convert(json.loads(row.parent), ParentCall) if row.parent else None,
            tags=msgspec.convert(json.loads(row.tags), tuple[str, ...]) if row.tags else (),
            **{key: getattr(row, key) for key in DERIVED_FIELDS},
        )
    except (ValueError, OverflowError) as error:
        raise damaged(row.id, error) from error


def record_of(row: AnyRow) -> SessionRecord:
    """Return the record in a row of `sessions` with all columns. Raises `Damaged`."""
    try:
        metadata = decode(row.metadata.encode())
    except ValueError as error:
        raise damaged(row.id, error) from error
    return SessionRecord(info_of(row), metadata)


def damaged(session_id: str, why: object) -> Damaged:
    """Return the error for a session with invalid data."""
    return Damaged(
        f"The session {session_id} has data that cannot be read: {why}.",
        hint="Repair it with: prompt-objects doctor --repair",
    )


def writable(text: str) -> str:
    """Return the text if a database can store it. Raises `UsageError` for NUL and lone surrogates."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(f"A database cannot store {text!r:.80}: it contains NUL or invalid Unicode.")
    return text


def body_row(session_id: str, n: int, line: bytes, compress: int | None) -> dict[str, Any]:
    """Return the row of a message, compressed if it has at least `compress` bytes and gets shorter."""
    short = packed(line) if compress is not None and len(line) >= compress else None
    return {"session_id": session_id, "n": n, "body": None if short else line.decode(), "packed": short}


def packed(line: bytes) -> bytes | None:
    """Return a line compressed; None if that is not shorter."""
    short = zlib.compress(line)
    return short if len(short) < len(line) else None


def line_of(row: AnyRow) -> bytes:
    """Return the JSON line of a message. Raises `ValueError` if it cannot be decompressed."""
    if row.packed is None:
        return bytes(row.body.encode())
    try:
        return zlib.decompress(row.packed)
    except zlib.error as error:
        raise ValueError(str(error)) from error


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
