"""SQLite: a database in a file."""

import errno
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, BigInteger, Connection, Table, cast, create_engine, event, func
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.sessions.stores.sql.database import RECONNECT_TIMEOUT, Database, Upsert
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.waiting import may_wait

T = TypeVar("T")
_HINTS = {  # by SQLite result code
    5: "Another program has locked it; try again when that is done.",
    8: "Check the owner and the permissions of the file and its folder.",
    11: "Make a copy of the file, then restore a backup, or try `sqlite3 FILE .recover`.",
    13: "The disk is full. Free some space, then try again.",
    14: "Check the owner and the permissions of the file and its folder.",
    26: "Give the store a file of its own.",
}
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "fullfsync=1", "checkpoint_fullfsync=1", "foreign_keys=1")
_CREATING = Lock()
_BUSY_PAUSE = 0.02  # seconds
_BUSY_TIMEOUT = 0.5
"""How long SQLite itself waits for a lock, which cannot be given up; the transaction is tried again after that."""


class SQLite(Database):
    """A database in a file, for any number of threads and processes of one machine.

    With `read_only`, the file is not even locked while nobody else has it open: locking creates files beside it. If
    another program changes it meanwhile, it is read again.
    """

    clock = cast((func.julianday("now") - 2440587.5) * 86400000, BigInteger)

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        if read_only:
            engine = create_engine("sqlite://", creator=self._open_for_reading, poolclass=NullPool)
            super().__init__(engine, engine, str(path), read_only=True)
            return
        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            connect_args={"timeout": _BUSY_TIMEOUT, "isolation_level": None},  # `_begin` starts transactions
            max_overflow=-1,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        super().__init__(engine, engine.execution_options(reading=True), str(path))

    def _open_for_reading(self) -> sqlite3.Connection:
        parameters = "mode=ro" if self._is_open_elsewhere() else "mode=ro&immutable=1"
        uri = f"file:{quote(str(self._path))}?{parameters}"
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)

    def _is_open_elsewhere(self) -> bool:
        """Return whether there is a log of changes: of a program that has the file open, or was killed."""
        logs = (self._path.with_name(f"{self._path.name}{ending}") for ending in ("-wal", "-journal"))
        return any(log.stat().st_size > 0 for log in logs if log.exists())

    def read(self, work: Callable[[Connection], T]) -> T:
        if not self.read_only or self._is_open_elsewhere():
            return super().read(work)
        before = self._state()
        with suppress(StoreError):
            result = super().read(work)
            if self._state() == before:
                return result
        return self.read(work) if self._state() != before else super().read(work)

    def _state(self) -> tuple[int, int]:
        """Return what changes with every write to the file."""
        try:
            status = self._path.stat()
        except FileNotFoundError as error:
            raise NotFound(f"{self._path} does not exist yet.") from error
        return status.st_mtime_ns, status.st_size

    def insert(self, table: Table) -> Upsert:
        return sqlite.insert(table)

    def problems(self) -> list[str]:
        found = self.read(lambda connection: connection.exec_driver_sql("PRAGMA quick_check(10)").scalars().all())
        return [str(problem) for problem in found if problem != "ok"]

    def is_lost(self, error: SQLAlchemyError) -> bool:  # noqa: ARG002 - there is no connection to lose
        return False

    def is_locked(self, error: SQLAlchemyError) -> bool:
        return _code_of(error) == sqlite3.SQLITE_BUSY

    def hint(self, error: SQLAlchemyError) -> str:
        return _HINTS.get(_code_of(error), "Data saved earlier is safe.")

    def _prepare(self) -> None:
        if not self._is_ready and not self.read_only:
            with disk.store_errors("opened", self._path):
                disk.make_folder(self._path.parent)
                _make_private(self._path)
        super()._prepare()


def _code_of(error: SQLAlchemyError) -> int:
    """Return the result code of SQLite, without the extended bits; 0 if there is none."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF


def _make_private(path: Path) -> None:
    """Create the file, if it does not exist, for its owner only; SQLite gives -wal and -shm the same permissions.

    Closing a file releases all locks that the process has on it, so the file is created and closed before any
    connection of this process opens it, and an existing file is not opened here.
    """
    with _CREATING:
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        with suppress(FileExistsError):
            os.close(disk.open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def _set_up(connection: Any, _record: object) -> None:
    deadline = time.monotonic() + RECONNECT_TIMEOUT
    for pragma in _PRAGMAS:
        while not _is_set(connection, pragma) and may_wait() and time.monotonic() < deadline:
            time.sleep(_BUSY_PAUSE)  # changing the journal mode ignores the timeout


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
