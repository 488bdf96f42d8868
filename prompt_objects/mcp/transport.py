"""Transports to MCP servers: a supervised subprocess, or HTTP."""

import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from httpx2 import AsyncByteStream, AsyncClient, Headers, Response, SSEError, StreamError, Timeout

from prompt_objects.config.environment_schema import ServerConfig

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_MAX_STDERR_BYTES = 4_000
_MAX_SILENCE_SECONDS = 300.0


class StderrTail:
    """The end of a server's error output, to show to the user; it is untrusted text."""

    def __init__(self) -> None:
        self._data = b""

    def add(self, data: bytes) -> None:
        self._data = (self._data + data)[-_MAX_STDERR_BYTES:]

    def __str__(self) -> str:
        lines = self._data.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:500]


def connect(
    server: ServerConfig, folder: Path, stderr: StderrTail, on_end: Callable[[], None]
) -> AbstractAsyncContextManager[Any]:
    """Connect to a server; start a program in `folder`, and call `on_end`, in any thread, when it ended."""
    return _program(server, folder, stderr, on_end) if server.url is None else _service(server, stderr)


@asynccontextmanager
async def _program(
    server: ServerConfig, folder: Path, stderr: StderrTail, on_end: Callable[[], None]
) -> AsyncIterator[Any]:
    from mcp import StdioServerParameters, stdio_client

    command = [server.command or "", *server.args]
    if sys.platform != "win32":  # Windows ends the child processes with this program anyway
        command = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), *command]
    parameters = StdioServerParameters(
        command=command[0], args=command[1:], env=server.env, cwd=folder, encoding_error_handler="replace"
    )
    reading, writing = os.pipe()
    threading.Thread(target=_read_stderr, args=(reading, stderr, on_end), name="MCP errors", daemon=True).start()
    async with AsyncExitStack() as stack:
        with os.fdopen(writing, "w") as errors:
            streams = await stack.enter_async_context(stdio_client(parameters, errlog=errors))
        yield streams


def _read_stderr(reading: int, stderr: StderrTail, on_end: Callable[[], None]) -> None:
    """Read until the pipe closes, which is when the program and all its child processes have ended."""
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while data := stream.read(4096):
            stderr.add(data)
    on_end()


@asynccontextmanager
async def _service(server: ServerConfig, stderr: StderrTail) -> AsyncIterator[Any]:
    from mcp.client.streamable_http import streamable_http_client

    async with (
        open_client(server.headers, max(_MAX_SILENCE_SECONDS, server.timeout), stderr) as client,
        streamable_http_client(
            server.url or "", http_client=client, max_sse_event_size=MAX_RESPONSE_BYTES
        ) as streams,
    ):
        yield streams


MAX_RESPONSE_BYTES = 20_000_000
_CONNECT_SECONDS = 30.0


def open_client(headers: Mapping[str, str], seconds: float, stderr: StderrTail) -> AsyncClient:
    """Return a client with a read timeout of `seconds`; error statuses are added to `stderr`."""

    async def check_response(response: Response) -> None:
        if response.is_error:
            stderr.add(f"\nit responded with {response.status_code} {response.reason_phrase}".encode())
        response.stream = _LimitedStream(response)

    given = Headers(dict(headers))
    given["Accept-Encoding"] = "identity"  # a few compressed bytes may expand to gigabytes
    timeout = Timeout(_CONNECT_SECONDS, read=seconds)
    return AsyncClient(headers=given, timeout=timeout, event_hooks={"response": [check_response]})


class _LimitedStream(AsyncByteStream):
    """A response body of limited size. Raises errors whose text the `mcp` package passes on."""

    def __init__(self, response: Response) -> None:
        stream = response.stream
        assert isinstance(stream, AsyncByteStream)  # noqa: S101 - the client is asynchronous
        is_stream = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        self._stream = stream
        self._error = SSEError if is_stream else StreamError
        self._is_compressed = response.headers.get("content-encoding", "identity") not in {"", "identity"}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._is_compressed:
            raise self._error("the response is compressed, although this was not requested")
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                raise self._error(f"the response has more than {MAX_RESPONSE_BYTES // 1_000_000} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
