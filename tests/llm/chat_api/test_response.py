"""Responses built from the chunks of various servers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.llm.base import Completion, Usage
from prompt_objects.llm.chat_api.response import MalformedResponse, ResponseBuilder
from tests.support.chunks import complete_call, delta, piece


def completed(*chunks: object) -> Completion:
    builder = ResponseBuilder()
    for chunk in (*chunks, delta("stop")):
        builder.add(chunk)
    return builder.completion()


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


def test_a_refusal_is_text_with_a_mark() -> None:
    builder = ResponseBuilder()
    assert builder.add(delta(refusal="I will not.")) == "I will not."
    builder.add(delta("stop"))
    assert builder.completion().message == {"role": "assistant", "content": "I will not.", "refusal": "I will not."}


@pytest.mark.parametrize(
    ("reason", "kept", "is_complete"),
    [
        ("stop", "stop", True),
        ("STOP", "STOP", True),
        ("eos_token", "eos_token", True),
        ("length", "length", False),
        ("insufficient_system_resource", "insufficient_system_resource", False),
        ("model_length", "model_length", False),
        ("\x1b[31mred", "unknown", False),
    ],
)
def test_the_servers_finish_reason_is_kept(reason: str, kept: str, is_complete: bool) -> None:
    builder = ResponseBuilder()
    builder.add(delta(reason, content="Half"))
    assert builder.completion().finish_reason == kept
    assert builder.is_complete is is_complete


def test_the_end_of_the_stream_completes_a_response_without_a_finish_reason() -> None:
    builder = ResponseBuilder()
    builder.add(delta(content="All"))
    with pytest.raises(MalformedResponse, match="ended in the middle"):
        builder.completion()
    builder.end()
    assert builder.completion().finish_reason == "stop"


@pytest.mark.parametrize("reason", ["", "null", "None", None, 3])
def test_a_finish_reason_that_is_none_does_not_count(reason: Any) -> None:
    builder = ResponseBuilder()
    builder.add(delta(reason, content="Half"))
    assert builder.finish_reason == ""
    assert not builder.is_complete


def test_a_finish_reason_in_each_chunk_ends_nothing() -> None:
    builder = ResponseBuilder()
    builder.add(delta("stop", reasoning_content="hmm"))
    assert builder.last_seconds > 1
    builder.add(delta("stop", content="It is "))
    assert not builder.is_complete
    builder.add(delta("stop", content="4."))
    assert not builder.is_complete
    assert builder.completion().message["content"] == "It is 4."
    builder.end()
    assert builder.is_complete


def test_a_finish_reason_without_text_is_followed_by_the_usage_at_most() -> None:
    builder = ResponseBuilder()
    builder.add(delta(content="4."))
    builder.add(delta("stop"))
    assert 0 < builder.last_seconds <= 1
    builder.add({"choices": [], "usage": {"prompt_tokens": 1}})
    assert builder.is_complete
    assert builder.last_seconds == 0


def test_content_in_parts_is_text_without_the_thoughts() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}
    chunks = [
        delta(content=[thought]),
        delta(content="The "),
        delta(content=[{"type": "text", "text": "answer"}, {"text": " is"}, " 4", None]),
        delta(content={"type": "text", "text": "."}),
    ]
    assert completed(*chunks).message == {"role": "assistant", "content": "The answer is 4."}


@pytest.mark.parametrize(
    "thoughts",
    [
        [delta(reasoning_content="It is "), delta(reasoning_content="4.")],
        [delta(reasoning="It is "), delta(reasoning="4.")],
        [delta(content=[{"type": "thinking", "thinking": "It is 4."}])],
    ],
    ids=["reasoning_content", "reasoning", "parts"],
)
def test_reasoning_without_an_answer_is_shown_with_a_notice(thoughts: list[object]) -> None:
    completion = completed(*thoughts)
    assert completion.message["content"] == "It is 4."
    assert "only its reasoning" in completion.notices[0]
    answer = completed(*thoughts, delta(content="Four."))
    assert (answer.message["content"], answer.notices) == ("Four.", ())


def test_a_complete_message_after_its_pieces_is_a_repetition() -> None:
    call = {"id": "a", "function": {"name": "read", "arguments": '{"n": 1}'}}
    pieces = delta(content="Look:", tool_calls=[{**call, "index": 0}], reasoning_content="hmm")
    repeated = {"content": "Look: here", "tool_calls": [call], "reasoning_content": "hmm"}
    message = completed(pieces, {"choices": [{"message": repeated}]}).message
    assert message["content"] == "Look: here"
    assert len(message["tool_calls"]) == 1
    assert message["extra"]["message"] == {"reasoning_content": "hmm"}


def test_unknown_fields_are_kept_with_the_address_of_their_server() -> None:
    builder = ResponseBuilder("https://one.example")
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "read"}, "extra_content": {"key": "S"}}
    builder.add(delta(reasoning_content="I ", role="assistant"))
    builder.add(delta("tool_calls", reasoning_content="see", tool_calls=[call]))
    message = builder.completion().message
    (call_id,) = (call["id"] for call in message["tool_calls"])
    assert message["extra"] == {
        "server": "https://one.example",
        "message": {"reasoning_content": "I see"},
        "calls": {call_id: {"extra_content": {"key": "S"}}},
    }
    assert message["content"] == ""


def test_a_character_in_two_chunks_is_joined_and_half_of_one_is_replaced() -> None:
    builder = ResponseBuilder()
    texts = [builder.add(delta(content=text)) for text in ("é \ud83d", "\ude00", "", " \ud800 x \udc00", "\ud800")]
    assert texts == ["é ", "😀", "", " � x �", ""]


def test_fields_are_kept_as_strict_json() -> None:
    fields = {"a": float("nan"), "b\ud800": [float("inf"), {"\udfff": "\ud800é"}]}
    builder = ResponseBuilder("server")
    builder.add({"choices": [{"delta": {"content": "Hi", **fields}, "finish_reason": "stop"}]})
    assert builder.completion().message["extra"]["message"] == {"a": None, "b\ufffd": [None, {"\ufffd": "\ufffdé"}]}


@pytest.mark.parametrize("fields", [{"tool_calls": [{"index": 0, "x": None}]}, {"x": None}], ids=["call", "message"])
def test_a_field_that_is_nested_too_deeply_is_malformed(fields: dict[str, Any]) -> None:
    deep: Any = {}
    for _ in range(200):
        deep = [deep]
    target = fields["tool_calls"][0] if "tool_calls" in fields else fields
    target["x"] = deep
    with pytest.raises(MalformedResponse, match="nested too deeply"):
        ResponseBuilder().add(delta(**fields))


@pytest.mark.parametrize(
    "usage",
    [5, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1, "prompt_tokens_details": 3}, {"prompt_tokens": 10**30}],
    ids=repr,
)
def test_invalid_usage_counts_nothing(usage: object) -> None:
    assert completed(delta(content="a"), {"choices": [], "usage": usage}).usage == Usage()


def test_the_number_of_fields_is_limited() -> None:
    with pytest.raises(MalformedResponse, match="extra fields"):
        ResponseBuilder().add({"choices": [{"delta": {f"field_{number}": 1 for number in range(200)}}]})


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "text", "{}", [], {}, [None], {"id": 1}, [[]], {"name": {}}]
)


def parts(**plausible: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Make objects with some of these keys, each plausible or junk; or junk instead of the object."""
    return JUNK | st.fixed_dictionaries({}, optional={key: JUNK | value for key, value in plausible.items()})


FUNCTIONS = parts(name=st.sampled_from(["read", "write"]), arguments=st.sampled_from(['{"n"', ": 1}", "{}"]))
PIECES = st.lists(parts(index=st.integers(0, 2), id=st.sampled_from("ab"), function=FUNCTIONS), max_size=3)
DELTAS = parts(
    content=st.just("Hello"),
    refusal=st.just("No"),
    reasoning=st.just("hm"),
    function_call=FUNCTIONS,
    tool_calls=PIECES | st.just([{}] * 2000),
)
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
