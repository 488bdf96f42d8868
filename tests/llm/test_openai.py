"""The openai client against a real server on the loopback: answers, failures, cancellation."""

import asyncio
import gc
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from email.utils import formatdate
from typing import Any

import pytest
from openai import AsyncOpenAI

from prompt_objects.errors import (
    BrokenStream,
    ContextTooLong,
    LLMError,
    RateLimited,
    ServerFailed,
    Unauthorized,
    UnknownModel,
    Unreachable,
)
from prompt_objects.llm.base import Completion, Request, RetryScheduled, TextChunk, Usage
from prompt_objects.llm.openai import OpenAILLM
from tests.support.openai_server import (
    USAGE,
    Behaviour,
    Exchange,
    OpenAIServer,
    calls,
    chunk,
    error,
    flood,
    hang,
    never_begin,
    status,
    stream,
    text,
)

KEY = "sk-secret-0123456789"
HELLO = Request([{"role": "user", "content": "Hello"}])
READ_FILE = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}


@pytest.fixture
async def llm(openai_server: OpenAIServer) -> AsyncIterator[OpenAILLM]:
    llm = OpenAILLM("small", base_url=openai_server.base_url, api_key=KEY, timeout=2, max_retries=0)
    yield llm
    await llm.close()


@pytest.fixture
async def patient(openai_server: OpenAIServer) -> AsyncIterator[OpenAILLM]:
    llm = OpenAILLM("small", base_url=openai_server.base_url, api_key=KEY, timeout=2)
    yield llm
    await llm.close()


async def ask(llm: OpenAILLM, request: Request = HELLO) -> tuple[list[str], Completion]:
    """Return the pieces of text and the completion, which must come last and only once."""
    *texts, completion = [part async for part in llm.stream(request) if not isinstance(part, RetryScheduled)]
    assert isinstance(completion, Completion)
    said = [part.text for part in texts if isinstance(part, TextChunk)]
    assert len(said) == len(texts)
    assert "".join(said) == completion.message["content"]
    return said, completion


async def listen(llm: OpenAILLM, heard: list[TextChunk | RetryScheduled | Completion]) -> None:
    """Add to `heard` whatever comes, before an error too."""
    async for part in llm.stream(HELLO):
        heard.append(part)  # noqa: PERF401 - a comprehension would lose it all


async def failure(llm: OpenAILLM, kind: type[LLMError] = LLMError) -> LLMError:
    """Return the error of a request, which must be one clean line that names model and server, and no key."""
    with pytest.raises(LLMError) as caught:
        await ask(llm)
    found = caught.value
    assert type(found) is kind
    shown = str(found)
    assert "small at http://127.0.0.1:" in shown
    assert KEY not in shown + found.hint + repr(found)
    assert (shown + found.hint).isprintable()
    assert len(shown) < 500
    return found


# Answers


async def test_an_answer_streams_piece_by_piece_and_ends_with_usage(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(text("All is well."))
    said, completion = await ask(llm)
    assert said == ["All ", "is ", "well."]
    assert completion == Completion(
        {"role": "assistant", "content": "All is well."}, Usage(prompt=12, completion=3, cached=8), "stop"
    )


async def test_the_request_carries_model_messages_tools_options_and_key(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(text("Yes."))
    await ask(llm, Request(HELLO.messages, [READ_FILE], {"temperature": 0.5, "model": "other"}))
    (received,) = openai_server.received
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": "small",
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [READ_FILE],
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_pieces_arrive_while_the_server_is_still_speaking(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("one two three", delay=0.15))
    async with aclosing(llm.stream(HELLO)) as parts:
        assert isinstance(await anext(parts), TextChunk)
        start = time.monotonic()
        assert [part async for part in parts]
    assert time.monotonic() - start > 0.2


async def test_calls_streamed_in_pieces_are_put_together_in_order(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(calls(("read_file", {"path": "a.txt"}), ("read_file", {"path": "b.txt"}), content="Look:"))
    _, completion = await ask(llm)
    assert completion.finish_reason == "tool_calls"
    made = completion.message["tool_calls"]
    assert [call["function"] for call in made] == [
        {"name": "read_file", "arguments": '{"path": "a.txt"}'},
        {"name": "read_file", "arguments": '{"path": "b.txt"}'},
    ]
    assert [call["type"] for call in made] == ["function"] * 2


async def test_a_server_that_numbers_its_calls_anew_each_time_gets_no_id_twice(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(*[calls(("read_file", {"path": "a.txt"}))] * 3)
    answers = [(await ask(llm))[1] for _ in range(3)]
    assert len({answer.message["tool_calls"][0]["id"] for answer in answers}) == 3


async def test_a_server_that_refuses_stream_options_is_asked_without_and_remembered(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(
        error(400, "Unrecognized request argument: stream_options"), text("One.", usage=None), text("Two.")
    )
    await ask(llm)
    await ask(llm)
    assert ["stream_options" in received.body for received in openai_server.received] == [True, False, False]


async def test_a_server_without_usage_gives_no_usage(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("Hello.", usage=None))
    _, completion = await ask(llm)
    assert completion.usage == Usage()


async def test_text_that_has_no_utf8_form_is_sent_with_question_marks(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(text("Yes."))
    await ask(llm, Request([{"role": "user", "content": "caf\udce9 é"}]))
    assert openai_server.received[0].body["messages"][0]["content"] == "caf? é"


async def test_many_streams_run_side_by_side(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(*(text("a b c", delay=0.1) for _ in range(20)))
    start = time.monotonic()
    answers = await asyncio.gather(*(ask(llm) for _ in range(20)))
    assert [completion.message["content"] for _, completion in answers] == ["a b c"] * 20
    assert time.monotonic() - start < 3  # one after the other: 10 seconds


def test_one_object_serves_several_event_loops(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url)
    openai_server.script(text("One."), text("Two."))

    async def once() -> str:
        try:
            return str((await ask(llm))[1].message["content"])
        finally:
            await llm.close()

    assert [asyncio.run(once()), asyncio.run(once())] == ["One.", "Two."]


async def test_it_works_again_after_close(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("One."), text("Two."))
    await ask(llm)
    await llm.close()
    assert (await ask(llm))[1].message["content"] == "Two."


def test_the_key_is_in_no_repr() -> None:
    llm = OpenAILLM("small", base_url="http://user:hidden@127.0.0.1:1/hidden/v1?token=hidden", api_key=KEY)
    assert repr(llm) == "<OpenAILLM small at http://127.0.0.1:1>"
    assert KEY not in repr(llm._endpoint)


# Cancellation


async def test_cancelling_closes_the_connection(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("one two three four five", delay=0.2))
    task = asyncio.create_task(ask(llm))
    await asyncio.to_thread(openai_server.asked.wait, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(openai_server.received[0].disconnected.wait, 2)


async def test_closing_the_generator_closes_the_connection(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("one two three four five", delay=0.2))
    async with aclosing(llm.stream(HELLO)) as parts:
        await anext(parts)
    assert await asyncio.to_thread(openai_server.received[0].disconnected.wait, 2)


async def test_cancelling_before_the_answer_begins_closes_the_connection(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(hang())
    task = asyncio.create_task(ask(llm))
    await asyncio.to_thread(openai_server.asked.wait, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(openai_server.received[0].disconnected.wait, 2)


# Keys


@pytest.mark.parametrize("code", [401, 403])
async def test_a_wrong_key_is_unauthorized_and_not_quoted(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int
) -> None:
    openai_server.script(error(code, f"Incorrect API key provided: {KEY}", code="invalid_api_key"))
    found = await failure(llm, Unauthorized)
    assert "api_key_env" in found.hint


async def test_the_hint_names_the_variable_of_the_key(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, api_key=KEY, key_name="MY_KEY", max_retries=0)
    openai_server.script(error(401, "no"))
    assert "MY_KEY" in (await failure(llm, Unauthorized)).hint
    await llm.close()


async def test_a_missing_key_is_told_before_anything_is_sent() -> None:
    with pytest.raises(Unauthorized) as caught:
        await ask(OpenAILLM("gpt-5"))
    assert "no key is set" in str(caught.value)
    assert "OPENAI_API_KEY" in caught.value.hint


@pytest.mark.parametrize("key", ["“sk-1”", "sk-1\nsk-2"])
async def test_a_key_that_cannot_be_sent_is_told_as_such_and_not_quoted(key: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        await ask(OpenAILLM("gpt-5", api_key=key))
    assert "characters that no key has" in str(caught.value)
    assert "sk-1" not in str(caught.value) + caught.value.hint


async def test_a_key_in_an_error_text_is_blotted_out(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(400, f"cannot use {KEY} here"))
    assert "cannot use … here" in str(await failure(llm))


# Models


@pytest.mark.parametrize(
    "refusal",
    [
        error(404, "The model `smal` does not exist", code="model_not_found"),
        error(404, 'model "smal" not found, try pulling it first'),
        error(400, "Model smal not found"),
    ],
    ids=["openai", "ollama", "status 400"],
)
async def test_an_unknown_model_is_told_with_the_nearest_and_those_there_are(
    openai_server: OpenAIServer, llm: OpenAILLM, refusal: Behaviour
) -> None:
    openai_server.models = ["smaller", *(f"m{n}" for n in range(20))]
    openai_server.script(refusal)
    found = await failure(llm, UnknownModel)
    assert found.hint == ("Did you mean 'smaller'? The server has smaller, m0, m1, m2, m3, m4, m5, m6 and 13 more.")


async def test_a_wrong_address_is_told_where_there_is_no_list_of_models(openai_server: OpenAIServer) -> None:
    base_url = openai_server.base_url.removesuffix("/v1") + "/nowhere"
    llm = OpenAILLM("small", base_url=base_url, max_retries=0)
    openai_server.models = []
    found = await failure(llm, UnknownModel)
    assert "web page" in str(found)
    await llm.close()


# Limits


async def test_a_rate_limit_says_for_how_long(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(429, {"error": {"message": "Slow down."}}, retry_after="12.5"))
    found = await failure(llm, RateLimited)
    assert isinstance(found, RateLimited)
    assert found.retry_after == 12.5
    assert found.hint == "Try again in 13 seconds."


async def test_retry_after_may_be_a_date(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after=formatdate(time.time() + 100, usegmt=True)))
    found = await failure(llm, RateLimited)
    assert isinstance(found, RateLimited)
    assert 95 < (found.retry_after or 0) <= 100


async def test_a_rate_limit_without_retry_after_has_none(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(429, "Slow down."))
    found = await failure(llm, RateLimited)
    assert isinstance(found, RateLimited)
    assert found.retry_after is None


async def test_retries_wait_as_long_as_the_server_asks(openai_server: OpenAIServer, patient: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after="1"), text("Now."))
    start = time.monotonic()
    _, completion = await ask(patient)
    assert completion.message["content"] == "Now."
    assert 1 <= time.monotonic() - start < 5
    assert len(openai_server.received) == 2


async def test_a_server_that_asks_for_a_long_wait_is_not_waited_for(
    openai_server: OpenAIServer, patient: OpenAILLM
) -> None:
    openai_server.script(status(429, retry_after="31"), text("Never."))
    found = await failure(patient, RateLimited)
    assert isinstance(found, RateLimited)
    assert found.retry_after == 31
    assert len(openai_server.received) == 1


async def test_a_quota_that_is_used_up_is_not_tried_again(openai_server: OpenAIServer, patient: OpenAILLM) -> None:
    openai_server.script(error(429, "You exceeded your current quota.", code="insufficient_quota"), text("Never."))
    found = await failure(patient, Unauthorized)
    assert "Waiting will not help" in found.hint
    assert len(openai_server.received) == 1


@pytest.mark.parametrize(
    ("code", "message", "more"),
    [
        (400, "This model's maximum context length is 8192 tokens.", {"code": "context_length_exceeded"}),
        (400, "The decoder prompt (length 40960) is longer than the maximum model length of 8192.", {}),
        (400, "the request exceeds the available context size", {"type": "exceed_context_size_error"}),
        (500, "input length exceeds maximum context length", {}),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", {}),
        (413, "Payload Too Large", {}),
    ],
    ids=["openai", "vllm", "llama.cpp", "ollama", "anthropic", "proxy"],
)
async def test_a_conversation_that_is_too_long_is_told_as_such(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int, message: str, more: dict[str, Any]
) -> None:
    openai_server.script(error(code, message, **more))
    found = await failure(llm, ContextTooLong)
    assert "new session" in found.hint


async def test_a_model_without_tools_is_told_as_such(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(400, "registry.ollama.ai/library/small does not support tools"))
    assert "capabilities" in (await failure(llm)).hint


# Servers that fail


async def test_a_server_that_fails_once_is_asked_again(openai_server: OpenAIServer, patient: OpenAILLM) -> None:
    openai_server.script(error(503, "Loading model"), text("Here."))
    assert (await ask(patient))[1].message["content"] == "Here."


@pytest.mark.parametrize("code", [500, 502, 503])
async def test_a_server_that_goes_on_failing_is_told_as_such(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int
) -> None:
    openai_server.script(error(code, "Loading model"))
    assert "Loading model" in str(await failure(llm, ServerFailed))


async def test_a_servers_words_are_cut_to_one_clean_line(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(500, "\x1b[31mred\nalert\r\n\u202e" + "x" * 5000))
    shown = str(await failure(llm, ServerFailed))
    assert "[31mred alert" in shown
    assert shown.endswith("…")


@pytest.mark.parametrize(
    "body", ["", "[]", '"no"', "null", "12", '{"error": {"message": 5}}', '{"error": [1]}', "\x00"]
)
async def test_an_error_in_no_known_form_is_still_one_sentence(
    openai_server: OpenAIServer, llm: OpenAILLM, body: str
) -> None:
    openai_server.script(status(500, body))
    await failure(llm, ServerFailed)


async def test_other_refusals_are_told_in_the_servers_words(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(422, "temperature must be below 2"))
    assert "refused the request (422): temperature must be below 2" in str(await failure(llm))


async def test_a_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    llm = OpenAILLM("small", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
    assert "the connection was refused" in str(await failure(llm, Unreachable))
    await llm.close()


async def test_a_server_that_has_no_address_is_unreachable() -> None:
    llm = OpenAILLM("small", base_url="http://no-such-server.invalid/v1", max_retries=0)
    with pytest.raises(Unreachable, match="there is no server of that name"):
        await ask(llm)
    await llm.close()


async def test_a_server_that_says_nothing_is_unreachable_after_the_timeout(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.2, max_retries=0)
    openai_server.script(hang())
    assert "the response timed out" in str(await failure(llm, Unreachable))
    await llm.close()


async def test_a_server_that_hangs_up_at_once_is_unreachable(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(hang(0))
    await failure(llm, Unreachable)


# Answers that break


@pytest.mark.parametrize("end", ["cut", "silent", "done"])
async def test_an_answer_that_does_not_end_is_broken_and_what_came_was_yielded(
    openai_server: OpenAIServer, llm: OpenAILLM, end: str
) -> None:
    openai_server.script(stream(chunk({"content": "Half of "}), chunk({"content": "it"}), end=end))
    said: list[TextChunk | RetryScheduled | Completion] = []
    with pytest.raises(BrokenStream, match="ended in the middle"):
        await listen(llm, said)
    assert said == [TextChunk("Half of "), TextChunk("it")]


async def test_an_end_without_done_is_an_end(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": "All."}), chunk(finish_reason="stop"), end="silent"))
    assert (await ask(llm))[1].message["content"] == "All."


async def test_silence_in_the_middle_is_broken_after_the_timeout(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.2, max_retries=0)
    openai_server.script(text("one two", delay=1))
    assert "sent nothing for too long" in str(await failure(llm, BrokenStream))
    await llm.close()


@pytest.mark.parametrize("event", ["{not json", "[" * 100_000, '{"choices": [', "\xff"])
async def test_a_chunk_that_is_not_json_is_broken(openai_server: OpenAIServer, llm: OpenAILLM, event: object) -> None:
    openai_server.script(stream(chunk({"content": "One"}), event))
    assert "not JSON" in str(await failure(llm, BrokenStream))


@pytest.mark.parametrize("event", [[], "text", 5, None], ids=repr)
async def test_a_chunk_that_is_json_but_no_chunk_is_broken(
    openai_server: OpenAIServer, llm: OpenAILLM, event: object
) -> None:
    openai_server.script(
        stream(chunk({"content": "One"}), "null" if event is None else f"{event!r}".replace("'", '"'))
    )
    assert "not a chunk" in str(await failure(llm, BrokenStream))


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
async def test_an_error_inside_the_stream_is_the_error_it_tells_of(
    openai_server: OpenAIServer, llm: OpenAILLM, event: object, kind: type[LLMError]
) -> None:
    openai_server.script(stream(chunk({"content": "One"}), event))
    await failure(llm, kind)


async def test_a_web_page_instead_of_an_answer_points_to_the_address(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    page = "<html><body>Welcome</body></html>"
    openai_server.script(status(200, page, Content_Type="text/html; charset=utf-8"))
    found = await failure(llm, BrokenStream)
    assert "web page" in str(found)
    assert "/v1" in found.hint


async def test_a_server_that_does_not_stream_is_heard_all_the_same(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    message = {"role": "assistant", "content": "All at once"}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": USAGE}
    openai_server.script(status(200, whole), status(200, json.dumps(whole, indent=2)))
    for _ in range(2):
        said, completion = await ask(llm)
        assert said == ["All at once"]
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
async def test_an_error_in_place_of_an_answer_is_told_in_the_servers_words(
    openai_server: OpenAIServer, llm: OpenAILLM, behaviour: Behaviour
) -> None:
    openai_server.script(behaviour)
    assert "out of memory" in str(await failure(llm, ServerFailed))


@pytest.mark.parametrize(
    ("finish_reason", "words"),
    [("stop", "empty answer"), ("length", "used up its tokens"), ("content_filter", "withheld")],
)
async def test_an_empty_answer_is_broken_and_says_why(
    openai_server: OpenAIServer, llm: OpenAILLM, finish_reason: str, words: str
) -> None:
    openai_server.script(stream(chunk({"content": ""}), chunk(finish_reason=finish_reason)))
    assert words in str(await failure(llm, BrokenStream))


async def test_a_usage_in_each_chunk_counts_once(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(stream(chunk({"content": "a"}, usage=USAGE), chunk({"content": "b"}, "stop", usage=USAGE)))
    assert (await ask(llm))[1].usage == Usage(12, 3, 8)


# Servers that mean harm


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_the_conversation_goes_to_no_other_server_than_the_one_that_was_meant(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int
) -> None:
    with OpenAIServer(always=text("Thank you.")) as other:
        openai_server.script(status(code, location=f"{other.base_url}/chat/completions"))
        assert f"redirects to http://127.0.0.1:{other.port}," in str(await failure(llm))
        openai_server.listing = status(code, location=f"{other.base_url}/models")
        openai_server.script(error(404, "no such model"))
        await failure(llm, UnknownModel)
        assert other.received == []


async def test_a_redirection_to_nowhere_is_told_as_such(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(307, location="http://[broken"))
    assert "an invalid address" in str(await failure(llm))


async def test_a_secret_in_the_path_of_the_address_is_not_shown(openai_server: OpenAIServer) -> None:
    base_url = f"http://127.0.0.1:{openai_server.port}/token-0123/v1"
    llm = OpenAILLM("small", base_url=base_url, max_retries=0)
    found = await failure(llm, UnknownModel)
    assert "token-0123" not in repr(llm) + str(found) + found.hint
    await llm.close()


async def test_what_keeps_a_connection_alive_does_not_end_a_silence(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.3)
    openai_server.script(flood(b": ping\n\n", gap=0.05))
    start = time.monotonic()
    assert "sent nothing for too long" in str(await failure(llm, BrokenStream))
    assert time.monotonic() - start < 2
    await llm.close()


async def test_a_reader_who_takes_his_time_is_no_silence(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.3)
    openai_server.script(stream(*[chunk({"content": word}) for word in "abc"], chunk({}, "stop"), delay=0.1))
    heard = []
    async for part in llm.stream(HELLO):
        heard.append(part)
        await asyncio.sleep(0.4)
    assert isinstance(heard[-1], Completion)
    assert heard[-1].message["content"] == "abc"
    await llm.close()


async def test_what_was_said_in_the_piece_of_an_error_is_heard_first(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.begin()
        told = (json.dumps(data) for data in (chunk({"content": "Once"}), {"error": {"message": "Overloaded"}}))
        exchange.piece("".join(f"data: {each}\n\n" for each in told).encode())
        exchange.end()

    openai_server.script(behave)
    heard: list[TextChunk | RetryScheduled | Completion] = []
    with pytest.raises(LLMError, match="Overloaded"):
        await listen(llm, heard)
    assert heard == [TextChunk("Once")]


async def test_an_answer_that_is_for_ever_about_to_begin_is_not_waited_for(openai_server: OpenAIServer) -> None:
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
async def test_an_endless_answer_is_broken_off(
    openai_server: OpenAIServer, llm: OpenAILLM, behaviour: Behaviour, words: str
) -> None:
    openai_server.script(behaviour)
    assert words in str(await failure(llm, BrokenStream))


@pytest.mark.parametrize("gap", [0, 0.05], ids=["fast", "slow"])
async def test_an_endless_error_is_not_read_to_the_end(openai_server: OpenAIServer, gap: float) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.5, max_retries=0)
    openai_server.script(flood(b"x" * (1 if gap else 1_000_000), number=400, gap=gap))
    start = time.monotonic()
    found = await failure(llm, Unreachable if gap else LLMError)
    assert "the response timed out" in str(found) if gap else "refused the request (400): xxx" in str(found)
    assert time.monotonic() - start < 2
    await llm.close()


async def test_an_endless_list_of_models_does_not_hold_up_the_error(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.listing = flood(b" ", gap=0.05)
    openai_server.script(error(404, "no such model"))
    start = time.monotonic()
    assert "Check the model's name" in (await failure(llm, UnknownModel)).hint
    assert time.monotonic() - start < 4


async def test_nothing_compressed_is_asked_for_or_taken(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    def compressed(exchange: Exchange) -> None:
        body = gzip.compress(b"data: " + b" " * 1_000_000)
        exchange.send(number, body, {"Content-Encoding": "gzip", "Content-Type": "text/event-stream"})

    openai_server.script(compressed, compressed)
    number = 200
    assert "compressed" in str(await failure(llm, BrokenStream))
    number = 400
    assert "refused the request (400)" in str(await failure(llm))
    assert {received.headers["accept-encoding"] for received in openai_server.received} == {"identity"}


async def test_connections_are_used_again(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("One."), error(400, "no"), text("Two."))
    await ask(llm)
    await failure(llm)
    await ask(llm)
    assert len({received.client for received in openai_server.received}) == 1


# The surroundings


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "socksio"),
        ("HTTP_PROXY", "garbage://x", "proxy"),
        ("https_proxy", "http://a\x7fb", "proxy"),
        ("SSL_CERT_FILE", "/nonexistent", "certificates"),
    ],
)
async def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    llm = OpenAILLM("small", base_url="http://127.0.0.2:9/v1", max_retries=0)
    with pytest.raises(Unreachable, match=words) as caught:
        await ask(llm)
    assert variable in caught.value.hint


async def test_an_address_that_is_none_is_told_as_such() -> None:
    with pytest.raises(Unreachable, match="not a URL"):
        await ask(OpenAILLM("small", base_url="http://a\x7fb/v1"))


async def test_streams_that_begin_at_once_share_one_client(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    before = sum(isinstance(each, AsyncOpenAI) for each in gc.get_objects())
    openai_server.script(*[text("Yes.")] * 20)
    await asyncio.gather(*(ask(llm) for _ in range(20)))
    assert sum(isinstance(each, AsyncOpenAI) for each in gc.get_objects()) <= before + 1
