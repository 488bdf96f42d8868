"""Leases: the exclusive use of a session by one process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Protocol, runtime_checkable

from msgspec import Struct, field

from prompt_objects.sessions.stores.base import Store


class ProcessInfo(Struct, frozen=True, kw_only=True):
    """A process of a user on a host, and since when (UTC) it holds the session."""

    user: str
    pid: int = field(name="process")  # the key in lease files
    host: str
    since: datetime

    @classmethod
    def current(cls, user: str | None = None) -> "ProcessInfo":
        """Return the current process and time; `user` is by default the user of the operating system."""
        import socket

        return cls(user=user or _login(), pid=os.getpid(), host=socket.gethostname(), since=datetime.now(UTC))

    @classmethod
    def unknown(cls) -> "ProcessInfo":
        """Return the holder to report if the real one is not known."""
        return cls(user="another user", pid=0, host="an unknown machine", since=datetime.now(UTC))

    @property
    def is_current(self) -> bool:
        """Whether this is the current process."""
        import socket

        return (self.pid, self.host) == (os.getpid(), socket.gethostname())

    def __str__(self) -> str:
        since = self.since.astimezone().strftime("%H:%M:%S")
        return f"{self.user} (process {self.pid} on {self.host}, since {since})"


@cache  # reads a file, and is called in every turn
def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the user has no entry in the password file, as in many containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


class Lease(Protocol):
    """The exclusive use of a session by one turn, until it is released or its process ends."""

    def release(self) -> None:
        """Release the session; releasing it again does nothing."""


@runtime_checkable
class Leasing(Protocol):
    """A store that can reserve a session for one turn, across processes and machines."""

    def lease(self, session_id: str, holder: ProcessInfo) -> Lease:
        """Take the lease of a session, which need not exist yet. A dead holder has no lease.

        Raises `Busy` if another lease exists, in any process or on any machine.
        """

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return the current holder of the lease, if there is one."""


class _NoLease:
    def release(self) -> None:
        pass


def take_lease(store: Store, session_id: str, holder: ProcessInfo) -> Lease:
    """Take the lease of a session; a store without leases always allows it. Raises `Busy`."""
    return store.lease(session_id, holder) if isinstance(store, Leasing) else _NoLease()


@contextmanager
def leased(store: Store, session_id: str, user_id: str | None = None) -> Iterator[None]:
    """Hold the lease of a session for a block. Raises `Busy`."""
    lease = take_lease(store, session_id, ProcessInfo.current(user_id))
    try:
        yield
    finally:
        lease.release()


def lease_holder(store: Store, session_id: str) -> ProcessInfo | None:
    """Return the current holder of a session's lease, if there is one and the store has leases."""
    return store.holder(session_id) if isinstance(store, Leasing) else None
