"""The HTTP connection under the `mcp` package, which trusts no service with its memory.

It is imported where a connection is made, not before: its library takes a while.
"""

from collections.abc import AsyncIterator, Mapping

from httpx2 import AsyncByteStream, AsyncClient, Headers, Response, SSEError, StreamError, Timeout

from prompt_objects.mcp.transport import LastWords

__all__ = ["MOST_BYTES", "open_wire"]

MOST_BYTES = 20_000_000
_CONNECT_SECONDS = 30.0


def open_wire(headers: Mapping[str, str], seconds: float, words: LastWords) -> AsyncClient:
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
