"""The ways to an MCP server: a program's standard input and output, or streamable HTTP."""

import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from prompt_objects.config_file import ServerConfig

__all__ = ["LastWords", "reach"]

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_MOST_BYTES = 4_000
_SILENCE_SECONDS = 300.0


class LastWords:
    """What a server complained of last, for the person to read; hostile like all that comes from it."""

    def __init__(self) -> None:
        self._said = b""

    def add(self, said: bytes) -> None:
        """Take what was said; only the end is kept."""
        self._said = (self._said + said)[-_MOST_BYTES:]

    def __str__(self) -> str:
        """Return the last line that is not empty."""
        lines = self._said.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:500]


@asynccontextmanager
async def reach(
    server: ServerConfig, folder: Path, words: LastWords, on_end: Callable[[], None]
) -> AsyncIterator[Any]:
    """Connect to a server whose variables are filled in; a program is started in `folder`, and ended at the end.

    `on_end` is called, in whatever thread, when a program has ended, whoever ended it.
    """
    if server.url is not None:
        async with _service(server, words) as streams:
            yield streams
    else:
        async with _program(server, folder, words, on_end) as streams:
            yield streams


@asynccontextmanager
async def _program(
    server: ServerConfig, folder: Path, words: LastWords, on_end: Callable[[], None]
) -> AsyncIterator[Any]:
    from mcp import StdioServerParameters, stdio_client

    command = [server.command or "", *server.args]
    if sys.platform != "win32":  # there, whatever a program starts ends with this one as it is
        command = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), *command]
    parameters = StdioServerParameters(
        command=command[0], args=command[1:], env=server.env, cwd=folder, encoding_error_handler="replace"
    )
    reading, writing = os.pipe()
    threading.Thread(target=_listen, args=(reading, words, on_end), name="MCP errors", daemon=True).start()
    async with AsyncExitStack() as stack:
        with os.fdopen(writing, "w") as errors:
            streams = await stack.enter_async_context(stdio_client(parameters, errlog=errors))
        yield streams


def _listen(reading: int, words: LastWords, on_end: Callable[[], None]) -> None:
    """Read a program's complaints to their end, which is its own and that of all that it started."""
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while said := stream.read(4096):
            words.add(said)
    on_end()


@asynccontextmanager
async def _service(server: ServerConfig, words: LastWords) -> AsyncIterator[Any]:
    from mcp.client.streamable_http import streamable_http_client

    from prompt_objects.mcp.wire import MOST_BYTES, open_wire

    async with (
        open_wire(server.headers, max(_SILENCE_SECONDS, server.timeout), words) as client,
        streamable_http_client(server.url or "", http_client=client, max_sse_event_size=MOST_BYTES) as streams,
    ):
        yield streams
