"""The transport to an MCP server that is a service at a URL: streamable HTTP, with bounds on its responses."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from httpx2 import AsyncByteStream, AsyncClient, Headers, Response, SSEError, StreamError, Timeout

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.mcp.login import Login
from prompt_objects.mcp.transport_report import TransportReport

_MAX_SILENCE_SECONDS = 300.0
_MAX_RESPONSE_BYTES = 20_000_000
_CONNECT_SECONDS = 30.0
_BAD_REQUEST, _NOT_FOUND, _METHOD_NOT_FOUND = 400, 404, -32601
_SESSION_HEADER = "mcp-session-id"
_STREAM_TYPE = "text/event-stream"  # which the requests to a service accept, but not those of a login
_SESSION_WORDS = re.compile(r"(?i)\bsession\b|not (?:been )?initialized|initialize first")


@asynccontextmanager
async def connect_to_service(
    server: ServerConfig, report: TransportReport, notify: Callable[[str], None] | None
) -> AsyncIterator[Any]:
    """Connect to a service and yield the streams; `notify` shows the address of its login, None without a user."""
    from mcp.client.streamable_http import streamable_http_client

    has_key = any(name.lower() == "authorization" for name in server.headers)
    login = None if has_key else Login(server.url or "", notify, report.needs_time)
    async with (
        _open_client(server.headers, max(_MAX_SILENCE_SECONDS, server.timeout), report, login) as client,
        streamable_http_client(
            server.url or "", http_client=client, max_sse_event_size=_MAX_RESPONSE_BYTES
        ) as streams,
    ):
        yield streams


def _open_client(
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
            if size > _MAX_RESPONSE_BYTES:
                raise self._error(f"the response has more than {_MAX_RESPONSE_BYTES // 1_000_000} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
