"""The rehearsal: honest, deterministic, and able to use every capability."""

import json
from typing import Any

from prompt_objects.llm.base import Completion, Request, TextChunk
from prompt_objects.llm.rehearsal import Rehearsal, words
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


async def answer(*messages: Message, tools: list[dict[str, Any]] = TOOLS) -> Completion:
    request = Request([{"role": "system", "content": "You review diffs."}, *messages], tools)
    *texts, completion = [part async for part in Rehearsal(pause=0).stream(request)]
    assert isinstance(completion, Completion)
    assert "".join(part.text for part in texts if isinstance(part, TextChunk)) == completion.message["content"]
    return completion


async def calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    made = (await answer(user(text))).message.get("tool_calls", [])
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made]


async def test_a_plain_answer_says_at_once_that_it_is_no_model_and_how_to_get_one() -> None:
    content = (await answer(user("What is a session?"))).message["content"]
    first = content.split("\n")[0]
    assert first.startswith("This is a rehearsal without a model")
    assert "OPENAI_API_KEY" in first
    assert "What is a session?" in content
    assert "You review diffs." in content
    assert "`call read_file path=…`" in content
    assert "`ask reader: …`" in content


async def test_it_answers_the_same_to_the_same() -> None:
    assert await answer(user("call read_file path=a")) == await answer(user("call read_file path=a"))


async def test_it_streams_word_by_word() -> None:
    request = Request([user("Hello")])
    texts = [part.text async for part in Rehearsal(pause=0).stream(request) if isinstance(part, TextChunk)]
    assert texts[:3] == ["This ", "is ", "a "]


def test_words_lose_nothing() -> None:
    for text in ("", " ", "a", " a  b\n\nc ", "\n"):
        assert "".join(words(text)) == text


async def test_call_takes_pairs_quoted_as_in_a_shell_and_typed_as_the_schema_says() -> None:
    assert await calls("call read_file path='my file.txt' limit=5 whole=true parts=[1,2]") == [
        ("read_file", {"path": "my file.txt", "limit": 5, "whole": True, "parts": [1, 2]})
    ]


async def test_what_does_not_fit_the_schema_stays_text_so_that_the_capability_can_complain() -> None:
    assert await calls("call read_file limit=many other=1") == [("read_file", {"limit": "many", "other": "1"})]


async def test_call_takes_a_json_object() -> None:
    assert await calls('call read_file {"path": "a", "limit": 2}') == [("read_file", {"path": "a", "limit": 2})]


async def test_ask_sends_a_message() -> None:
    assert await calls("Ask reader: call read_file path=a") == [("reader", {"message": "call read_file path=a"})]


async def test_several_lines_are_calls_side_by_side_with_ids_of_their_own() -> None:
    message = (await answer(user("Please\ncall read_file path=a\n  ask reader: What is b?\nThanks"))).message
    assert [call["id"] for call in message["tool_calls"]] == ["call_1", "call_2"]


async def test_ids_go_on_where_the_conversation_left_off() -> None:
    first = (await answer(user("call read_file path=a"))).message
    result = {"role": "tool", "tool_call_id": "call_1", "content": "A"}
    second = await answer(user("call read_file path=a"), first, result, user("call read_file path=b"))
    assert [call["id"] for call in second.message["tool_calls"]] == ["call_2"]


async def test_results_are_told_by_name_and_quoted_with_a_bound() -> None:
    asked = user("call read_file path=a\nask reader: Hello")
    called = (await answer(asked)).message
    results = [
        {"role": "tool", "tool_call_id": "call_1", "content": "```\n" + "x" * 5000},
        {"role": "tool", "tool_call_id": "call_2", "content": "Good day."},
    ]
    completion = await answer(asked, called, *results)
    content = completion.message["content"]
    assert completion.finish_reason == "stop"
    assert content.startswith("2 results came back.")
    assert "**read_file** answered 5004 characters:\n\n````text\n```" in content
    assert "**reader** answered 9 characters:\n\n```text\nGood day.\n```" in content
    assert len(content) < 800


async def test_an_unknown_capability_is_answered_with_those_there_are() -> None:
    message = (await answer(user("call write_file path=a"))).message
    assert message["content"] == "There is no capability `write_file` here. There are: `read_file`, `reader`."
    assert "tool_calls" not in message


async def test_what_cannot_be_read_is_explained() -> None:
    assert "write arguments as `key=value`, not `a`" in (await answer(user("call read_file a"))).message["content"]
    assert "was not called" in (await answer(user("call read_file path='a"))).message["content"]
    assert "was not called" in (await answer(user("call read_file {nonsense"))).message["content"]


async def test_prose_that_mentions_calls_calls_nothing() -> None:
    assert await calls("You may call read_file path=a if you like; ask readers.") == []


async def test_tokens_are_counted() -> None:
    usage = (await answer(user("Hello " * 100))).usage
    assert usage.prompt > 150
    assert usage.completion > 20
