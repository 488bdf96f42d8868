"""Responses built from the chunks of various servers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.llm.base import Completion, Usage
from prompt_objects.llm.response import MalformedResponse, ResponseBuilder


def delta(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def piece(index: int | None = None, call_id: str | None = None, **function: Any) -> dict[str, Any]:
    """Build a chunk with a part of one call."""
    call: dict[str, Any] = {"function": function}
    if index is not None:
        call["index"] = index
    if call_id is not None:
        call["id"] = call_id
    return delta(tool_calls=[call])


def complete_call(name: str) -> dict[str, Any]:
    return {"id": "call_0", "function": {"name": name, "arguments": "{}"}}


def completed(*chunks: object) -> Completion:
    builder = ResponseBuilder()
    for chunk in (*chunks, delta("stop")):
        builder.add(chunk)
    return builder.completion()


def calls(*chunks: object) -> list[tuple[str, str]]:
    """Return the name and the arguments of each call; the ids must be unique."""
    tool_calls = completed(*chunks).message["tool_calls"]
    assert len({call["id"] for call in tool_calls}) == len(tool_calls)
    assert all(call["id"] for call in tool_calls)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in tool_calls]


def test_pieces_of_several_calls_may_alternate() -> None:
    assert calls(
        piece(0, "a", name="read", arguments=""),
        piece(1, "b", name="write", arguments=""),
        piece(0, arguments='{"n"'),
        piece(1, arguments='{"m"'),
        piece(0, arguments=": 1}"),
        piece(1, arguments=": 2}"),
    ) == [("read", '{"n": 1}'), ("write", '{"m": 2}')]


def test_a_complete_call_may_lack_index_and_id() -> None:
    assert calls(piece(name="read", arguments='{"n": 1}')) == [("read", '{"n": 1}')]


def test_complete_calls_without_index_and_id_stay_separate() -> None:
    complete = piece(name="read", arguments='{"n": 1}')
    assert calls(complete, complete) == [("read", '{"n": 1}')] * 2


def test_calls_with_the_same_index_are_distinguished_by_id() -> None:
    assert calls(piece(0, "a", name="read", arguments="{}"), piece(0, "b", name="write", arguments="{}")) == [
        ("read", "{}"),
        ("write", "{}"),
    ]


def test_calls_with_the_same_index_and_no_id_are_distinguished_by_being_complete() -> None:
    assert calls(piece(0, name="read", arguments='{"n": 1}'), piece(0, name="write", arguments="{}")) == [
        ("read", '{"n": 1}'),
        ("write", "{}"),
    ]


def test_a_name_that_is_repeated_with_each_piece_is_one_call() -> None:
    assert calls(piece(0, "a", name="read", arguments='{"n"'), piece(0, "a", name="read", arguments=": 1}")) == [
        ("read", '{"n": 1}')
    ]


def test_pieces_without_index_go_to_the_last_call() -> None:
    assert calls(piece(call_id="a", name="read"), piece(arguments='{"n": '), piece(arguments="1}")) == [
        ("read", '{"n": 1}')
    ]


def test_arguments_may_be_an_object() -> None:
    assert calls(piece(0, "a", name="read", arguments={"n": 1})) == [("read", '{"n": 1}')]


def test_missing_arguments_are_an_empty_object() -> None:
    assert calls(piece(0, "a", name="read")) == [("read", "{}")]


def test_two_calls_with_the_same_id_get_unique_ids() -> None:
    assert calls(piece(0, "a", name="read"), piece(1, "a", name="read")) == [("read", "{}")] * 2


def test_ids_that_servers_repeat_are_replaced_by_unique_ones() -> None:
    completions = [completed(piece(0, "call_0", name="read")) for _ in range(50)]
    ids = {completion.message["tool_calls"][0]["id"] for completion in completions}
    assert len(ids) == 50
    assert all(len(call_id) == 9 and call_id.isascii() and call_id.isalnum() for call_id in ids)


def test_a_response_that_was_not_streamed_is_accepted() -> None:
    message = {"content": "Look:", "tool_calls": [complete_call("read"), complete_call("write")]}
    builder = ResponseBuilder()
    assert builder.add({"choices": [{"message": message, "finish_reason": "tool_calls"}]}) == "Look:"
    tool_calls = builder.completion().message["tool_calls"]
    assert [call["function"]["name"] for call in tool_calls] == ["read", "write"]


@pytest.mark.parametrize(
    "endless", [delta(content="a" * 1_000_000), piece(0, "a", name="b", arguments="a" * 1_000_000)]
)
def test_a_response_over_the_maximum_length_is_malformed(endless: dict[str, Any]) -> None:
    with pytest.raises(MalformedResponse, match="response that is too long"):
        completed(*[endless] * 11)


def test_a_call_without_a_name_is_malformed() -> None:
    with pytest.raises(MalformedResponse, match="call without a name"):
        completed(piece(0, "a", arguments="{}"))


def test_a_refusal_is_text_with_a_mark() -> None:
    builder = ResponseBuilder()
    assert builder.add(delta(refusal="I will not.")) == "I will not."
    builder.add(delta("stop"))
    assert builder.completion().message == {"role": "assistant", "content": "I will not.", "refusal": "I will not."}


def test_the_servers_finish_reason_is_kept() -> None:
    builder = ResponseBuilder()
    builder.add(delta("length", content="Half"))
    assert builder.completion().finish_reason == "length"


@pytest.mark.parametrize(
    "usage",
    [5, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1, "prompt_tokens_details": 3}, {"prompt_tokens": 10**30}],
    ids=repr,
)
def test_invalid_usage_counts_nothing(usage: object) -> None:
    assert completed(delta(content="a"), {"choices": [], "usage": usage}).usage == Usage()


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "text", "{}", [], {}, [None], {"id": 1}, [[]], {"name": {}}]
)


def parts(**plausible: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Make objects with some of these keys, each plausible or junk; or junk instead of the object."""
    return JUNK | st.fixed_dictionaries({}, optional={key: JUNK | value for key, value in plausible.items()})


FUNCTIONS = parts(name=st.sampled_from(["read", "write"]), arguments=st.sampled_from(['{"n"', ": 1}", "{}"]))
CALLS = st.lists(parts(index=st.integers(0, 2), id=st.sampled_from("ab"), function=FUNCTIONS), max_size=3)
DELTAS = parts(content=st.just("Hello"), refusal=st.just("No"), tool_calls=CALLS)
CHOICES = st.lists(parts(delta=DELTAS, message=DELTAS, finish_reason=st.just("stop")), max_size=2)


def test_cached_tokens_are_at_most_the_prompt_tokens() -> None:
    builder = ResponseBuilder()
    builder.add({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]})
    builder.add({"choices": [], "usage": {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}})
    assert builder.completion().usage == Usage(prompt=3, completion=0, cached=3)


CHUNKS = parts(choices=CHOICES, usage=parts(prompt_tokens=st.just(1), prompt_tokens_details=JUNK))


@given(st.lists(CHUNKS, max_size=4))
def test_any_chunks_are_a_response_or_malformed(chunks: list[object]) -> None:
    try:
        completion = completed(*chunks)
    except MalformedResponse:
        return
    assert isinstance(completion.message["content"], str)
    for call in completion.message.get("tool_calls", []):
        assert all(isinstance(call["function"][key], str) for key in ("name", "arguments"))
