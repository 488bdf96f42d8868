"""A connection pool in shards: many small pools, because one pool checks all of its connections for every request."""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack

import httpx2

_MAX_IN_FLIGHT = 8  # in a shard
_KEEPALIVE_SECONDS = 5.0  # as long as a pool keeps idle connections


class ShardedPool(httpx2.AsyncBaseTransport):
    """Sends each request through the first pool with fewer than 8 requests in flight; `open_pool` creates more pools.

    Whenever a request begins or ends, a pool checks each of its idle connections with a system call. With fifty
    concurrent requests in one pool, these checks take a large part of the time.
    """

    def __init__(self, open_pool: Callable[[], httpx2.AsyncBaseTransport]) -> None:
        self._open_pool = open_pool
        self._shards: list[_Shard] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await self._close_idle()
        shard = next((shard for shard in self._shards if shard.in_flight < _MAX_IN_FLIGHT), None)
        if shard is None:
            shard = _Shard(self._open_pool())
            self._shards.append(shard)
        return await shard.send(request)

    async def aclose(self) -> None:
        shards, self._shards = self._shards, []
        await _close(shards)

    async def _close_idle(self) -> None:
        """Close the shards that are idle: a pool closes idle connections only when it is used again."""
        idle = [shard for shard in self._shards[1:] if shard.idle_seconds > _KEEPALIVE_SECONDS]
        self._shards = [shard for shard in self._shards if shard not in idle]
        await _close(idle)


class _Shard:
    def __init__(self, pool: httpx2.AsyncBaseTransport) -> None:
        self.pool = pool
        self.in_flight = 0
        self._idle_since = 0.0

    @property
    def idle_seconds(self) -> float:
        return 0.0 if self.in_flight else time.monotonic() - self._idle_since

    def release(self) -> None:
        self.in_flight -= 1
        self._idle_since = time.monotonic()

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        self.in_flight += 1
        try:
            response = await self.pool.handle_async_request(request)
        except BaseException:
            self.release()
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous pool
        response.stream = _Body(response.stream, self)
        return response


class _Body(httpx2.AsyncByteStream):
    """The body of a response, which counts as in flight until it is closed."""

    def __init__(self, stream: httpx2.AsyncByteStream, shard: _Shard) -> None:
        self._stream = stream
        self._shard: _Shard | None = shard

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        shard, self._shard = self._shard, None
        try:
            await self._stream.aclose()
        finally:
            if shard is not None:
                shard.release()


async def _close(shards: Iterable[_Shard]) -> None:
    """Close all pools, even if closing one of them fails."""
    async with AsyncExitStack() as stack:
        for shard in shards:
            stack.push_async_callback(shard.pool.aclose)
