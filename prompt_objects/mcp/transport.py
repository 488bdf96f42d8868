"""How an MCP server is reached: a supervised subprocess, or HTTP."""

import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from httpx2 import AsyncByteStream, AsyncClient, Headers, Response, SSEError, StreamError, Timeout

from prompt_objects.config.environment_schema import ServerConfig

__all__ = [
    "MOST_BYTES",
    "StderrTail",
    "connect",
    "open_client",
]

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_MOST_BYTES = 4_000
_SILENCE_SECONDS = 300.0


class StderrTail:
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
async def connect(
    server: ServerConfig, folder: Path, words: StderrTail, on_end: Callable[[], None]
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
    server: ServerConfig, folder: Path, words: StderrTail, on_end: Callable[[], None]
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


def _listen(reading: int, words: StderrTail, on_end: Callable[[], None]) -> None:
    """Read a program's complaints to their end, which is its own and that of all that it started."""
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while said := stream.read(4096):
            words.add(said)
    on_end()


@asynccontextmanager
async def _service(server: ServerConfig, words: StderrTail) -> AsyncIterator[Any]:
    from mcp.client.streamable_http import streamable_http_client

    async with (
        open_client(server.headers, max(_SILENCE_SECONDS, server.timeout), words) as client,
        streamable_http_client(server.url or "", http_client=client, max_sse_event_size=MOST_BYTES) as streams,
    ):
        yield streams


MOST_BYTES = 20_000_000
_CONNECT_SECONDS = 30.0


def open_client(headers: Mapping[str, str], seconds: float, words: StderrTail) -> AsyncClient:
    """Get ready to connect; a service may be silent for some `seconds`. What it refuses with is left in `words`."""

    async def look(response: Response) -> None:
        if response.is_error:
            words.add(f"\nit answered {response.status_code} {response.reason_phrase}".encode())
        response.stream = _Bounded(response)

    given = Headers(dict(headers))
    given["Accept-Encoding"] = "identity"  # a few compressed bytes can be gigabytes
    timeout = Timeout(_CONNECT_SECONDS, read=seconds)
    return AsyncClient(headers=given, timeout=timeout, event_hooks={"response": [look]})


class _Bounded(AsyncByteStream):
    """The body of an answer. Raises what the package tells on in words where it is compressed, or too long."""

    def __init__(self, response: Response) -> None:
        stream = response.stream
        assert isinstance(stream, AsyncByteStream)  # noqa: S101 - it comes from an asynchronous client
        is_stream = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        self._stream = stream
        self._error = SSEError if is_stream else StreamError
        self._is_compressed = response.headers.get("content-encoding", "identity") not in {"", "identity"}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._is_compressed:
            raise self._error("the answer is compressed, which it was asked not to be")
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MOST_BYTES:
                raise self._error(f"the answer has more than {MOST_BYTES // 1_000_000} MB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
