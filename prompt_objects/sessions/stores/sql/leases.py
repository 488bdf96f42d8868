"""Who has a session to itself: a row for each such session, which is worth nothing once its time is over."""

import os
import secrets
import sys
import time
import weakref
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any

import msgspec
from sqlalchemy import delete, or_, select, update

from prompt_objects.errors import StoreError
from prompt_objects.sessions.stores.errors import busy, require_id, unknown_holder
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.sessions.stores.sql.database import Database
from prompt_objects.sessions.stores.sql.schema import LEASES, SESSIONS
from prompt_objects.utils.filesystem import boot_id
from prompt_objects.utils.process import ProcessInfo

__all__ = [
    "Leases",
    "SqlLease",
]

_LASTS = 30_000  # milliseconds, by the clock of the database
_RENEWED = 10.0  # seconds, by ours
_ATTEMPTS, _PAUSE = 4, 0.005  # for one that is released while we look who has it
_DECODE = msgspec.json.Decoder(ProcessInfo).decode


class SqlLease:
    """A session that one turn has to itself."""

    def __init__(self, held: "Leases", token: str) -> None:
        self._leases = held
        self._token = token

    def release(self) -> None:
        """Let the next one have it; where the server is gone it is free when its time is over."""
        self._leases.give_up([self._token])


class Leases:
    """The leases in a database; those that were taken here are renewed until they are released."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens: set[str] = set()
        self._begin()
        self._closing = weakref.finalize(self, _delete, database, self._tokens)

    def _begin(self) -> None:
        self._mutex = Lock()
        self._stop = Event()
        self._renewing: Thread | None = None

    def after_fork(self) -> None:
        """In a forked child, hold nothing."""
        self._tokens.clear()
        self._begin()

    def take(self, session_id: str, holder: ProcessInfo) -> SqlLease:
        """Have a session to oneself. Raises `Busy`, `NotFound` for what cannot be an id, and `StoreError`."""
        require_id(session_id)
        token, dead = secrets.token_hex(16), ""
        for attempt in range(_ATTEMPTS):
            if self._try(session_id, holder, token, dead):
                self._keep(token)
                return SqlLease(self, token)
            row = self._find(session_id)
            if row is None:
                time.sleep(_PAUSE * attempt)
            elif _is_dead(row):
                dead = row.token
            else:
                raise busy(session_id, row.name, _holder_of(row))
        raise busy(session_id, None, None)

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return who has a session, if anybody has."""
        require_id(session_id)
        row = self._find(session_id)
        return None if row is None or _is_dead(row) else _holder_of(row) or unknown_holder()

    def give_up(self, tokens: list[str]) -> None:
        """Release leases; those that are not ours any more stay as they are."""
        with self._mutex:
            ours = self._tokens.intersection(tokens)
            self._tokens -= ours
        _delete(self._database, ours)

    def close(self) -> None:
        """Release all leases, and stop renewing."""
        self.give_up(list(self._tokens))
        self._stop.set()

    def _try(self, session_id: str, holder: ProcessInfo, token: str, dead: str) -> bool:
        """Write the lease down, unless there is one that is good."""
        values: dict[str, Any] = {
            "token": token,
            "holder": encode(msgspec.to_builtins(holder)).decode(),
            "process": os.getpid(),
            "place": _place(),
            "expires_at": self._database.clock + _LASTS,
        }
        is_free = or_(LEASES.c.expires_at < self._database.clock, LEASES.c.token.in_([token, dead]))
        statement = (
            self._database.insert(LEASES)
            .values(session_id=session_id, **values)
            .on_conflict_do_update(index_elements=["session_id"], set_=values, where=is_free)
            .returning(LEASES.c.token)
        )
        return bool(self._database.write(lambda connection: connection.scalar(statement)) == token)

    def _find(self, session_id: str) -> Any:
        """Return the row of the lease on a session that is good by its time, with the session's name."""
        query = (
            select(LEASES, SESSIONS.c.name)
            .select_from(LEASES.outerjoin(SESSIONS, SESSIONS.c.id == LEASES.c.session_id))
            .where(LEASES.c.session_id == session_id, LEASES.c.expires_at >= self._database.clock)
        )
        return self._database.read(lambda connection: connection.execute(query).one_or_none())

    # Renewing

    def _keep(self, token: str) -> None:
        with self._mutex:
            self._tokens.add(token)
            if self._renewing is None or not self._renewing.is_alive():
                self._stop = Event()
                self._renewing = Thread(
                    target=_renew_for_good, args=(weakref.ref(self), self._stop), name="leases", daemon=True
                )
                self._renewing.start()

    def renew(self) -> bool:
        """Prolong what is held; False, for good, where that is nothing."""
        with self._mutex:
            tokens = list(self._tokens)
            if not tokens:
                self._renewing = None
                return False
        renewal = update(LEASES).where(LEASES.c.token.in_(tokens)).values(expires_at=self._database.clock + _LASTS)
        with suppress(StoreError):  # it may be back before they run out
            self._database.write(lambda connection: connection.execute(renewal), patient=False)
        return True


def _renew_for_good(reference: "weakref.ref[Leases]", stop: Event) -> None:
    while not stop.wait(_RENEWED):
        held = reference()
        if held is None or not held.renew():
            return
        del held


def _delete(database: Database, tokens: set[str]) -> None:
    if tokens:
        statement = delete(LEASES).where(LEASES.c.token.in_(list(tokens)))
        with suppress(StoreError):
            database.write(lambda connection: connection.execute(statement), patient=False)


def _holder_of(row: Any) -> ProcessInfo | None:
    with suppress(msgspec.DecodeError):
        return _DECODE(row.holder)
    return None


def _place() -> str:
    """Return what tells apart machines, their starts, and containers: within it, a process is known by its number."""
    import socket

    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it leads to no file
    return f"{socket.gethostname()} {boot_id()} {namespace}"


def _is_dead(row: Any) -> bool:
    """Say whether a lease is of a process here that has ended; of others it cannot be known."""
    if sys.platform == "win32" or row.place != _place():
        return False
    try:
        os.kill(row.process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
