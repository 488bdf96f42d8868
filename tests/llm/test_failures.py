"""Requests that were refused: which are sent again, when, and who hears of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from email.utils import formatdate
from typing import Any

import pytest

from prompt_objects.errors import BrokenStream, LLMError, RateLimited, ServerFailed, Unreachable
from prompt_objects.llm.base import Completion, Request, RetryScheduled, TextChunk
from prompt_objects.llm.failures import MAX_RETRY_DELAY, retry_delay
from prompt_objects.llm.openai import OpenAILLM
from tests.support.openai_server import OpenAIServer, chunk, error, hang, status, stream, text

HELLO = Request([{"role": "user", "content": "Hello"}])


@pytest.fixture
async def llm(openai_server: OpenAIServer) -> AsyncIterator[OpenAILLM]:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=2)
    yield llm
    await llm.close()


async def heard(llm: OpenAILLM, parts: list[TextChunk | RetryScheduled | Completion] | None = None) -> list[Any]:
    """Return what comes; before an error, it is in `parts`."""
    parts = [] if parts is None else parts
    async for part in llm.stream(HELLO):
        parts.append(part)
    return parts


def test_pauses_double_and_are_never_the_same_for_all() -> None:
    failed = ServerFailed("No.")
    for retry, least in ((0, 0.5), (1, 1), (2, 2)):
        pauses = {retry_delay(failed, retry) for _ in range(50)}
        assert len(pauses) > 10
        assert all(pause is not None and least <= pause <= 1.25 * least for pause in pauses)
    assert retry_delay(failed, 60) == MAX_RETRY_DELAY


@pytest.mark.parametrize(
    ("headers", "least"),
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
async def test_what_the_server_asks_for_is_obeyed_and_told(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int, headers: dict[str, str], least: float
) -> None:
    openai_server.script(status(code, **headers), text("Now."))
    start = time.monotonic()
    waiting, *said, _ = await heard(llm)
    assert time.monotonic() - start >= least
    assert isinstance(waiting, RetryScheduled)
    assert least <= waiting.seconds <= 1.25 * least
    assert said == [TextChunk("Now.")]


async def test_a_date_is_waited_for(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(503, retry_after=formatdate(time.time() + 20, usegmt=True)))
    async with aclosing(llm.stream(HELLO)) as parts:
        waiting = await anext(parts)
    assert isinstance(waiting, RetryScheduled)
    assert 18 < waiting.seconds <= 25


async def test_a_longer_wait_than_anybody_wants_is_an_error_at_once(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(status(503, retry_after="31"))
    with pytest.raises(ServerFailed):
        await heard(llm)
    assert len(openai_server.received) == 1


async def test_a_wait_ends_at_once_when_it_is_cancelled(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after="20"))
    task = asyncio.create_task(heard(llm))
    await asyncio.to_thread(openai_server.asked.wait, 5)
    await asyncio.sleep(0.1)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - start < 5


async def test_attempts_are_bounded_and_the_last_error_is_raised(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(*(status(429, retry_after="0.01") for _ in range(3)), status(500, retry_after="0.01"))
    parts: list[TextChunk | RetryScheduled | Completion] = []
    with pytest.raises(ServerFailed):
        await heard(llm, parts)
    assert [type(part.error) for part in parts if isinstance(part, RetryScheduled)] == [RateLimited] * 3
    assert len(openai_server.received) == 4


async def test_an_error_inside_the_stream_is_tried_again_before_anything_was_said(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(stream({"error": {"message": "overloaded"}}), text("Here."))
    assert isinstance((await heard(llm))[0], RetryScheduled)


async def test_nothing_is_tried_again_once_something_was_said(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": "Half"}), {"error": {"message": "overloaded"}}), text("Never."))
    with pytest.raises(ServerFailed):
        await heard(llm)
    assert len(openai_server.received) == 1


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 413, 422])
async def test_what_waiting_cannot_mend_is_not_tried_again(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int
) -> None:
    openai_server.script(error(code, "No."), text("Never."))
    with pytest.raises(LLMError):
        await heard(llm)
    assert sum(received.path.endswith("completions") for received in openai_server.received) == 1


async def test_a_server_may_say_itself_that_it_is_in_vain(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(500, x_should_retry="false"), text("Never."))
    with pytest.raises(ServerFailed):
        await heard(llm)
    assert len(openai_server.received) == 1


async def test_a_broken_answer_is_not_tried_again(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": ""})), text("Never."))
    with pytest.raises(BrokenStream):
        await heard(llm)
    assert len(openai_server.received) == 1


async def test_a_connection_that_is_dropped_is_tried_again(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(hang(0), text("Here."))
    waiting, *_ = await heard(llm)
    assert isinstance(waiting, RetryScheduled)
    assert isinstance(waiting.error, Unreachable)


async def test_who_waited_in_silence_is_not_made_to_wait_again(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.2)
    openai_server.script(hang(), text("Never."))
    with pytest.raises(Unreachable, match="the response timed out"):
        await heard(llm)
    assert len(openai_server.received) == 1
    await llm.close()
