"""The client against a real server on the loopback: requests, chunks, calls, cancellation, connections."""

import asyncio
import gc
import gzip
import json
import time
from contextlib import aclosing
from typing import Any

import pytest
from openai import AsyncOpenAI

from prompt_objects.errors import BrokenStream, LLMError, UnknownModel
from prompt_objects.llm.base import Completion, Request, RequestSent, TextChunk, Usage
from prompt_objects.llm.chat_api.client import OpenAILLM
from tests.support.chat_api_client import HELLO, KEY, failure, send
from tests.support.messages import sent_messages
from tests.support.openai_server import (
    Behaviour,
    Exchange,
    OpenAIServer,
    calls,
    chunk,
    error,
    hang,
    status,
    stream,
    text,
)

READ_FILE = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}


def bodies(server: OpenAIServer) -> list[dict[str, Any]]:
    return [received.body for received in server.received]


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
        assert isinstance(await anext(parts), RequestSent)
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


async def test_lone_surrogates_are_replaced_in_requests(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(text("Yes."))
    await send(llm, Request([{"role": "user", "content": "caf\udce9 é"}]))
    assert openai_server.received[0].body["messages"][0]["content"] == "caf\ufffd é"


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


async def test_streams_that_start_at_the_same_time_share_one_client(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    before = sum(isinstance(each, AsyncOpenAI) for each in gc.get_objects())
    openai_server.script(*[text("Yes.")] * 20)
    await asyncio.gather(*(send(llm) for _ in range(20)))
    assert sum(isinstance(each, AsyncOpenAI) for each in gc.get_objects()) <= before + 1
