from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_objects.message import (
    OUTCOME_UNKNOWN,
    Message,
    call_arguments,
    calls_of,
    has_failed,
    request_messages,
    result_of,
    text_of,
    unanswered_calls,
)
from prompt_objects.utils.time import timestamp
from tests.support.strict_protocol import violations


def call(call_id: str, name: str = "read_file", arguments: object = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_request_is_the_prompt_then_the_history_with_chat_keys_only() -> None:
    history: list[Message] = [
        {"role": "user", "content": "Hi", "at": "2026-01-01T00:00:00.000000Z"},
        {"role": "assistant", "content": "Hello", "model": "m", "usage": {}, "interrupted": "cancelled"},
    ]
    assert request_messages("Be kind.", history) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
    ]


def test_results_follow_their_calls_in_call_order() -> None:
    history: list[Message] = [
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]},
        {"role": "user", "content": "from another window"},
        {"role": "tool", "tool_call_id": "b", "content": "B"},
        {"role": "tool", "tool_call_id": "a", "content": "A"},
        {"role": "tool", "tool_call_id": "nobody", "content": "?"},
    ]
    sent = request_messages("", history)
    assert [m.get("tool_call_id") for m in sent] == [None, None, "a", "b", None]
    assert [m["content"] for m in sent[2:]] == ["A", "B", "from another window"]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    sent = request_messages("", [{"role": "assistant", "content": "", "tool_calls": [call("a")]}])
    assert "unknown" in sent[-1]["content"]


@pytest.mark.parametrize("failed", [True, False, None])
def test_a_result_has_a_failure_marker_that_is_not_sent(failed: bool | None) -> None:
    for text in ("Error: the first line of a log", "All well"):
        result = result_of(call("a"), text, failed=failed)
        assert has_failed(result) is (text.startswith("Error: ") if failed is None else failed)
        sent = request_messages("", [{"role": "assistant", "content": "", "tool_calls": [call("a")]}, result])
        assert sent[-1] == {"role": "tool", "tool_call_id": "a", "content": text}


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("Error: no such file", True),
        ("Cancelled before it began; it had no effect.", True),
        (OUTCOME_UNKNOWN, None),
        ("No error: all well", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("more", [{}, {"failed": None}, {"failed": "no"}])
def test_a_result_that_does_not_say_whether_its_call_failed_is_judged_by_its_text(
    text: str, failed: bool | None, more: dict[str, Any]
) -> None:
    assert has_failed({"role": "tool", "tool_call_id": "a", "content": text, **more}) is failed


def test_a_replaced_reply_is_not_sent() -> None:
    history: list[Message] = [
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "old"},
        {"role": "assistant", "content": "new", "replaces": [1, 2]},
        {"role": "user", "content": "2"},
    ]
    assert [m["content"] for m in request_messages("p", history)] == ["p", "1", "new", "2"]


@pytest.mark.parametrize("arguments", ["{not json", "[1]", "null", '"text"', 7, "[" * 100_000])
def test_arguments_that_are_no_object_are_refused_in_words_and_sent_as_an_empty_object(arguments: object) -> None:
    broken = call("a", arguments=arguments)
    with pytest.raises(ValueError, match="arguments"):
        call_arguments(broken)
    sent = request_messages("", [{"role": "assistant", "content": "", "tool_calls": [broken]}])
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_unanswered_calls_are_those_of_the_last_assistant_message_only() -> None:
    history: list[Message] = [
        {"role": "assistant", "content": "", "tool_calls": [call("old")]},
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    assert [each["id"] for each in unanswered_calls(history)] == ["b"]
    assert unanswered_calls([*history, {"role": "assistant", "content": "done"}]) == []


def test_text_of_a_list_of_parts_is_their_texts() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "image_url"}, {"type": "text", "text": "two"}, 3]
    assert text_of({"role": "user", "content": parts}) == "one\ntwo"


def test_timestamps_are_all_of_the_same_length() -> None:
    assert timestamp(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000000Z"
    assert len(timestamp()) == 27


def test_ids_that_a_server_used_before_are_made_unique() -> None:
    turn: list[Message] = [
        {"role": "assistant", "content": "", "tool_calls": [call("call_0")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "result"},
    ]
    sent = request_messages("", [*turn, *turn])
    assert violations(sent) == []
    assert [m["content"] for m in sent if m["role"] == "tool"] == ["result", "result"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ids = st.sampled_from(["a", "b", "c", "d"])
some_calls = st.fixed_dictionaries(
    {"id": ids | json_values, "function": st.fixed_dictionaries({"name": json_values, "arguments": json_values})}
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"]), "content": json_values},
    optional={
        "tool_calls": json_values | st.lists(some_calls | json_values, max_size=3),
        "tool_call_id": ids,
        "replaces": json_values,
    },
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(messages, max_size=8))
def test_a_strict_server_accepts_the_request_for_any_history(history: list[Message]) -> None:
    assert violations(request_messages("prompt", history)) == []


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=4))
def test_reading_any_message_raises_nothing(message: Message) -> None:
    assert isinstance(text_of(message), str)
    assert isinstance(calls_of(message), list)
