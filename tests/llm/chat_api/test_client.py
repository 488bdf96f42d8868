"""The OpenAI client against a real server on the loopback: responses, failures, cancellation."""

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
    RegionNotSupported,
    ServerFailed,
    StillLoading,
    Unauthorized,
    UnknownModel,
    Unreachable,
)
from prompt_objects.llm.base import Completion, Request, RetryScheduled, TextChunk, Usage
from prompt_objects.llm.chat_api.client import OpenAILLM
from tests.support.messages import sent_messages
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
async def retrying(openai_server: OpenAIServer) -> AsyncIterator[OpenAILLM]:
    llm = OpenAILLM("small", base_url=openai_server.base_url, api_key=KEY, timeout=2)
    yield llm
    await llm.close()


async def send(llm: OpenAILLM, request: Request = HELLO) -> tuple[list[str], Completion]:
    """Return the texts and the completion, which must be the last part and the only one."""
    *chunks, completion = [part async for part in llm.stream(request) if not isinstance(part, RetryScheduled)]
    assert isinstance(completion, Completion)
    texts = [part.text for part in chunks if isinstance(part, TextChunk)]
    assert len(texts) == len(chunks)
    assert "".join(texts) == completion.message["content"]
    return texts, completion


async def collect(llm: OpenAILLM, parts: list[TextChunk | RetryScheduled | Completion]) -> None:
    """Add the parts of the stream to `parts`, also before an error."""
    async for part in llm.stream(HELLO):
        parts.append(part)  # noqa: PERF401 - a comprehension would lose the parts before an error


def bodies(server: OpenAIServer) -> list[dict[str, Any]]:
    return [received.body for received in server.received]


async def failure(llm: OpenAILLM, kind: type[LLMError] = LLMError) -> LLMError:
    """Return the error of a request, which must be one clean line that names model and server, and no key."""
    with pytest.raises(LLMError) as caught:
        await send(llm)
    found = caught.value
    assert type(found) is kind
    shown = str(found)
    assert "small at http://127.0.0.1:" in shown
    assert KEY not in shown + found.hint + repr(found)
    assert (shown + found.hint).isprintable()
    assert len(shown) < 500
    return found


# Responses


async def test_a_response_streams_in_chunks_and_ends_with_usage(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("All is well."))
    texts, completion = await send(llm)
    assert texts == ["All ", "is ", "well."]
    assert completion == Completion(
        {"role": "assistant", "content": "All is well."}, Usage(prompt=12, completion=3, cached=8), "stop"
    )


async def test_the_request_contains_model_messages_tools_options_and_key(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(text("Yes."))
    await send(llm, Request(HELLO.messages, [READ_FILE], {"temperature": 0.5, "model": "other"}))
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


async def test_chunks_arrive_while_the_server_is_still_sending(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("one two three", delay=0.15))
    async with aclosing(llm.stream(HELLO)) as parts:
        assert isinstance(await anext(parts), TextChunk)
        start = time.monotonic()
        assert [part async for part in parts]
    assert time.monotonic() - start > 0.2


async def test_calls_streamed_in_chunks_are_joined_in_order(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(calls(("read_file", {"path": "a.txt"}), ("read_file", {"path": "b.txt"}), content="Look:"))
    _, completion = await send(llm)
    assert completion.finish_reason == "tool_calls"
    tool_calls = completion.message["tool_calls"]
    assert [call["function"] for call in tool_calls] == [
        {"name": "read_file", "arguments": '{"path": "a.txt"}'},
        {"name": "read_file", "arguments": '{"path": "b.txt"}'},
    ]
    assert [call["type"] for call in tool_calls] == ["function"] * 2


async def test_call_ids_are_unique_across_responses(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(*[calls(("read_file", {"path": "a.txt"}))] * 3)
    answers = [(await send(llm))[1] for _ in range(3)]
    assert len({answer.message["tool_calls"][0]["id"] for answer in answers}) == 3


async def test_stream_options_are_omitted_after_the_server_rejected_them(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(
        error(400, "Unrecognized request argument: stream_options"), text("One.", usage=None), text("Two.")
    )
    await send(llm)
    await send(llm)
    assert ["stream_options" in received.body for received in openai_server.received] == [True, False, False]


async def test_a_refused_parameter_is_learned_for_all_models_of_the_server(openai_server: OpenAIServer) -> None:
    refusal = status(
        422, {"message": {"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "extra_forbidden"}]}}
    )
    openai_server.script(refusal, text("One."), text("Two."), text("Three."))
    models = [OpenAILLM(name, base_url=openai_server.base_url) for name in ("small", "large")]
    for llm in (*models, models[0]):
        await send(llm, Request(HELLO.messages, options={"max_completion_tokens": 50}))
    sent = [(body.get("max_completion_tokens"), body.get("max_tokens")) for body in bodies(openai_server)]
    assert sent == [(50, None), (None, 50), (None, 50), (None, 50)]
    for llm in models:
        await llm.close()


@pytest.mark.parametrize(
    "refusal", [error(400, "Tool call id was a"), stream({"error": {"message": "Tool call id was a"}})]
)
async def test_a_request_that_cannot_be_repaired_is_not_sent_again(
    openai_server: OpenAIServer, llm: OpenAILLM, refusal: Behaviour
) -> None:
    openai_server.script(refusal)
    with pytest.raises(LLMError):
        await send(llm)
    assert len(openai_server.received) == 1


@pytest.mark.parametrize("in_stream", [False, True])
async def test_a_history_that_a_server_refuses_is_repaired(
    openai_server: OpenAIServer, llm: OpenAILLM, in_stream: bool
) -> None:
    words = "this model does not support image input"
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    openai_server.script(stream({"error": {"message": words}}) if in_stream else error(400, words), text("Yes."))
    _, completion = await send(llm, Request([{"role": "user", "content": [{"type": "text", "text": "Look"}, image]}]))
    assert "left out" in completion.notices[0]
    assert bodies(openai_server)[1]["messages"] == [{"role": "user", "content": "Look\n[image_url]"}]


async def test_a_query_in_the_address_stays_in_its_place(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=f"{openai_server.base_url}/?api-version=1&x=a%20b", max_retries=0)
    openai_server.script(error(404, "no such model"))
    await failure(llm, UnknownModel)
    queries = "?api-version=1&x=a%20b"
    assert [each.path for each in openai_server.received] == [
        f"/v1/chat/completions{queries}",
        f"/v1/models{queries}",
    ]
    await llm.close()


async def test_fields_of_a_server_go_back_to_it_and_to_no_other(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    call = {
        "index": 0,
        "id": "a",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"signature": "SIG"},
    }
    openai_server.script(stream(chunk({"reasoning_content": "hmm"}), chunk({"tool_calls": [call]}, "tool_calls")))
    texts, completion = await send(llm)
    assert texts == []
    history = [*HELLO.messages, completion.message]
    sent = sent_messages("p", history, server=completion.message["extra"]["server"])
    assert sent[2]["reasoning_content"] == "hmm"
    assert sent[2]["tool_calls"][0]["extra_content"] == {"signature": "SIG"}
    other = json.dumps(sent_messages("p", history, server="http://127.0.0.1:1"))
    assert "hmm" not in other
    assert "SIG" not in other


async def test_usage_is_empty_if_the_server_sends_none(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("Hello.", usage=None))
    _, completion = await send(llm)
    assert completion.usage == Usage()


async def test_lone_surrogates_are_sent_as_question_marks(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("Yes."))
    await send(llm, Request([{"role": "user", "content": "caf\udce9 é"}]))
    assert openai_server.received[0].body["messages"][0]["content"] == "caf? é"


async def test_many_streams_run_in_parallel(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(*(text("a b c", delay=0.1) for _ in range(20)))
    start = time.monotonic()
    answers = await asyncio.gather(*(send(llm) for _ in range(20)))
    assert [completion.message["content"] for _, completion in answers] == ["a b c"] * 20
    assert time.monotonic() - start < 3  # one after the other: 10 seconds


def test_a_client_works_in_several_event_loops(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url)
    openai_server.script(text("One."), text("Two."))

    async def once() -> str:
        try:
            return str((await send(llm))[1].message["content"])
        finally:
            await llm.close()

    assert [asyncio.run(once()), asyncio.run(once())] == ["One.", "Two."]


async def test_it_works_again_after_close(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("One."), text("Two."))
    await send(llm)
    await llm.close()
    assert (await send(llm))[1].message["content"] == "Two."


def test_no_repr_contains_the_key() -> None:
    llm = OpenAILLM("small", base_url="http://user:hidden@127.0.0.1:1/hidden/v1?token=hidden", api_key=KEY)
    assert repr(llm) == "<OpenAILLM small at http://127.0.0.1:1>"
    assert KEY not in repr(llm._endpoint)


# Cancellation


async def test_cancelling_closes_the_connection(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("one two three four five", delay=0.2))
    task = asyncio.create_task(send(llm))
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


async def test_cancelling_before_the_response_starts_closes_the_connection(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(hang())
    task = asyncio.create_task(send(llm))
    await asyncio.to_thread(openai_server.asked.wait, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(openai_server.received[0].disconnected.wait, 2)


# Keys


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("quoted", [KEY, KEY.upper(), f"{KEY[:12]}...", "sk-*****6789"])
async def test_a_wrong_key_is_unauthorized_with_the_servers_sentence_without_the_key(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int, quoted: str
) -> None:
    openai_server.script(error(code, f"Incorrect API key provided: {quoted} is not valid.", code="invalid_api_key"))
    found = await failure(llm, Unauthorized)
    assert "api_key_env" in found.hint
    assert "Incorrect API key provided: … is not valid." in str(found)
    assert quoted not in str(found)


async def test_a_wrong_key_is_recognised_by_words(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(
        status(400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid key."}}])
    )
    assert "wrong (400): API key not valid" in str(await failure(llm, Unauthorized))


async def test_the_hint_names_the_variable_of_the_key(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, api_key=KEY, key_name="MY_KEY", max_retries=0)
    openai_server.script(error(401, "no"))
    found = await failure(llm, Unauthorized)
    assert "the key from MY_KEY is missing, or wrong (401): no" in str(found)
    assert found.hint == "Check MY_KEY."
    await llm.close()


async def test_a_missing_key_is_reported_before_anything_is_sent() -> None:
    with pytest.raises(Unauthorized) as caught:
        await send(OpenAILLM("gpt-5"))
    assert "no key is set" in str(caught.value)
    assert "OPENAI_API_KEY" in caught.value.hint


@pytest.mark.parametrize("key", ["“sk-1”", "sk-1\nsk-2"])
async def test_a_key_with_invalid_characters_is_reported_and_not_quoted(key: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        await send(OpenAILLM("gpt-5", api_key=key))
    assert "invalid characters" in str(caught.value)
    assert "sk-1" not in str(caught.value) + caught.value.hint


async def test_a_key_in_an_error_message_is_masked(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
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
async def test_the_hint_for_an_unknown_model_has_a_similar_name_and_the_list(
    openai_server: OpenAIServer, llm: OpenAILLM, refusal: Behaviour
) -> None:
    openai_server.models = ["smaller", *(f"m{n}" for n in range(20))]
    openai_server.script(refusal)
    found = await failure(llm, UnknownModel)
    assert found.hint == ("Did you mean 'smaller'? The server has smaller, m0, m1, m2, m3, m4, m5, m6 and 13 more.")


async def test_the_list_of_models_is_read_whatever_its_content_type(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.listing = status(200, {"data": [{"id": "m"}, {"id": 3}, "x"]}, Content_Type="text/plain")
    openai_server.script(error(404, "no such model"))
    assert (await failure(llm, UnknownModel)).hint.endswith("The server has m.")


async def test_an_unsupported_region_lists_the_models_even_inside_a_stream(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    refusal = {"error": {"message": "This model is not available in your region.", "code": 403}}
    openai_server.script(status(403, refusal), stream(refusal))
    for _ in range(2):
        found = await failure(llm, RegionNotSupported)
        assert found.hint == "Choose another model. The server has small, large."


async def test_a_wrong_address_without_a_list_of_models_is_reported(openai_server: OpenAIServer) -> None:
    base_url = openai_server.base_url.removesuffix("/v1") + "/nowhere"
    llm = OpenAILLM("small", base_url=base_url, max_retries=0)
    openai_server.models = []
    found = await failure(llm, UnknownModel)
    assert "web page" in str(found)
    await llm.close()


# Limits


async def test_the_hint_for_a_rate_limit_gives_the_delay(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
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


async def test_retries_wait_as_long_as_the_server_requires(openai_server: OpenAIServer, retrying: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after="1"), text("Now."))
    start = time.monotonic()
    _, completion = await send(retrying)
    assert completion.message["content"] == "Now."
    assert 1 <= time.monotonic() - start < 5
    assert len(openai_server.received) == 2


async def test_a_delay_over_the_maximum_is_not_waited_for(openai_server: OpenAIServer, retrying: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after="31"), text("Never."))
    found = await failure(retrying, RateLimited)
    assert isinstance(found, RateLimited)
    assert found.retry_after == 31
    assert len(openai_server.received) == 1


async def test_a_used_up_quota_is_not_retried(openai_server: OpenAIServer, retrying: OpenAILLM) -> None:
    openai_server.script(error(429, "You exceeded your current quota.", code="insufficient_quota"), text("Never."))
    found = await failure(retrying, Unauthorized)
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
async def test_a_conversation_that_is_too_long_has_its_own_error(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int, message: str, more: dict[str, Any]
) -> None:
    openai_server.script(error(code, message, **more))
    found = await failure(llm, ContextTooLong)
    assert "new session" in found.hint


async def test_the_error_of_a_model_without_tools_names_the_capabilities(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(error(400, "registry.ollama.ai/library/small does not support tools"))
    assert "capabilities" in (await failure(llm)).hint


# Servers that fail


async def test_a_server_error_is_retried(openai_server: OpenAIServer, retrying: OpenAILLM) -> None:
    openai_server.script(error(503, "Overloaded"), text("Here."))
    assert (await send(retrying))[1].message["content"] == "Here."


@pytest.mark.parametrize("code", [500, 502, 503])
async def test_repeated_server_errors_are_raised(openai_server: OpenAIServer, llm: OpenAILLM, code: int) -> None:
    openai_server.script(error(code, "Overloaded"))
    assert "Overloaded" in str(await failure(llm, ServerFailed))


async def test_a_server_that_loads_its_model_is_asked_until_it_responds_or_ten_minutes_have_passed(
    openai_server: OpenAIServer, retrying: OpenAILLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_objects.llm.chat_api.retries.LOADING_DELAY", 0.01)
    loading = error(503, "Loading model", type="unavailable_error")
    openai_server.script(*[loading] * 8, text("Here."))
    assert (await send(retrying))[1].message["content"] == "Here."
    monkeypatch.setattr("prompt_objects.llm.chat_api.retries.MAX_LOADING_SECONDS", 0)
    openai_server.script(loading)
    assert "is still loading its model" in str(await failure(retrying, StillLoading))


async def test_a_servers_message_is_truncated_to_one_clean_line(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(500, "\x1b[31mred\nalert\r\n\u202e" + "x" * 5000))
    shown = str(await failure(llm, ServerFailed))
    assert "[31mred alert" in shown
    assert shown.endswith("…")


@pytest.mark.parametrize(
    "body", ["", "[]", '"no"', "null", "12", '{"error": {"message": 5}}', '{"error": [1]}', "\x00"]
)
async def test_an_error_in_an_unknown_format_is_still_one_sentence(
    openai_server: OpenAIServer, llm: OpenAILLM, body: str
) -> None:
    openai_server.script(status(500, body))
    await failure(llm, ServerFailed)


async def test_other_errors_quote_the_servers_message(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(422, "temperature must be below 2"))
    assert "refused the request (422): temperature must be below 2" in str(await failure(llm))


async def test_a_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    llm = OpenAILLM("small", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
    assert "the connection was refused" in str(await failure(llm, Unreachable))
    await llm.close()


async def test_an_unknown_host_is_unreachable() -> None:
    llm = OpenAILLM("small", base_url="http://no-such-server.invalid/v1", max_retries=0)
    with pytest.raises(Unreachable, match="the host name cannot be resolved"):
        await send(llm)
    await llm.close()


async def test_a_silent_server_is_unreachable_after_the_timeout(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.2, max_retries=0)
    openai_server.script(hang())
    assert "the response timed out" in str(await failure(llm, Unreachable))
    await llm.close()


async def test_a_server_that_closes_the_connection_is_unreachable(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(hang(0))
    await failure(llm, Unreachable)


# Incomplete responses


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


# Malicious servers


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(openai_server: OpenAIServer, llm: OpenAILLM, code: int) -> None:
    with OpenAIServer(always=text("Thank you.")) as other:
        openai_server.script(status(code, location=f"{other.base_url}/chat/completions"))
        assert f"redirects to http://127.0.0.1:{other.port}," in str(await failure(llm))
        openai_server.listing = status(code, location=f"{other.base_url}/models")
        openai_server.script(error(404, "no such model"))
        await failure(llm, UnknownModel)
        assert other.received == []


async def test_a_redirect_to_an_invalid_address_is_reported(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(307, location="http://[broken"))
    assert "an invalid address" in str(await failure(llm))


async def test_a_secret_in_the_path_of_the_address_is_not_shown(openai_server: OpenAIServer) -> None:
    base_url = f"http://127.0.0.1:{openai_server.port}/token-0123/v1"
    llm = OpenAILLM("small", base_url=base_url, max_retries=0)
    found = await failure(llm, UnknownModel)
    assert "token-0123" not in repr(llm) + str(found) + found.hint
    await llm.close()


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


@pytest.mark.parametrize("gap", [0, 0.05], ids=["fast", "slow"])
async def test_an_endless_error_is_not_read_to_the_end(openai_server: OpenAIServer, gap: float) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.5, max_retries=0)
    openai_server.script(flood(b"x" * (1 if gap else 1_000_000), number=400, gap=gap))
    start = time.monotonic()
    found = await failure(llm, Unreachable if gap else LLMError)
    assert "the response timed out" in str(found) if gap else "refused the request (400): xxx" in str(found)
    assert time.monotonic() - start < 2
    await llm.close()


async def test_an_endless_list_of_models_does_not_delay_the_error(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.listing = flood(b" ", gap=0.05)
    openai_server.script(error(404, "no such model"))
    start = time.monotonic()
    assert "Check the model's name" in (await failure(llm, UnknownModel)).hint
    assert time.monotonic() - start < 4


async def test_compressed_responses_are_neither_requested_nor_accepted(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    def compressed(exchange: Exchange) -> None:
        body = gzip.compress(b"data: " + b" " * 1_000_000)
        exchange.send(number, body, {"Content-Encoding": "gzip", "Content-Type": "text/event-stream"})

    openai_server.script(compressed, compressed)
    number = 200
    assert "compressed" in str(await failure(llm, BrokenStream))
    number = 400
    assert "refused the request (400)" in str(await failure(llm))
    assert {received.headers["accept-encoding"] for received in openai_server.received} == {"identity"}


async def test_connections_are_reused(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("One."), error(400, "no"), text("Two."))
    await send(llm)
    await failure(llm)
    await send(llm)
    assert len({received.client for received in openai_server.received}) == 1


# Environment variables


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "socksio"),
        ("HTTP_PROXY", "garbage://x", "proxy"),
        ("https_proxy", "http://a\x7fb", "proxy"),
        ("SSL_CERT_FILE", "/nonexistent", "certificates"),
    ],
)
async def test_the_hint_names_the_invalid_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    llm = OpenAILLM("small", base_url="http://127.0.0.2:9/v1", max_retries=0)
    with pytest.raises(Unreachable, match=words) as caught:
        await send(llm)
    assert variable in caught.value.hint


async def test_an_invalid_address_is_an_error() -> None:
    with pytest.raises(Unreachable, match="not a URL"):
        await send(OpenAILLM("small", base_url="http://a\x7fb/v1"))


async def test_streams_that_start_at_the_same_time_share_one_client(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    before = sum(isinstance(each, AsyncOpenAI) for each in gc.get_objects())
    openai_server.script(*[text("Yes.")] * 20)
    await asyncio.gather(*(send(llm) for _ in range(20)))
    assert sum(isinstance(each, AsyncOpenAI) for each in gc.get_objects()) <= before + 1
