"""The events of an answer: server-sent ones, or the single document of a server that does not stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import NamedTuple

from prompt_objects.llm.answer import Nonsense

__all__ = ["Event", "Patience", "events"]

_MOST_OF_EVENT = 10_000_000  # bytes
_MOST_OF_ANSWER = 100_000_000  # bytes; each word comes wrapped in a few hundred
_LAST_BYTES_SECONDS = 0.1  # for what follows the end of an answer


class Event(NamedTuple):
    """What a server sent at once; `name` is mostly empty."""

    name: str
    data: bytes


class Patience:
    """Bounds a silence to so many seconds; what merely keeps the connection alive does not end one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Begin to wait, for the first or the next event."""
        self._until = asyncio.get_running_loop().time() + self._seconds

    async def with_each(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of a body; raises `TimeoutError`."""
        while True:
            async with asyncio.timeout_at(self._until):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
    """Yield the events in a body until one says that it was the last; raises `Nonsense` where there is too much.

    A body that is a JSON document is one event. Comments, which keep a connection alive, are none.
    """
    name, data, is_document = "", bytearray(), False
    async with aclosing(_lines(chunks)) as lines:
        async for line in lines:
            is_document = is_document or line.lstrip().startswith((b"{", b"["))
            field, _, value = line.rstrip(b"\r\n").partition(b":")
            if is_document:
                data += line
            elif field == b"data":
                data += value.removeprefix(b" ") + b"\n"
            elif field == b"event":
                name = value.strip().decode(errors="replace")
            elif not line.strip():
                if data.startswith(b"[DONE]"):
                    await _drain(lines)
                    return
                if data:
                    yield Event(name, bytes(data))
                name, data = "", bytearray()
            if len(data) > _MOST_OF_EVENT:
                raise Nonsense("sent more at once than any answer holds")
    if data and not data.startswith(b"[DONE]"):
        yield Event(name, bytes(data))


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield lines with their ends."""
    line, total = bytearray(), 0
    async for chunk in chunks:
        total += len(chunk)
        if total > _MOST_OF_ANSWER:
            raise Nonsense("went on for longer than any answer does")
        for piece in chunk.splitlines(keepends=True):
            line += piece
            if len(line) > _MOST_OF_EVENT:
                raise Nonsense("sent more at once than any answer holds")
            if piece.endswith(b"\n"):
                yield bytes(line)
                line.clear()
    if line:
        yield bytes(line)


async def _drain(lines: AsyncIterator[bytes]) -> None:
    """Read to the end, which is mostly there already: only then can the connection be used again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_BYTES_SECONDS):
            async for _ in lines:
                pass
