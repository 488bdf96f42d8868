"""The client decides when a response is complete, and what of it is not valid."""

import asyncio
import json
import time

import pytest

from prompt_objects.errors import BrokenStream, ContextTooLong, LLMError, RateLimited, ServerFailed, Unreachable
from prompt_objects.llm.base import Completion, RequestSent, RetryScheduled, TextChunk, Usage
from prompt_objects.llm.chat_api.client import OpenAILLM
from tests.support.chat_api_client import HELLO, failure, send
from tests.support.openai_server import (
    USAGE,
    Behaviour,
    Exchange,
    OpenAIServer,
    chunk,
    flood,
    never_begin,
    status,
    stream,
    text,
)


async def collect(llm: OpenAILLM, parts: list[TextChunk | RetryScheduled | Completion]) -> None:
    """Add the parts of the stream to `parts`, also before an error."""
    async for part in llm.stream(HELLO):
        if not isinstance(part, RequestSent):
            parts.append(part)  # noqa: PERF401 - a comprehension would lose the parts before an error


@pytest.mark.parametrize("end", ["cut", "silent"])
async def test_an_incomplete_response_is_an_error_after_its_text(
    openai_server: OpenAIServer, llm: OpenAILLM, end: str
) -> None:
    openai_server.script(stream(chunk({"content": "Half of "}), chunk({"content": "it"}), end=end))
    texts: list[TextChunk | RetryScheduled | Completion] = []
    with pytest.raises(BrokenStream, match="ended in the middle"):
        await collect(llm, texts)
    assert texts == [TextChunk("Half of "), TextChunk("it")]


async def test_a_response_may_end_without_done(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": "All."}), chunk(finish_reason="stop"), end="silent"))
    assert (await send(llm))[1].message["content"] == "All."


@pytest.mark.parametrize("end", ["cut", "silent", "done"])
async def test_a_response_is_complete_when_it_says_so(openai_server: OpenAIServer, llm: OpenAILLM, end: str) -> None:
    openai_server.script(stream(chunk({"content": "All."}), chunk(finish_reason="stop"), end=end))
    assert (await send(llm))[1].message["content"] == "All."


async def test_done_completes_a_response_without_a_finish_reason(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": "All."})))
    assert (await send(llm))[1].finish_reason == "stop"


@pytest.mark.parametrize("last", ["{not json", '{"error": {"message": "too late"}}'])
async def test_nothing_after_the_end_of_a_response_makes_it_an_error(
    openai_server: OpenAIServer, llm: OpenAILLM, last: str
) -> None:
    openai_server.script(stream(chunk({"content": "All."}, "stop"), last, end="cut"))
    assert (await send(llm))[1].message["content"] == "All."


async def test_a_server_that_sends_no_done_is_not_waited_for(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=30)

    def behave(exchange: Exchange) -> None:
        exchange.begin()
        exchange.event(chunk({"content": "All."}, "stop"))
        exchange.event({"choices": [], "usage": USAGE})
        exchange.pause(20)

    openai_server.script(behave)
    start = time.monotonic()
    assert (await send(llm))[1].usage == Usage(12, 3, 8)
    assert time.monotonic() - start < 10
    await llm.close()


@pytest.mark.parametrize("reason", ["error", "abort"])
async def test_a_failed_finish_keeps_the_text_and_quotes_the_error_of_the_choice(
    openai_server: OpenAIServer, llm: OpenAILLM, reason: str
) -> None:
    failed = chunk({}, reason)
    failed["choices"][0]["error"] = {"code": 502, "message": "The provider has failed."}
    openai_server.script(
        stream(chunk({"content": "Half"}), chunk({}, reason)), stream(chunk({"content": "x"}), failed)
    )
    assert (await send(llm))[1].finish_reason == reason
    assert "The provider has failed." in str(await failure(llm, ServerFailed))


async def test_silence_within_a_response_is_an_error_after_the_timeout(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.2, max_retries=0)
    openai_server.script(text("one two", delay=1))
    assert "sent nothing for too long" in str(await failure(llm, BrokenStream))
    await llm.close()


@pytest.mark.parametrize("event", ["{not json", "[" * 100_000, '{"choices": [', "\xff"])
async def test_a_chunk_that_is_not_json_is_an_error(
    openai_server: OpenAIServer, llm: OpenAILLM, event: object
) -> None:
    openai_server.script(stream(chunk({"content": "One"}), event))
    assert "not JSON" in str(await failure(llm, BrokenStream))


@pytest.mark.parametrize("event", [[], "text", 5, None], ids=repr)
async def test_json_that_is_not_a_chunk_is_an_error(
    openai_server: OpenAIServer, llm: OpenAILLM, event: object
) -> None:
    openai_server.script(
        stream(chunk({"content": "One"}), "null" if event is None else f"{event!r}".replace("'", '"'))
    )
    assert "invalid chunk" in str(await failure(llm, BrokenStream))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": {"message": "out of memory"}}, ServerFailed),
        ({"error": {"message": "Rate limited", "code": 429}}, RateLimited),
        ({"error": {"message": "exceeds the context window", "code": "context_length_exceeded"}}, ContextTooLong),
        ({"error": "plain words"}, ServerFailed),
    ],
    ids=["server", "rate limit", "context", "text"],
)
async def test_an_error_inside_the_stream_is_raised(
    openai_server: OpenAIServer, llm: OpenAILLM, event: object, kind: type[LLMError]
) -> None:
    openai_server.script(stream(chunk({"content": "One"}), event))
    await failure(llm, kind)


async def test_the_hint_for_a_web_page_names_the_address(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    page = "<html><body>Welcome</body></html>"
    openai_server.script(status(200, page, Content_Type="text/html; charset=utf-8"))
    found = await failure(llm, BrokenStream)
    assert "web page" in str(found)
    assert "/v1" in found.hint


async def test_a_response_without_streaming_is_accepted(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    message = {"role": "assistant", "content": "All at once"}
    document = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": USAGE}
    openai_server.script(status(200, document), status(200, json.dumps(document, indent=2)))
    for _ in range(2):
        texts, completion = await send(llm)
        assert texts == ["All at once"]
        assert completion == Completion(message, Usage(12, 3, 8), "stop")


@pytest.mark.parametrize(
    "behaviour",
    [
        status(200, {"error": {"message": "out of memory"}}),
        status(200, {"object": "error", "message": "out of memory"}),
        status(200, '{"error": "out\n of memory"}'),
        flood(b": x\n", first=b'event: error\ndata: {"message": "out of memory"}\n\n', gap=0.01),
    ],
    ids=["document", "bare", "unescaped", "event"],
)
async def test_an_error_instead_of_a_response_quotes_the_servers_message(
    openai_server: OpenAIServer, llm: OpenAILLM, behaviour: Behaviour
) -> None:
    openai_server.script(behaviour)
    assert "out of memory" in str(await failure(llm, ServerFailed))


@pytest.mark.parametrize(
    ("finish_reason", "words"),
    [("stop", "empty response"), ("length", "token limit"), ("content_filter", "withheld"), ("abort", "(abort)")],
)
async def test_an_empty_response_is_an_error_with_its_reason(
    openai_server: OpenAIServer, llm: OpenAILLM, finish_reason: str, words: str
) -> None:
    openai_server.script(stream(chunk({"content": ""}), chunk(finish_reason=finish_reason)))
    assert words in str(await failure(llm, BrokenStream))


async def test_a_usage_in_each_chunk_counts_once(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": "a"}, usage=USAGE), chunk({"content": "b"}, "stop", usage=USAGE)))
    assert (await send(llm))[1].usage == Usage(12, 3, 8)


async def test_keep_alive_comments_do_not_extend_the_timeout(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.3)
    openai_server.script(flood(b": ping\n\n", gap=0.05))
    start = time.monotonic()
    assert "sent nothing for too long" in str(await failure(llm, BrokenStream))
    assert time.monotonic() - start < 2
    await llm.close()


async def test_the_time_of_a_slow_consumer_does_not_count(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.3)
    openai_server.script(stream(*[chunk({"content": word}) for word in "abc"], chunk({}, "stop"), delay=0.1))
    parts = []
    async for part in llm.stream(HELLO):
        parts.append(part)
        await asyncio.sleep(0.4)
    assert isinstance(parts[-1], Completion)
    assert parts[-1].message["content"] == "abc"
    await llm.close()


async def test_text_in_the_same_chunk_as_an_error_is_yielded_first(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.begin()
        events = (json.dumps(data) for data in (chunk({"content": "Once"}), {"error": {"message": "Overloaded"}}))
        exchange.piece("".join(f"data: {each}\n\n" for each in events).encode())
        exchange.end()

    openai_server.script(behave)
    parts: list[TextChunk | RetryScheduled | Completion] = []
    with pytest.raises(LLMError, match="Overloaded"):
        await collect(llm, parts)
    assert parts == [TextChunk("Once")]


async def test_a_response_that_never_starts_times_out(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.2)
    openai_server.script(never_begin())
    assert "the response timed out" in str(await failure(llm, Unreachable))
    assert len(openai_server.received) == 1
    await llm.close()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (flood(b"x" * 1_000_000, first=b"data: "), "an event that is too large"),
        (flood(b"data: " + b"x" * 100_000 + b"\n"), "an event that is too large"),
        (flood(b":" * 1_000_000 + b"\n"), "response that is too long"),
        (stream(*[chunk({"content": "a" * 1_000_000})] * 11), "response that is too long"),
    ],
    ids=["line", "event", "nothing", "text"],
)
async def test_an_endless_response_is_an_error(
    openai_server: OpenAIServer, llm: OpenAILLM, behaviour: Behaviour, words: str
) -> None:
    openai_server.script(behaviour)
    assert words in str(await failure(llm, BrokenStream))
