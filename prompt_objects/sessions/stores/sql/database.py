"""`Database`: transactions that survive a lost connection, and the creation of the tables."""

import random
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from threading import Lock
from typing import Protocol, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Table, inspect, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from prompt_objects.errors import NewerEnvironment, NotFound, StoreError
from prompt_objects.sessions.stores.sql.schema import FRAMES, META, TABLES, VERSION
from prompt_objects.utils.waiting import Wait, may_wait

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Upsert: TypeAlias = postgresql.Insert | sqlite.Insert
RECONNECT_TIMEOUT = 30.0  # seconds; longer than the restart of a server takes
_LOCK_TIMEOUT = 3.0
_FIRST_PAUSE, _MAX_PAUSE = 0.02, 2.0
_TABLE_ATTEMPTS, _TABLE_PAUSE = 20, 0.1

# PostgreSQL error codes
RETRYABLE = {"40001", "40P01"}  # serialization failure, deadlock
CONNECTION_LOST = {"40003", "53300", "57P01", "57P02", "57P03"}  # outcome unknown; too many; stopped; starting
CONCURRENT_DDL = {"23505", "42P07", "42710"}  # another process creates the same table


def state_of(error: SQLAlchemyError) -> str:
    """Return the PostgreSQL error code; the empty string for an error without one."""
    return getattr(error.orig, "sqlstate", None) or "" if isinstance(error, DBAPIError) else ""


class Idempotent(Protocol[T_co]):
    """A transaction that is safe to retry: with `is_retry` it first checks whether an earlier attempt committed."""

    def __call__(self, connection: Connection, /, *, is_retry: bool) -> T_co:
        """Run the transaction."""


class Database(ABC):
    """A database of sessions, called `label` in messages; its tables are created on first use, unless `read_only`.

    Transactions raise `StoreError` if the database fails, `NewerEnvironment` if a newer version of the program
    created the tables, and `IntegrityError`. If the database is locked, or a server that answered before is lost,
    they wait up to 30 seconds for it, unless `utils.waiting.fail_fast` is active.
    """

    clock: ColumnElement[int]  # milliseconds since 1970, by the clock of the database

    def __init__(self, engine: Engine, reader: Engine, label: str, *, read_only: bool = False) -> None:
        self.label = label
        self.read_only = read_only
        self._engine = engine
        self._reader = reader  # the same engine, in autocommit mode
        self._mutex = Lock()
        self._is_ready = False
        self._inherited: list[object] = []
        self._closing = weakref.finalize(self, engine.dispose)

    @abstractmethod
    def insert(self, table: Table) -> Upsert:
        """Return an INSERT statement that supports ON CONFLICT."""

    @abstractmethod
    def problems(self) -> list[str]:
        """Return problems of the database file itself."""

    @abstractmethod
    def is_lost(self, error: SQLAlchemyError) -> bool:
        """Return whether an error means that the server is gone and may come back."""

    def is_locked(self, error: SQLAlchemyError) -> bool:  # noqa: ARG002 - a server queues its clients itself
        """Return whether another program has locked the database, so that nothing was done yet."""
        return False

    @abstractmethod
    def hint(self, error: SQLAlchemyError) -> str:
        """Return the next step for the user after an error."""

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in autocommit mode: each statement is its own transaction.

        Raises `NotFound` if the database is read-only and has no tables.
        """
        return self._persist(partial(_in_connection, self._reader.connect, work))

    def write(self, work: Callable[[Connection], T], *, patient: bool = True) -> T:
        """Run `work` in one transaction, which is durable when this returns.

        It is retried after a lost connection, so running it twice must have the effect of running it once. With
        `patient=False` it runs once, after at most 3 seconds if the database is locked.
        """
        self._require_writable()
        return self._persist(partial(_in_connection, self._engine.begin, work), patient=patient)

    def write_once(self, work: Idempotent[T]) -> T:
        """Run `work` in one transaction; after a lost connection retry it with `is_retry`: it may have committed."""
        self._require_writable()
        first, retry = partial(work, is_retry=False), partial(work, is_retry=True)
        return self._persist(
            partial(_in_connection, self._engine.begin, first), partial(_in_connection, self._engine.begin, retry)
        )

    def _require_writable(self) -> None:
        if self.read_only:
            raise StoreError(f"{self.label} could not be changed: it was opened for reading only.")

    def _persist(self, attempt: Callable[[], T], retry: Callable[[], T] | None = None, *, patient: bool = True) -> T:
        """Run `attempt` until it succeeds or cannot; once a connection was lost, run `retry` instead, if given."""
        pause = _FIRST_PAUSE
        deadline = time.monotonic() + (RECONNECT_TIMEOUT if patient else _LOCK_TIMEOUT)
        with Wait(lambda: self.label) as wait:
            while True:
                try:
                    self._prepare()
                    return attempt()
                except IntegrityError:
                    raise
                except SQLAlchemyError as error:
                    if not self._may_retry(error, patient=patient) or time.monotonic() + pause > deadline:
                        raise self._store_error(error) from error
                    if retry and self.is_lost(error):
                        attempt = retry
                wait.check()
                time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not for cryptography
                pause = min(2 * pause, _MAX_PAUSE)

    def _may_retry(self, error: SQLAlchemyError, *, patient: bool) -> bool:
        if self.is_locked(error):
            return may_wait()
        is_transient = self.is_lost(error) or state_of(error) in RETRYABLE
        return self._is_ready and patient and may_wait() and is_transient

    def _prepare(self) -> None:
        with self._mutex:
            if not self._is_ready:
                if self.read_only:
                    _require_tables(self._reader, self.label)
                else:
                    _ensure_tables(self._engine, self.label)
                self._is_ready = True

    def _store_error(self, error: SQLAlchemyError) -> StoreError:
        cause = error.orig if isinstance(error, DBAPIError) else error
        reason = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        if password := self._engine.url.password:
            reason = reason.replace(str(password), "***")
        return StoreError(f"{self.label} could not be used: {reason.rstrip('.')}.", hint=self.hint(error))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def after_fork(self) -> None:
        """In a forked child, leave the connections to the parent and open new ones."""
        self._inherited.append(self._engine.pool)  # a garbage-collected connection would be closed
        self._engine.dispose(close=False)
        self._mutex = Lock()


def _in_connection(connect: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], T]) -> T:
    with connect() as connection:
        return work(connection)


def _ensure_tables(engine: Engine, label: str) -> None:
    """Create the tables if there are none, also if other processes do so at the same time.

    Raises `NewerEnvironment` if a newer version created them, and `StoreError` if another program did.
    """
    for _ in range(_TABLE_ATTEMPTS):
        try:
            with engine.begin() as connection:
                is_ours = _check_or_create(connection, label)
        except DBAPIError as error:
            if state_of(error) not in CONCURRENT_DDL | RETRYABLE:
                raise
        else:
            if is_ours:
                return
        time.sleep(_TABLE_PAUSE)
    raise _foreign_tables(label)


def _foreign_tables(label: str) -> StoreError:
    hint = "Give sessions their own database or their own schema."
    return StoreError(f"{label} has tables of another program.", hint=hint)


def _require_tables(engine: Engine, label: str) -> None:
    """Raise `NotFound` if there are no tables, and the errors of `_ensure_tables`."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(META.name):
            raise NotFound(f"{label} has no sessions yet.")
        if _version(connection, label) is None:
            raise _foreign_tables(label)


def _upgrade(connection: Connection) -> None:
    """Add what version 2 has more than version 1."""
    FRAMES.create(connection, checkfirst=False)
    connection.execute(update(META).where(META.c.name == "schema_version").values(value=str(VERSION)))


def _check_or_create(connection: Connection, label: str) -> bool:
    """Return whether the tables are ours; without a version, another process may be creating them just now."""
    inspector = inspect(connection)
    if not inspector.has_table(META.name):
        if not TABLES.tables.keys().isdisjoint(inspector.get_table_names()):
            return False
        TABLES.create_all(connection, checkfirst=False)
        connection.execute(META.insert(), {"name": "schema_version", "value": str(VERSION)})
        return True
    version = _version(connection, label)
    if version == 1 and not inspector.has_table(FRAMES.name):
        _upgrade(connection)
        return True
    return version == VERSION


def _version(connection: Connection, label: str) -> int | None:
    """Return the version of the tables, None if they are not ours. Raises `NewerEnvironment`."""
    columns = connection.execute(select(text("*")).select_from(META).limit(0)).keys()
    if not {"name", "value"} <= set(columns):
        return None
    found = connection.scalar(select(META.c.value).where(META.c.name == "schema_version"))
    version = int(found) if isinstance(found, str) and found.isdecimal() else None
    if version and version > VERSION:
        raise NewerEnvironment(
            f"{label} has sessions of a newer version of prompt_objects (schema {found}, here {VERSION}).",
            hint="Use that version; nothing was changed.",
        )
    return version
