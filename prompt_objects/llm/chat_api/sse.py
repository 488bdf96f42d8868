"""Server-sent events of a response, or the single document of a server that does not stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from typing import NamedTuple

from prompt_objects.llm.chat_api.response import MalformedResponse

_DONE = b"[DONE]"
_MAX_EVENT = 4_000_000  # bytes; a longer one would take a noticeable time to decode
_MAX_RESPONSE = 100_000_000  # bytes; each token comes with a few hundred
TRAILING_DATA_SECONDS = 0.1  # for data after the end of a response


class ServerSentEvent(NamedTuple):
    """A server-sent event; `name` is mostly empty."""

    name: str
    data: bytes


class IdleTimeout:
    """Limits the time without an event; keep-alive comments do not extend it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        self._until = asyncio.get_running_loop().time() + self._seconds

    def limit(self, seconds: float) -> None:
        """End the time after `seconds` at the latest, however many events come."""
        self._until = min(self._until, asyncio.get_running_loop().time() + seconds)

    async def iterate(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of a body; raises `TimeoutError`."""
        while True:
            async with asyncio.timeout_at(self._until):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk


class SSEDecoder:
    """Decodes the events of a body incrementally; a body that is a JSON document is one event.

    `is_done` becomes true at `[DONE]`; `is_document` is true for a JSON document. Raises `MalformedResponse` if there
    is too much data.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._total = 0
        self._line = bytearray()  # an unfinished line
        self._name = ""
        self._data = bytearray()
        self.is_document = False

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that end in a chunk."""
        self._total += len(chunk)
        if self._total > _MAX_RESPONSE:
            raise MalformedResponse("sent a response that is too long")
        for part in chunk.splitlines(keepends=True):
            self._line += part
            if len(self._line) + len(self._data) > _MAX_EVENT:
                raise MalformedResponse("sent an event that is too large")
            if part.endswith(b"\n"):
                event = self._take_line()
                if event:
                    yield event
                if self.is_done:
                    return

    def end(self) -> Iterator[ServerSentEvent]:
        """Yield the unfinished event at the end of the body."""
        event = (self._take_line() if self._line else None) or self._take_event()
        if event:
            yield event

    def _take_line(self) -> ServerSentEvent | None:
        line = bytes(self._line)
        self._line.clear()
        self.is_document = self.is_document or line.lstrip().startswith((b"{", b"["))
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        if self.is_document:
            self._data += line
        elif field == b"data":
            self._data += value.removeprefix(b" ") + b"\n"
        elif field == b"event":
            self._name = value.strip().decode(errors="replace")
        elif not line.strip():
            return self._take_event()
        return None

    def _take_event(self) -> ServerSentEvent | None:
        name, data = self._name, bytes(self._data)
        self._name = ""
        self._data.clear()
        self.is_done = data.startswith(_DONE)
        return ServerSentEvent(name, data) if data and not self.is_done else None


async def read_to_end(chunks: AsyncIterator[bytes]) -> None:
    """Read the data after the end of a response, so that its connection can be used again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(TRAILING_DATA_SECONDS):
            async for _ in chunks:
                pass
