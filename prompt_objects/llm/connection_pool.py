"""Connections in lanes: several small pools, where one would look at all of its connections for every request."""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack

import httpx2

__all__ = [
    "ShardedPool",
]

_MAX_IN_FLIGHT = 8  # in a lane
_KEEP_SECONDS = 5.0  # so long a pool keeps a connection, too


class ShardedPool(httpx2.AsyncBaseTransport):
    """Sends each request by the first of several pools that has few under way; `open_pool` makes another.

    Whenever a request begins or ends, a pool asks the system about each connection that is idle: with fifty at once
    that takes half as long again as to send them.
    """

    def __init__(self, open_pool: Callable[[], httpx2.AsyncBaseTransport]) -> None:
        self._open_pool = open_pool
        self._shards: list[_Shard] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; its lane is free for another when the response is closed."""
        await self._close_idle()
        lane = next((lane for lane in self._shards if lane.in_flight < _MAX_IN_FLIGHT), None)
        if lane is None:
            lane = _Shard(self._open_pool())
            self._shards.append(lane)
        return await lane.send(request)

    async def aclose(self) -> None:
        """Close all connections."""
        lanes, self._shards = self._shards, []
        await _close(lanes)

    async def _close_idle(self) -> None:
        """Close the lanes that nobody needed for a while: a pool itself does so only when it is used again."""
        idle = [lane for lane in self._shards[1:] if lane.idle_seconds > _KEEP_SECONDS]
        self._shards = [lane for lane in self._shards if lane not in idle]
        await _close(idle)


class _Shard:
    def __init__(self, pool: httpx2.AsyncBaseTransport) -> None:
        self.pool = pool
        self.in_flight = 0
        self._idle_since = 0.0

    @property
    def idle_seconds(self) -> float:
        return 0.0 if self.in_flight else time.monotonic() - self._idle_since

    def free(self) -> None:
        self.in_flight -= 1
        self._idle_since = time.monotonic()

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        self.in_flight += 1
        try:
            response = await self.pool.handle_async_request(request)
        except BaseException:
            self.free()
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous pool
        response.stream = _Body(response.stream, self)
        return response


class _Body(httpx2.AsyncByteStream):
    """The body of a response, under way in a lane until it is closed."""

    def __init__(self, stream: httpx2.AsyncByteStream, lane: _Shard) -> None:
        self._stream = stream
        self._lane: _Shard | None = lane

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        lane, self._lane = self._lane, None
        try:
            await self._stream.aclose()
        finally:
            if lane is not None:
                lane.free()


async def _close(lanes: Iterable[_Shard]) -> None:
    """Close them all, also where one fails at it."""
    async with AsyncExitStack() as stack:
        for lane in lanes:
            stack.push_async_callback(lane.pool.aclose)
