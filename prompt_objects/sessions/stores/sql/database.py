"""Connections to a database, and transactions that outlive a connection that is lost."""

import errno
import os
import random
import sqlite3
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Table,
    cast,
    create_engine,
    event,
    extract,
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from prompt_objects.errors import NewerEnvironment, StoreError, UsageError
from prompt_objects.sessions import disk
from prompt_objects.sessions.stores.sql.schema import META, TABLES, VERSION
from prompt_objects.sessions.stores.url import masked

__all__ = ["Database", "PostgreSQL", "SQLite"]

T = TypeVar("T")
Upsert: TypeAlias = postgresql.Insert | sqlite.Insert

_PATIENCE = 30.0  # seconds in which a server is to be back: longer than a restart takes
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0
_ROLLED_BACK = {"40001", "40P01"}  # two transactions were in each other's way; one of them may try again
_LOST = {"40003", "53300", "57P01", "57P02", "57P03"}  # no word of the outcome; too many; stopped; starting
_MADE_AT_ONCE = {"23505", "42P07", "42710"}  # what is said to the second of two that make the same table
_ATTEMPTS, _PAUSE = 20, 0.1


class Database(ABC):
    """A database of sessions, `shown` to people by that; its tables are made when it is first used.

    `read` and `write` raise `StoreError` where the database refuses, `NewerEnvironment` where a newer version of the
    program made the tables, and let an `IntegrityError` through. Where a server that answered before is gone, they
    wait for it, up to half a minute.
    """

    clock: ColumnElement[int]  # milliseconds since 1970, as the database counts them

    def __init__(self, engine: Engine, reader: Engine, shown: str) -> None:
        self.shown = shown
        self._engine = engine
        self._reader = reader  # the same, but each statement is a transaction of its own
        self._mutex = Lock()
        self._is_ready = False
        self._inherited: list[object] = []
        self._closing = weakref.finalize(self, engine.dispose)

    @abstractmethod
    def insert(self, table: Table) -> Upsert:
        """Begin a statement that inserts, or updates what is there."""

    @abstractmethod
    def problems(self) -> list[str]:
        """Return what is wrong with the database as such."""

    @abstractmethod
    def is_lost(self, error: SQLAlchemyError) -> bool:
        """Say whether an error means that the server has gone, and may come back."""

    @abstractmethod
    def hint(self, error: SQLAlchemyError) -> str:
        """Say what a person may do about an error."""

    # Transactions

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do `work`, of which each statement stands for itself."""

        def attempt(_again: bool) -> T:  # noqa: FBT001 - whatever was read before is read again
            with self._reader.connect() as connection:
                return work(connection)

        return self._persist(attempt, patient=True)

    def write(self, work: Callable[[Connection, bool], T], *, patient: bool = True) -> T:
        """Do `work` in one transaction, which is durable when this returns.

        Where the connection is lost it is done again: `work(connection, True)` has to look whether the transaction
        before was committed after all. With `patient=False` it is tried once.
        """

        def attempt(again: bool) -> T:  # noqa: FBT001 - it is the second argument of all that is passed in
            with self._engine.begin() as connection:
                return work(connection, again)

        return self._persist(attempt, patient=patient)

    def _persist(self, attempt: Callable[[bool], T], *, patient: bool) -> T:
        pause, deadline, again = _FIRST_PAUSE, time.monotonic() + _PATIENCE, False
        while True:
            try:
                self._prepare()
                return attempt(again)
            except IntegrityError:
                raise
            except SQLAlchemyError as error:
                is_lost = self.is_lost(error)
                may_pass = self._is_ready and patient and (is_lost or _state(error) in _ROLLED_BACK)
                if not may_pass or time.monotonic() + pause > deadline:
                    raise self._refusal(error) from error
                again = again or is_lost
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - it keeps no secret, only others at a distance
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _refusal(self, error: SQLAlchemyError) -> StoreError:
        """Say in a person's words what the database refused."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        what = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        if password := self._engine.url.password:
            what = what.replace(str(password), "***")
        return StoreError(f"{self.shown} could not be used: {what.rstrip('.')}.", hint=self.hint(error))

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def forget_parent(self) -> None:
        """In a forked child, leave the connections to the parent, and open others."""
        self._inherited.append(self._engine.pool)  # kept, as a connection that is collected is closed
        self._engine.dispose(close=False)
        self._mutex = Lock()

    # Tables

    def _prepare(self) -> None:
        """See that the tables are there, and are ours; make them where there are none, whoever else does so, too."""
        with self._mutex:
            for _ in range(0 if self._is_ready else _ATTEMPTS):
                try:
                    with self._engine.begin() as connection:
                        is_ready = self._check_or_make_tables(connection)
                    self._is_ready = is_ready
                except DBAPIError as error:
                    if _state(error) not in _MADE_AT_ONCE | _ROLLED_BACK:
                        raise
                if self._is_ready:
                    return
                time.sleep(_PAUSE)
            if not self._is_ready:
                raise StoreError(
                    f"{self.shown} has tables of another program.",
                    hint="Give sessions a database, or a schema, of their own.",
                )

    def _check_or_make_tables(self, connection: Connection) -> bool:
        """Return whether the tables are ours; where that is not written down, somebody may just be about to do so."""
        if not inspect(connection).has_table(META.name):
            TABLES.create_all(connection, checkfirst=False)
            connection.execute(META.insert(), {"name": "schema_version", "value": str(VERSION)})
            return True
        found = connection.scalar(select(META.c.value).where(META.c.name == "schema_version")) or ""
        if found.isdecimal() and int(found) > VERSION:
            raise NewerEnvironment(
                f"{self.shown} has sessions of a newer version of prompt_objects (schema {found}, here {VERSION}).",
                hint="Use that version; nothing was changed.",
            )
        return found == str(VERSION)


class SQLite(Database):
    """A database in a file, for any number of threads and processes of one machine."""

    clock = cast((func.julianday("now") - 2440587.5) * 86400000, BigInteger)

    def __init__(self, path: Path, pool_size: int) -> None:
        self._path = path
        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            connect_args={"timeout": _PATIENCE, "isolation_level": None},  # transactions begin where we say it
            pool_size=pool_size,
            max_overflow=-1,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        super().__init__(engine, engine.execution_options(reading=True), str(path))

    def insert(self, table: Table) -> Upsert:
        """Begin a statement."""
        return sqlite.insert(table)

    def problems(self) -> list[str]:
        """Return what SQLite finds wrong with its file."""
        found = self.read(lambda connection: connection.exec_driver_sql("PRAGMA quick_check(10)").scalars().all())
        return [str(problem) for problem in found if problem != "ok"]

    def is_lost(self, error: SQLAlchemyError) -> bool:  # noqa: ARG002 - there is nothing between us and the file
        """Say no."""
        return False

    def hint(self, error: SQLAlchemyError) -> str:
        """Say what a person may do."""
        cause = error.orig if isinstance(error, DBAPIError) else None
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the rest of the bits goes into detail
        return _SQLITE_HINTS.get(code, "What was saved before is safe.")

    def _prepare(self) -> None:
        if not self._is_ready:
            try:
                disk.make_folder(self._path.parent)
                _make_private(self._path)
            except OSError as error:
                raise disk.failure("opened", self._path, error) from error
        super()._prepare()


_SQLITE_HINTS = {  # by the numbers that SQLite gives to errors
    5: "Another program has it to itself; try again when that is done.",
    8: "Check who owns the file and its folder, and their permissions.",
    11: "Make a copy of the file, then bring back a backup, or try `sqlite3 FILE .recover`.",
    13: "The disk is full: free some space, then try again.",
    14: "Check who owns the file and its folder, and their permissions.",
    26: "Give the store a file of its own.",
}
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "fullfsync=1", "checkpoint_fullfsync=1", "foreign_keys=1")


_MAKING = Lock()


def _make_private(path: Path) -> None:
    """Make the file, if it is not there, for its owner only; -wal and -shm, which SQLite makes, are like it.

    To close a file is to lose all locks that the process has on it: it is made and closed before any connection of
    this process opens it, and one that is there is not opened here.
    """
    with _MAKING:
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        with suppress(FileExistsError):
            os.close(disk.open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def _set_up(connection: Any, _record: object) -> None:
    deadline = time.monotonic() + _PATIENCE
    for pragma in _PRAGMAS:
        while not _is_set(connection, pragma) and time.monotonic() < deadline:
            time.sleep(_FIRST_PAUSE)  # to change the journal it does not wait for others by itself


def _is_set(connection: Any, pragma: str) -> bool:
    try:
        connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("reading"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class PostgreSQL(Database):
    """A database on a server, for any number of processes on any number of machines."""

    clock = cast(extract("epoch", func.clock_timestamp()) * 1000, BigInteger)

    def __init__(self, url: str, pool_size: int) -> None:
        try:
            parsed = make_url(url).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError) as error:
            raise UsageError(
                f"{masked(url)!r} is no address of a database.",
                hint="It looks like postgresql://USER:PASSWORD@HOST/DATABASE; in a password, @ is %40, / is %2F.",
            ) from error
        engine = create_engine(
            parsed.set(query={**_CONNECTION, **parsed.query}),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_PATIENCE,
            hide_parameters=True,
        )
        host = parsed.host or parsed.query.get("host") or "this machine"
        reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        super().__init__(engine, reader, f"The database {parsed.database or parsed.username} on {host}")

    def insert(self, table: Table) -> Upsert:
        """Begin a statement."""
        return postgresql.insert(table)

    def problems(self) -> list[str]:
        """Return nothing: the server looks after its files."""
        return []

    def is_lost(self, error: SQLAlchemyError) -> bool:
        """Say whether there is no connection any more, or cannot be one yet."""
        if not isinstance(error, DBAPIError):
            return False
        state = _state(error)
        is_of_connection = isinstance(error, OperationalError) and not state
        return error.connection_invalidated or is_of_connection or state in _LOST or state.startswith("08")

    def hint(self, error: SQLAlchemyError) -> str:
        """Say what a person may do."""
        if self.is_lost(error):
            return "See that the server runs, and that its address and password are right."
        return "What was saved before is safe."


_CONNECTION = {
    "application_name": "prompt_objects",
    "connect_timeout": "10",  # seconds
    "tcp_user_timeout": "20000",  # milliseconds until a network that swallows everything counts as lost
}


def _state(error: SQLAlchemyError) -> str:
    """Return the five characters by which PostgreSQL names an error, if it does."""
    return getattr(error.orig, "sqlstate", None) or "" if isinstance(error, DBAPIError) else ""
