"""The rehearsal: honest, deterministic, and able to use every capability."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.llm.base import Completion, Request, TextChunk
from prompt_objects.llm.rehearsal import Rehearsal, split_words
from prompt_objects.llm.rehearsal.calls import functions_by_name, plan_calls
from prompt_objects.message import Message


def function(name: str, required: tuple[str, ...] = (), description: str = "", **types: str) -> dict[str, Any]:
    properties = {key: {"type": kind} for key, kind in types.items()}
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def po(name: str, description: str = "") -> dict[str, Any]:
    return function(name, ("message",), description, message="string")


TOOLS = [
    function("read_file", ("path",), path="string", limit="integer", whole="boolean", parts="array"),
    po("reader"),
]
TEAM = [po("writer", "Writes for a reader"), po("reader", "Reads the files of this folder"), po("critic")]
FILE_TOOLS = [
    function("list_files", path="string"),
    function("read_file", ("path",), path="string"),
    function("write_file", ("path", "content"), path="string", content="string"),
    function("http_get", ("url",), url="string"),
]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


async def respond(*messages: Message, tools: list[dict[str, Any]] = TOOLS) -> Completion:
    request = Request([{"role": "system", "content": "You review diffs."}, *messages], tools)
    *texts, completion = [part async for part in Rehearsal(pause=0).stream(request)]
    assert isinstance(completion, Completion)
    assert "".join(part.text for part in texts if isinstance(part, TextChunk)) == completion.message["content"]
    return completion


async def calls(text: str, tools: list[dict[str, Any]] = TOOLS) -> list[tuple[str, dict[str, Any]]]:
    tool_calls = (await respond(user(text), tools=tools)).message.get("tool_calls", [])
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in tool_calls]


async def test_a_plain_response_begins_with_how_to_get_a_model() -> None:
    content = (await respond(user("What is a session?"))).message["content"]
    first = content.split("\n")[0]
    assert first.startswith("This is a rehearsal without a model")
    assert "OPENAI_API_KEY" in first
    assert "You review diffs." in content
    assert "`call read_file path=…`" in content
    assert "`Ask reader what is in objects/`" in content


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


async def test_prompt_objects_that_a_message_names_get_what_it_says_to_them() -> None:
    assert await calls("Ask reader and critic what is in README.md.", TEAM) == [
        ("reader", {"message": "what is in README.md."}),
        ("critic", {"message": "what is in README.md."}),
    ]
    assert await calls("What does the critic say about a plan?", TEAM) == [
        ("critic", {"message": "What does you say about a plan?"})
    ]


async def test_a_prompt_object_does_not_get_what_is_said_to_others() -> None:
    assert await calls("We sow beans. reader, look at a.md. Then tell writer to write b.md.", TEAM) == [
        ("reader", {"message": "We sow beans. look at a.md."}),
        ("writer", {"message": "We sow beans. write b.md."}),
    ]


async def test_a_name_within_another_word_or_a_path_is_no_name() -> None:
    assert await calls("proofreader, reader-like, my/reader, reader.txt", [po("reader")]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Use read_file for a.md and b.md", [("read_file", {"path": "a.md"}), ("read_file", {"path": "b.md"})]),
        (
            'list_files in objects/, then write_file to "my notes.txt": "Two words"',
            [("list_files", {"path": "objects"}), ("write_file", {"path": "notes.txt", "content": "my notes.txt"})],
        ),
        ("write_file hi.txt “Hello”", [("write_file", {"path": "hi.txt", "content": "Hello"})]),
        ("http_get https://example.com/a.md", [("http_get", {"url": "https://example.com/a.md"})]),
        ("list_files", [("list_files", {})]),
    ],
)
async def test_a_tool_that_a_message_names_gets_the_paths_and_texts_after_its_name(
    text: str, expected: list[tuple[str, dict[str, Any]]]
) -> None:
    assert await calls(text, FILE_TOOLS) == expected


async def test_a_named_tool_without_its_arguments_is_explained() -> None:
    content = (await respond(user("Use write_file for a.md"), tools=FILE_TOOLS)).message["content"]
    assert content == "`write_file` needs `content`. For example: `call write_file path=… content=…`"


async def test_files_and_folders_that_a_message_names_are_read() -> None:
    assert await calls("Compare README.md and docs/a.md, both in docs/.", FILE_TOOLS) == [
        ("list_files", {"path": "docs"}),
        ("read_file", {"path": "README.md"}),
        ("read_file", {"path": "docs/a.md"}),
    ]
    assert await calls("Hello, e.g. version 1.2 of https://example.com/a.md", FILE_TOOLS) == []


async def test_without_a_tool_for_files_a_prompt_object_that_reads_is_asked() -> None:
    assert await calls("What is in README.md?", TEAM) == [("reader", {"message": "What is in README.md?"})]
    assert await calls("What is a session?", TEAM) == []


WORDS = st.sampled_from(
    [
        "Ask",
        "reader",
        "critic",
        "and",
        "to",
        ":",
        "call",
        "write_file",
        "a.md",
        "docs/",
        '"',
        "“",
        ".",
        "\n",
        "you",
        "=",
        "{",
    ]
)


@given(st.lists(WORDS | st.text(max_size=3), max_size=15).map(" ".join))
def test_any_message_leads_to_calls_that_the_protocol_allows(text: str) -> None:
    functions = functions_by_name([*TEAM, *FILE_TOOLS])
    calls, problems = plan_calls(text, functions)
    for call in calls:
        assert call.name in functions
        assert json.loads(call.as_function()["arguments"]) == call.arguments
        if call.name in {"reader", "critic", "writer"}:
            assert list(call.arguments) == ["message"]
    assert all(problem.strip() for problem in problems)


async def answer(request: str, *results: str, tools: list[dict[str, Any]]) -> str:
    """Return the answer after the calls of a message returned these results."""
    called = (await respond(user(request), tools=tools)).message
    ids = [call["id"] for call in called["tool_calls"]]
    returned = [
        {"role": "tool", "tool_call_id": call_id, "content": text} for call_id, text in zip(ids, results, strict=True)
    ]
    completion = await respond(user(request), called, *returned, tools=tools)
    assert completion.finish_reason == "stop"
    return str(completion.message["content"])


async def test_the_beginning_of_a_file_is_quoted_as_what_it_is() -> None:
    assert await answer("a.md", "# A\n\nText.", tools=FILE_TOOLS) == "From **a.md**:\n\n> # A\n>\n> Text."
    quoted = await answer("a.yaml", "```\n" + "x" * 5000, tools=FILE_TOOLS)
    assert quoted.startswith("From **a.yaml**:\n\n````yaml\n```\nxxx")
    assert quoted.endswith("x …\n````")
    assert len(quoted) < 500


async def test_results_of_tools_are_quoted_with_the_name_of_the_tool() -> None:
    assert await answer("list_files", "a\nb", tools=FILE_TOOLS) == "**list_files** returned:\n\n```text\na\nb\n```"
    assert await answer("a.md", "Error: There is no file.", tools=FILE_TOOLS) == (
        "**read_file**: Error: There is no file."
    )


async def test_a_refusal_of_the_user_is_not_repeated() -> None:
    refusal = "Error: The user did not allow read_file. Do not try it again; answer with what you have."
    assert await answer("a.md", refusal, tools=FILE_TOOLS) == "**read_file** did not run."


async def test_replies_of_prompt_objects_are_quoted_in_one_line_each() -> None:
    found = "From **a.md**:\n\n> # A\n>\n> Text."
    assert await answer("reader and critic: read a.md", found, "```yaml\n" + "long " * 100, tools=TEAM) == (
        f"- **reader**: From a.md: A Text.\n- **critic**: {'long ' * 28}…"
    )


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


async def test_the_introduction_says_that_the_prompt_goes_on_after_a_colon() -> None:
    for prompt, shown in {"You can ask:": "begins: You can ask: …", "You review.": "begins: You review."}.items():
        request = Request([{"role": "system", "content": prompt}, user("hi")])
        *_, completion = [part async for part in Rehearsal(pause=0).stream(request)]
        assert isinstance(completion, Completion)
        assert completion.message["content"].endswith(shown)
