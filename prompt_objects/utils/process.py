"""Identifies a process and its user, as the holder of a session's lease."""

import os
from datetime import UTC, datetime
from functools import cache

from msgspec import Struct, field


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
