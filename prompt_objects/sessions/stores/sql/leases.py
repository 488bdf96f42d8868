"""Leases in a database: one row a session, with an expiry time that the holder renews."""

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
from prompt_objects.sessions.info import require_id
from prompt_objects.sessions.stores.errors import busy
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.sessions.stores.sql.database import Database
from prompt_objects.sessions.stores.sql.schema import LEASES, SESSIONS
from prompt_objects.utils.boot import boot_id

_LIFETIME = 30_000  # milliseconds, by the clock of the database
_RENEWAL_INTERVAL = 10.0  # seconds, by our clock
_ATTEMPTS, _PAUSE = 4, 0.005  # for a lease that is released while its holder is read
_DECODE = msgspec.json.Decoder(ProcessInfo).decode


class SqlLease:
    """A lease in a database. If the server is gone on release, the lease expires."""

    def __init__(self, leases: "Leases", token: str) -> None:
        self._leases = leases
        self._token = token

    def release(self) -> None:
        self._leases.release([self._token])


class Leases:
    """The leases in a database; a thread renews those taken here until they are released."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens: set[str] = set()
        self._reset()
        self._closing = weakref.finalize(self, _delete, database, self._tokens)

    def _reset(self) -> None:
        self._mutex = Lock()
        self._stop = Event()
        self._thread: Thread | None = None

    def after_fork(self) -> None:
        """In a forked child, forget the leases of the parent."""
        self._tokens.clear()
        self._reset()

    def acquire(self, session_id: str, holder: ProcessInfo) -> SqlLease:
        """Lock a session. Raises `Busy`, `NotFound` for an invalid id, and `StoreError`."""
        require_id(session_id)
        token, dead_token = secrets.token_hex(16), ""
        for attempt in range(_ATTEMPTS):
            if self._insert(session_id, holder, token, dead_token):
                self._start_renewal(token)
                return SqlLease(self, token)
            row = self._find(session_id)
            if row is None:
                time.sleep(_PAUSE * attempt)
            elif _is_dead(row):
                dead_token = row.token
            else:
                raise busy(session_id, row.name, _holder_of(row))
        raise busy(session_id, None, None)

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return the holder of a session; None if it is free."""
        require_id(session_id)
        row = self._find(session_id)
        return None if row is None or _is_dead(row) else _holder_of(row) or ProcessInfo.unknown()

    def release(self, tokens: list[str]) -> None:
        """Release leases, except those that are not ours any more."""
        with self._mutex:
            ours = self._tokens.intersection(tokens)
            self._tokens -= ours
        _delete(self._database, ours)

    def close(self) -> None:
        """Release all leases, and stop renewing."""
        self.release(list(self._tokens))
        self._stop.set()

    def _insert(self, session_id: str, holder: ProcessInfo, token: str, dead_token: str) -> bool:
        values: dict[str, Any] = {
            "token": token,
            "holder": encode(msgspec.to_builtins(holder)).decode(),
            "process": os.getpid(),
            "place": _place(),
            "expires_at": self._database.clock + _LIFETIME,
        }
        is_free = or_(LEASES.c.expires_at < self._database.clock, LEASES.c.token.in_([token, dead_token]))
        statement = (
            self._database.insert(LEASES)
            .values(session_id=session_id, **values)
            .on_conflict_do_update(index_elements=["session_id"], set_=values, where=is_free)
            .returning(LEASES.c.token)
        )
        return bool(self._database.write(lambda connection: connection.scalar(statement)) == token)

    def _find(self, session_id: str) -> Any:
        """Return the row of the lease on a session that has not expired, with the session's name."""
        query = (
            select(LEASES, SESSIONS.c.name)
            .select_from(LEASES.outerjoin(SESSIONS, SESSIONS.c.id == LEASES.c.session_id))
            .where(LEASES.c.session_id == session_id, LEASES.c.expires_at >= self._database.clock)
        )
        return self._database.read(lambda connection: connection.execute(query).one_or_none())

    def _start_renewal(self, token: str) -> None:
        with self._mutex:
            self._tokens.add(token)
            if self._thread is None or not self._thread.is_alive():
                self._stop = Event()
                self._thread = Thread(
                    target=_renew_forever, args=(weakref.ref(self), self._stop), name="leases", daemon=True
                )
                self._thread.start()

    def renew(self) -> bool:
        """Renew the leases held here; return False, and end the thread, if there are none."""
        with self._mutex:
            tokens = list(self._tokens)
            if not tokens:
                self._thread = None
                return False
        renewal = update(LEASES).where(LEASES.c.token.in_(tokens)).values(expires_at=self._database.clock + _LIFETIME)
        with suppress(StoreError):  # the server may be back before the leases expire
            self._database.write(lambda connection: connection.execute(renewal), patient=False)
        return True


def _renew_forever(reference: "weakref.ref[Leases]", stop: Event) -> None:
    while not stop.wait(_RENEWAL_INTERVAL):
        leases = reference()
        if leases is None or not leases.renew():
            return
        del leases


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
    """Return the machine, its boot and the PID namespace: within these a PID identifies a process."""
    import socket

    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - its target is not a file
    return f"{socket.gethostname()} {boot_id()} {namespace}"


def _is_dead(row: Any) -> bool:
    """Return whether the holder was a process of this machine that has ended."""
    if sys.platform == "win32" or row.place != _place():
        return False
    try:
        os.kill(row.process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
