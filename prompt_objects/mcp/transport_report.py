"""The report of the transport to an MCP server: why the server ended."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_STDERR_BYTES = 4_000
_MAX_REASON = 500
_FRAME = " \t\r|+-│├╰─▶\N{MULTIPLICATION SIGN}"  # around lines of exception groups, and of uv
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_EXCEPTION = re.compile(r"(?:Uncaught )?[\w.]*(?:Error|Exception)\b.{0,80}: \S|(?:panic|fatal error): \S")
# Lines that follow the reason: stack frames, exit codes, versions and advice.
_NOISE = re.compile(
    r"(?i)at \S.*[:)]|File \"|\.\.\. \d+ more|goroutine \d|\S+\(.*\)$|\S+\.go:\d|exit (?:status|code) \d|"
    r"npm (?:err!|error|notice|warn)(?:\s*\d*$| a complete log| \S*\.log| 404 (?:note that|tarball, folder))|"
    r"(?:code|errno|syscall|path|requireStack|spawnargs): |Node\.js v\d|"
    r"note: run with|for more information|hint: |usage: |(?:run|see|try) '.*help|"
    r"During handling of|The above exception|Traceback \("
)


class TransportReport:
    """The report of a transport: why the server ended, and whether a service has forgotten the session.

    `extend_start` is called with the seconds that the user gets for a login.

    As text, it is the last meaningful line of the server's error output, or the status of an error response. This is
    untrusted text.
    """

    def __init__(self) -> None:
        self.is_session_lost = False
        self.extend_start: Callable[[float], None] | None = None
        self._data = b""

    def needs_time(self, seconds: float) -> None:
        if self.extend_start:
            self.extend_start(seconds)

    def add(self, data: bytes) -> None:
        self._data = (self._data + data)[-_MAX_STDERR_BYTES:]

    def __str__(self) -> str:
        text = _ANSI.sub("", self._data.decode(errors="replace"))
        lines = [line.strip(_FRAME) for line in reversed(text.split("\n"))]
        meaningful = [line for line in lines if re.search(r"\w", line) and not _NOISE.match(line)]
        return next(filter(_EXCEPTION.match, meaningful), meaningful[0] if meaningful else "")[:_MAX_REASON]
