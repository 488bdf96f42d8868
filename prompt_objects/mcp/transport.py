"""Transports to MCP servers: a supervised subprocess, or HTTP."""

import asyncio
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from httpx2 import AsyncByteStream, AsyncClient, Headers, Response, SSEError, StreamError, Timeout

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.mcp.login import Login

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_MAX_STDERR_BYTES = 4_000
_MAX_REASON = 500
_STDERR_SECONDS = 0.5  # to read the last output of a program that has ended
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
_MAX_SILENCE_SECONDS = 300.0


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


def connect(
    server: ServerConfig,
    folder: Path,
    report: TransportReport,
    on_end: Callable[[], None],
    notify: Callable[[str], None] | None = None,
) -> AbstractAsyncContextManager[Any]:
    """Connect to a server; start a program in `folder`, and call `on_end`, in any thread, when it ended.

    `notify` shows the address of a service's login to the user; None if there is no user.
    """
    return _program(server, folder, report, on_end) if server.url is None else _service(server, report, notify)


@asynccontextmanager
async def _program(
    server: ServerConfig, folder: Path, report: TransportReport, on_end: Callable[[], None]
) -> AsyncIterator[Any]:
    from mcp import StdioServerParameters, stdio_client

    command = [server.command or "", *server.args]
    if sys.platform != "win32":  # Windows ends the child processes with this program anyway
        command = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), *command]
    parameters = StdioServerParameters(
        command=command[0], args=command[1:], env=server.env, cwd=folder, encoding_error_handler="replace"
    )
    reading, writing = os.pipe()
    reader = threading.Thread(target=_read_stderr, args=(reading, report, on_end), name="MCP errors", daemon=True)
    reader.start()
    try:
        async with AsyncExitStack() as stack:
            with os.fdopen(writing, "w") as errors:
                streams = await stack.enter_async_context(stdio_client(parameters, errlog=errors))
            yield streams
    finally:
        await asyncio.to_thread(reader.join, _STDERR_SECONDS)


def _read_stderr(reading: int, report: TransportReport, on_end: Callable[[], None]) -> None:
    """Read until the pipe closes, which is when the program and all its child processes have ended."""
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while data := stream.read(4096):
            report.add(data)
    on_end()


@asynccontextmanager
async def _service(
    server: ServerConfig, report: TransportReport, notify: Callable[[str], None] | None
) -> AsyncIterator[Any]:
    from mcp.client.streamable_http import streamable_http_client

    has_key = any(name.lower() == "authorization" for name in server.headers)
    login = None if has_key else Login(server.url or "", notify, report.needs_time)
    async with (
        open_client(server.headers, max(_MAX_SILENCE_SECONDS, server.timeout), report, login) as client,
        streamable_http_client(
            server.url or "", http_client=client, max_sse_event_size=MAX_RESPONSE_BYTES
        ) as streams,
    ):
        yield streams


MAX_RESPONSE_BYTES = 20_000_000
_CONNECT_SECONDS = 30.0
_BAD_REQUEST, _NOT_FOUND, _METHOD_NOT_FOUND = 400, 404, -32601
_SESSION_HEADER = "mcp-session-id"
_STREAM_TYPE = "text/event-stream"  # which the requests to a service accept, but not those of a login
_SESSION_WORDS = re.compile(r"(?i)\bsession\b|not (?:been )?initialized|initialize first")


def open_client(
    headers: Mapping[str, str], seconds: float, report: TransportReport, login: Login | None = None
) -> AsyncClient:
    """Return a client with a read timeout of `seconds`; error statuses of the service are added to `report`."""

    async def check_response(response: Response) -> None:
        response.stream = _LimitedStream(response)
        is_of_login = _STREAM_TYPE not in response.request.headers.get("accept", "")
        if response.is_error and not is_of_login:
            report.add(f"\nit responded with {response.status_code} {response.reason_phrase}".encode())
            report.is_session_lost = report.is_session_lost or await _has_lost_session(response)

    given = Headers(dict(headers))
    given["Accept-Encoding"] = "identity"  # a few compressed bytes may expand to gigabytes
    timeout = Timeout(_CONNECT_SECONDS, read=seconds)
    auth = login.auth() if login else None
    return AsyncClient(headers=given, auth=auth, timeout=timeout, event_hooks={"response": [check_response]})


async def _has_lost_session(response: Response) -> bool:
    """Return whether a response says that the session of its request is unknown, as after a restart.

    The protocol requires status 404; older servers on the official packages send 400, with the cause in the body.
    """
    if response.request.method != "POST" or _SESSION_HEADER not in response.request.headers:
        return False
    if response.status_code not in {_BAD_REQUEST, _NOT_FOUND}:
        return False
    body = (await response.aread()).decode(errors="replace")
    if response.status_code == _NOT_FOUND:
        return f'"code":{_METHOD_NOT_FOUND}' not in body.replace(" ", "")
    return bool(_SESSION_WORDS.search(body))


class _LimitedStream(AsyncByteStream):
    """A response body of limited size. Raises errors whose text the `mcp` package passes on."""

    def __init__(self, response: Response) -> None:
        stream = response.stream
        assert isinstance(stream, AsyncByteStream)  # noqa: S101 - the client is asynchronous
        is_stream = response.headers.get("content-type", "").lower().startswith(_STREAM_TYPE)
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
