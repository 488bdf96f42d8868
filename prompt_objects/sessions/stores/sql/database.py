"""Transactions of a database, which outlive a connection that is lost."""

import random
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Protocol, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from prompt_objects.errors import StoreError
from prompt_objects.sessions.stores.sql.errors import RETRYABLE, state_of
from prompt_objects.sessions.stores.sql.schema_version import ensure_tables
from prompt_objects.utils.concurrency import may_wait

__all__ = [
    "RECONNECT_TIMEOUT",
    "Database",
    "Upsert",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Upsert: TypeAlias = postgresql.Insert | sqlite.Insert
RECONNECT_TIMEOUT = 30.0  # seconds in which a server is to be back: longer than a restart takes
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0


class Idempotent(Protocol[T_co]):
    """Work that must not be done twice: `again`, it has to look whether it was done before, after all."""

    def __call__(self, connection: Connection, /, *, again: bool) -> T_co:
        """Do it."""


class Database(ABC):
    """A database of sessions, `shown` to people by that; its tables are made when it is first used.

    Its transactions raise `StoreError` where the database refuses, `NewerEnvironment` where a newer version of the
    program made the tables, and let an `IntegrityError` through. Where a server that answered before is gone, they
    wait for it, up to half a minute, unless they are done without patience.
    """

    clock: ColumnElement[int]  # milliseconds since 1970, as the database counts them

    def __init__(self, engine: Engine, reader: Engine, shown: str) -> None:
        self.label = shown
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
        return self._persist(partial(_in_connection, self._reader, work))

    def write(self, work: Callable[[Connection], T], *, patient: bool = True) -> T:
        """Do `work` in one transaction, which is durable when this returns.

        Where the connection is lost it is done again: what it does twice must be as if it were done once. With
        `patient=False` it is tried once.
        """
        return self._persist(partial(_in_transaction, self._engine, work), patient=patient)

    def write_once(self, work: Idempotent[T]) -> T:
        """Do `work` in one transaction, too; after a lost connection with `again`, as it may have been committed."""
        first, after_loss = partial(work, again=False), partial(work, again=True)
        return self._persist(
            partial(_in_transaction, self._engine, first), partial(_in_transaction, self._engine, after_loss)
        )

    def _persist(self, attempt: Callable[[], T], retry: Callable[[], T] | None = None, *, patient: bool = True) -> T:
        """Try, and try again where that may help; where a connection was lost, `after_loss` from then on."""
        pause, deadline = _FIRST_PAUSE, time.monotonic() + RECONNECT_TIMEOUT
        while True:
            try:
                self._prepare()
                return attempt()
            except IntegrityError:
                raise
            except SQLAlchemyError as error:
                is_lost = self.is_lost(error)
                may_pass = self._is_ready and patient and may_wait() and (is_lost or state_of(error) in RETRYABLE)
                if not may_pass or time.monotonic() + pause > deadline:
                    raise self._refusal(error) from error
                if is_lost and retry:
                    attempt = retry
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - it keeps no secret, only others at a distance
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _prepare(self) -> None:
        """See to the tables, the first time."""
        with self._mutex:
            if not self._is_ready:
                ensure_tables(self._engine, self.label)
                self._is_ready = True

    def _refusal(self, error: SQLAlchemyError) -> StoreError:
        """Say in a person's words what the database refused."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        what = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        if password := self._engine.url.password:
            what = what.replace(str(password), "***")
        return StoreError(f"{self.label} could not be used: {what.rstrip('.')}.", hint=self.hint(error))

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def after_fork(self) -> None:
        """In a forked child, leave the connections to the parent, and open others."""
        self._inherited.append(self._engine.pool)  # kept, as a connection that is collected is closed
        self._engine.dispose(close=False)
        self._mutex = Lock()


def _in_connection(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return work(connection)


def _in_transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)
