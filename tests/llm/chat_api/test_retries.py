"""Failed requests: which are retried, and when."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from email.utils import formatdate
from typing import Any

import pytest

from prompt_objects.errors import BrokenStream, LLMError, RateLimited, ServerFailed, Unreachable
from prompt_objects.llm.base import Completion, Request, RequestSent, RetryScheduled, TextChunk
from prompt_objects.llm.chat_api.client import OpenAILLM
from prompt_objects.llm.chat_api.retries import MAX_RETRY_DELAY, retry_delay
from tests.support.openai_server import OpenAIServer, chunk, error, hang, status, stream, text

HELLO = Request([{"role": "user", "content": "Hello"}])


@pytest.fixture
async def llm(openai_server: OpenAIServer) -> AsyncIterator[OpenAILLM]:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=2)
    yield llm
    await llm.close()


async def stream_parts(
    llm: OpenAILLM, parts: list[TextChunk | RetryScheduled | Completion] | None = None
) -> list[Any]:
    """Return the parts of the stream; those before an error are in `parts`."""
    parts = [] if parts is None else parts
    async for part in llm.stream(HELLO):
        if not isinstance(part, RequestSent):
            parts.append(part)
    return parts


def test_retry_delays_double_and_are_random() -> None:
    failed = ServerFailed("No.")
    for retry, minimum in ((0, 0.5), (1, 1), (2, 2)):
        pauses = {retry_delay(failed, retry) for _ in range(50)}
        assert len(pauses) > 10
        assert all(pause is not None and minimum <= pause <= 1.25 * minimum for pause in pauses)
    assert retry_delay(failed, 60) == MAX_RETRY_DELAY


@pytest.mark.parametrize(
    ("headers", "minimum"),
    [
        ({"retry_after": "0.2"}, 0.2),
        ({"retry_after_ms": "200"}, 0.2),
        ({"retry_after_ms": "200", "retry_after": "20"}, 0.2),
        ({"retry_after": "soon"}, 0.5),
        ({}, 0.5),
    ],
    ids=["seconds", "milliseconds", "both", "nonsense", "nothing"],
)
@pytest.mark.parametrize("code", [429, 503, 408, 409])
async def test_the_delay_that_a_server_requires_is_kept_and_reported(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int, headers: dict[str, str], minimum: float
) -> None:
    openai_server.script(status(code, **headers), text("Now."))
    start = time.monotonic()
    waiting, *texts, _ = await stream_parts(llm)
    assert time.monotonic() - start >= minimum
    assert isinstance(waiting, RetryScheduled)
    assert minimum <= waiting.seconds <= 1.25 * minimum
    assert texts == [TextChunk("Now.")]


async def test_retry_after_may_be_a_date(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(503, retry_after=formatdate(time.time() + 20, usegmt=True)))
    async with aclosing(llm.stream(HELLO)) as parts:
        await anext(parts)
        waiting = await anext(parts)
    assert isinstance(waiting, RetryScheduled)
    assert 18 < waiting.seconds <= 25


async def test_a_delay_over_the_maximum_is_an_error_immediately(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(503, retry_after="31"))
    with pytest.raises(ServerFailed):
        await stream_parts(llm)
    assert len(openai_server.received) == 1


async def test_cancelling_ends_the_delay_immediately(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after="20"))
    task = asyncio.create_task(stream_parts(llm))
    await asyncio.to_thread(openai_server.asked.wait, 5)
    await asyncio.sleep(0.1)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - start < 5


async def test_the_number_of_attempts_is_limited_and_the_last_error_is_raised(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(*(status(429, retry_after="0.01") for _ in range(3)), status(500, retry_after="0.01"))
    parts: list[TextChunk | RetryScheduled | Completion] = []
    with pytest.raises(ServerFailed):
        await stream_parts(llm, parts)
    assert [type(part.error) for part in parts if isinstance(part, RetryScheduled)] == [RateLimited] * 3
    assert len(openai_server.received) == 4


async def test_an_error_inside_the_stream_before_any_text_is_retried(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(stream({"error": {"message": "overloaded"}}), text("Here."))
    assert isinstance((await stream_parts(llm))[0], RetryScheduled)


async def test_a_request_is_not_retried_after_the_first_text(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": "Half"}), {"error": {"message": "overloaded"}}), text("Never."))
    with pytest.raises(ServerFailed):
        await stream_parts(llm)
    assert len(openai_server.received) == 1


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 413, 422])
async def test_a_permanent_error_is_not_retried(openai_server: OpenAIServer, llm: OpenAILLM, code: int) -> None:
    openai_server.script(error(code, "No."), text("Never."))
    with pytest.raises(LLMError):
        await stream_parts(llm)
    assert sum(received.path.endswith("completions") for received in openai_server.received) == 1


async def test_a_server_can_forbid_retries(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(500, x_should_retry="false"), text("Never."))
    with pytest.raises(ServerFailed):
        await stream_parts(llm)
    assert len(openai_server.received) == 1


async def test_an_incomplete_response_is_not_retried(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": ""})), text("Never."))
    with pytest.raises(BrokenStream):
        await stream_parts(llm)
    assert len(openai_server.received) == 1


async def test_a_dropped_connection_is_retried(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(hang(0), text("Here."))
    waiting, *_ = await stream_parts(llm)
    assert isinstance(waiting, RetryScheduled)
    assert isinstance(waiting.error, Unreachable)


async def test_a_timeout_is_not_retried(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.2)
    openai_server.script(hang(), text("Never."))
    with pytest.raises(Unreachable, match="the response timed out"):
        await stream_parts(llm)
    assert len(openai_server.received) == 1
    await llm.close()
