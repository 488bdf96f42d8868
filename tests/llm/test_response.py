"""How an answer is put together from whatever servers send."""

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


def piece_of(name: str) -> dict[str, Any]:
    return {"id": "call_0", "function": {"name": name, "arguments": "{}"}}


def completed(*chunks: object) -> Completion:
    answer = ResponseBuilder()
    for chunk in (*chunks, delta("stop")):
        answer.add(chunk)
    return answer.completion()


def calls(*chunks: object) -> list[tuple[str, str]]:
    """Return the name and the arguments of each call, having checked that the ids tell them apart."""
    made = completed(*chunks).message["tool_calls"]
    assert len({call["id"] for call in made}) == len(made)
    assert all(call["id"] for call in made)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in made]


def test_pieces_of_several_calls_may_alternate() -> None:
    assert calls(
        piece(0, "a", name="read", arguments=""),
        piece(1, "b", name="write", arguments=""),
        piece(0, arguments='{"n"'),
        piece(1, arguments='{"m"'),
        piece(0, arguments=": 1}"),
        piece(1, arguments=": 2}"),
    ) == [("read", '{"n": 1}'), ("write", '{"m": 2}')]


def test_a_whole_call_may_come_at_once_without_index_and_id() -> None:
    assert calls(piece(name="read", arguments='{"n": 1}')) == [("read", '{"n": 1}')]


def test_several_whole_calls_without_index_and_id_are_several() -> None:
    whole = piece(name="read", arguments='{"n": 1}')
    assert calls(whole, whole) == [("read", '{"n": 1}')] * 2


def test_calls_that_all_say_index_0_are_told_apart_by_id() -> None:
    assert calls(piece(0, "a", name="read", arguments="{}"), piece(0, "b", name="write", arguments="{}")) == [
        ("read", "{}"),
        ("write", "{}"),
    ]


def test_calls_that_all_say_index_0_without_id_are_told_apart_by_being_whole() -> None:
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


def test_two_calls_with_the_same_id_get_ids_of_their_own() -> None:
    assert calls(piece(0, "a", name="read"), piece(1, "a", name="read")) == [("read", "{}")] * 2


def test_ids_that_come_again_with_each_answer_are_told_apart() -> None:
    answers = [completed(piece(0, "call_0", name="read")) for _ in range(50)]
    ids = {answer.message["tool_calls"][0]["id"] for answer in answers}
    assert len(ids) == 50
    assert all(len(call_id) == 9 and call_id.isascii() and call_id.isalnum() for call_id in ids)


def test_an_answer_that_came_all_at_once_is_an_answer() -> None:
    message = {"content": "Look:", "tool_calls": [piece_of("read"), piece_of("write")]}
    answer = ResponseBuilder()
    assert answer.add({"choices": [{"message": message, "finish_reason": "tool_calls"}]}) == "Look:"
    made = answer.completion().message["tool_calls"]
    assert [call["function"]["name"] for call in made] == ["read", "write"]


@pytest.mark.parametrize(
    "endless", [delta(content="a" * 1_000_000), piece(0, "a", name="b", arguments="a" * 1_000_000)]
)
def test_an_answer_beyond_any_length_makes_no_sense(endless: dict[str, Any]) -> None:
    with pytest.raises(MalformedResponse, match="response that is too long"):
        completed(*[endless] * 11)


def test_a_call_without_a_name_makes_no_sense() -> None:
    with pytest.raises(MalformedResponse, match="call without a name"):
        completed(piece(0, "a", arguments="{}"))


def test_a_refusal_is_what_is_said_and_is_marked() -> None:
    answer = ResponseBuilder()
    assert answer.add(delta(refusal="I will not.")) == "I will not."
    answer.add(delta("stop"))
    assert answer.completion().message == {"role": "assistant", "content": "I will not.", "refusal": "I will not."}


def test_the_servers_finish_reason_is_kept() -> None:
    answer = ResponseBuilder()
    answer.add(delta("length", content="Half"))
    assert answer.completion().finish_reason == "length"


@pytest.mark.parametrize(
    "usage",
    [5, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1, "prompt_tokens_details": 3}, {"prompt_tokens": 10**30}],
    ids=repr,
)
def test_usage_in_no_known_form_counts_nothing(usage: object) -> None:
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


def test_no_more_tokens_were_cached_than_were_sent() -> None:
    answer = ResponseBuilder()
    answer.add({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]})
    answer.add({"choices": [], "usage": {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}})
    assert answer.completion().usage == Usage(prompt=3, completion=0, cached=3)


CHUNKS = parts(choices=CHOICES, usage=parts(prompt_tokens=st.just(1), prompt_tokens_details=JUNK))


@given(st.lists(CHUNKS, max_size=4))
def test_whatever_comes_is_an_answer_or_nonsense_and_nothing_else(chunks: list[object]) -> None:
    try:
        completion = completed(*chunks)
    except MalformedResponse:
        return
    assert isinstance(completion.message["content"], str)
    for call in completion.message.get("tool_calls", []):
        assert all(isinstance(call["function"][key], str) for key in ("name", "arguments"))
