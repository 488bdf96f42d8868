"""Who has a session to itself for the length of a turn."""

import os
from datetime import UTC, datetime
from functools import cache

from msgspec import Struct, field

__all__ = [
    "ProcessInfo",
]


class ProcessInfo(Struct, frozen=True, kw_only=True):
    """A user's process on a machine, and since when (UTC) it has the session."""

    user: str
    pid: int = field(name="process")  # as lease files have called it from the beginning
    host: str
    since: datetime

    @classmethod
    def current(cls, user: str | None = None) -> "ProcessInfo":
        """Return this process as a holder from now on; without a `user` it is the one of the operating system."""
        import socket

        return cls(user=user or _login(), pid=os.getpid(), host=socket.gethostname(), since=datetime.now(UTC))

    @property
    def is_current(self) -> bool:
        """Whether it is this very process."""
        import socket

        return (self.pid, self.host) == (os.getpid(), socket.gethostname())

    def __str__(self) -> str:
        since = self.since.astimezone().strftime("%H:%M:%S")
        return f"{self.user} (process {self.pid} on {self.host}, since {since})"


@cache  # it reads a file, and every turn asks
def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a process without an entry in the list of users, as in many containers
        return str(os.getuid()) if hasattr(os, "getuid") else "somebody"
