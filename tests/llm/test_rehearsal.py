"""The rehearsal: honest, deterministic, and able to use every capability."""

import json
from typing import Any

from prompt_objects.llm.base import Completion, Request, TextChunk
from prompt_objects.llm.rehearsal import Rehearsal, split_words
from prompt_objects.message import Message


def function(name: str, required: tuple[str, ...] = (), **types: str) -> dict[str, Any]:
    properties = {key: {"type": kind} for key, kind in types.items()}
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


TOOLS = [
    function("read_file", ("path",), path="string", limit="integer", whole="boolean", parts="array"),
    function("reader", ("message",), message="string"),
]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


async def respond(*messages: Message, tools: list[dict[str, Any]] = TOOLS) -> Completion:
    request = Request([{"role": "system", "content": "You review diffs."}, *messages], tools)
    *texts, completion = [part async for part in Rehearsal(pause=0).stream(request)]
    assert isinstance(completion, Completion)
    assert "".join(part.text for part in texts if isinstance(part, TextChunk)) == completion.message["content"]
    return completion


async def calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    tool_calls = (await respond(user(text))).message.get("tool_calls", [])
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in tool_calls]


async def test_a_plain_response_begins_with_how_to_get_a_model() -> None:
    content = (await respond(user("What is a session?"))).message["content"]
    first = content.split("\n")[0]
    assert first.startswith("This is a rehearsal without a model")
    assert "OPENAI_API_KEY" in first
    assert "What is a session?" in content
    assert "You review diffs." in content
    assert "`call read_file path=…`" in content
    assert "`ask reader: …`" in content


async def test_the_same_message_gets_the_same_response() -> None:
    assert await respond(user("call read_file path=a")) == await respond(user("call read_file path=a"))


async def test_it_streams_word_by_word() -> None:
    request = Request([user("Hello")])
    texts = [part.text async for part in Rehearsal(pause=0).stream(request) if isinstance(part, TextChunk)]
    assert texts[:3] == ["This ", "is ", "a "]


def test_splitting_into_words_loses_nothing() -> None:
    for text in ("", " ", "a", " a  b\n\nc ", "\n"):
        assert "".join(split_words(text)) == text


async def test_call_takes_pairs_with_shell_quoting_and_types_of_the_schema() -> None:
    assert await calls("call read_file path='my file.txt' limit=5 whole=true parts=[1,2]") == [
        ("read_file", {"path": "my file.txt", "limit": 5, "whole": True, "parts": [1, 2]})
    ]


async def test_values_that_do_not_match_the_schema_stay_text() -> None:
    assert await calls("call read_file limit=many other=1") == [("read_file", {"limit": "many", "other": "1"})]


async def test_call_takes_a_json_object() -> None:
    assert await calls('call read_file {"path": "a", "limit": 2}') == [("read_file", {"path": "a", "limit": 2})]


async def test_ask_sends_a_message() -> None:
    assert await calls("Ask reader: call read_file path=a") == [("reader", {"message": "call read_file path=a"})]


async def test_several_lines_are_parallel_calls_with_their_own_ids() -> None:
    message = (await respond(user("Please\ncall read_file path=a\n  ask reader: What is b?\nThanks"))).message
    assert [call["id"] for call in message["tool_calls"]] == ["call_1", "call_2"]


async def test_ids_continue_through_the_conversation() -> None:
    first = (await respond(user("call read_file path=a"))).message
    result = {"role": "tool", "tool_call_id": "call_1", "content": "A"}
    second = await respond(user("call read_file path=a"), first, result, user("call read_file path=b"))
    assert [call["id"] for call in second.message["tool_calls"]] == ["call_2"]


async def test_results_are_named_and_quoted_up_to_a_limit() -> None:
    request = user("call read_file path=a\nask reader: Hello")
    called = (await respond(request)).message
    results = [
        {"role": "tool", "tool_call_id": "call_1", "content": "```\n" + "x" * 5000},
        {"role": "tool", "tool_call_id": "call_2", "content": "Good day."},
    ]
    completion = await respond(request, called, *results)
    content = completion.message["content"]
    assert completion.finish_reason == "stop"
    assert content.startswith("2 results:")
    assert "**read_file** returned 5,004 characters:\n\n````text\n```" in content
    assert "**reader** returned 9 characters:\n\n```text\nGood day.\n```" in content
    assert len(content) < 800


async def test_an_unknown_capability_gets_the_list_of_available_ones() -> None:
    message = (await respond(user("call write_file path=a"))).message
    assert message["content"] == "There is no capability `write_file`. Available: `read_file`, `reader`."
    assert "tool_calls" not in message


async def test_invalid_arguments_are_explained() -> None:
    assert "write arguments as `key=value`, not `a`" in (await respond(user("call read_file a"))).message["content"]
    assert "was not called" in (await respond(user("call read_file path='a"))).message["content"]
    assert "was not called" in (await respond(user("call read_file {nonsense"))).message["content"]


async def test_a_call_within_a_sentence_is_not_a_command() -> None:
    assert await calls("You may call read_file path=a if you like; ask readers.") == []


async def test_tokens_are_counted() -> None:
    usage = (await respond(user("Hello " * 100))).usage
    assert usage.prompt > 150
    assert usage.completion > 20
