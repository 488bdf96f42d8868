"""A sharded pool: few requests per pool, any number of pools, and every place is released."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from prompt_objects.llm.base import Request
from prompt_objects.llm.chat_api.client import OpenAILLM
from prompt_objects.llm.chat_api.connection_pool import ShardedPool
from tests.support.openai_server import OpenAIServer, text

REQUEST = httpx2.Request("GET", "http://127.0.0.1/")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


class Body(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"Hello"


class Pool(httpx2.AsyncBaseTransport):
    """Responds to each request, or raises an error while `fails`."""

    fails = False

    def __init__(self) -> None:
        self.requests = 0
        self.is_closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if Pool.fails:
            raise httpx2.ConnectError("refused")
        self.requests += 1
        return httpx2.Response(200, stream=Body())

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.fixture
def pools() -> list[Pool]:
    return []


@pytest.fixture
def sharded(pools: list[Pool]) -> ShardedPool:
    def open_pool() -> Pool:
        pools.append(Pool())
        return pools[-1]

    return ShardedPool(open_pool)


async def test_another_pool_is_opened_only_if_all_are_busy(sharded: ShardedPool, pools: list[Pool]) -> None:
    responses = [await sharded.handle_async_request(REQUEST) for _ in range(20)]
    assert [pool.requests for pool in pools] == [8, 8, 4]
    assert [chunk async for chunk in responses[0].aiter_raw()] == [b"Hello"]
    for response in responses:
        await response.aclose()
        await response.aclose()
    for _ in range(8):
        await sharded.handle_async_request(REQUEST)
    assert [pool.requests for pool in pools] == [16, 8, 4]
    await sharded.aclose()
    assert all(pool.is_closed for pool in pools)


async def test_an_idle_shard_is_closed(
    sharded: ShardedPool, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_objects.llm.chat_api.connection_pool._KEEPALIVE_SECONDS", 0.05)
    responses = [await sharded.handle_async_request(REQUEST) for _ in range(17)]
    for response in responses[:16]:
        await response.aclose()
    await asyncio.sleep(0.06)
    await sharded.handle_async_request(REQUEST)
    assert [pool.is_closed for pool in pools] == [False, True, False]


async def test_a_failed_request_releases_its_place(
    sharded: ShardedPool, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pool, "fails", True)
    for _ in range(20):
        with pytest.raises(httpx2.ConnectError):
            await sharded.handle_async_request(REQUEST)
    assert len(pools) == 1


async def test_concurrent_requests_reuse_connections(server: OpenAIServer) -> None:
    llm = OpenAILLM("m", base_url=server.base_url)

    async def send() -> None:
        async for _ in llm.stream(Request([{"role": "user", "content": "Hello"}])):
            pass

    for _ in range(2):
        server.script(*[text("Hi")] * 20)
        await asyncio.gather(*(send() for _ in range(20)))
    assert len({received.client for received in server.received}) <= 20
    await llm.close()
