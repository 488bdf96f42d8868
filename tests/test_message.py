from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.message import (
    OUTCOME_UNKNOWN,
    Message,
    call_arguments,
    calls_of,
    has_failed,
    is_unfinished,
    result_of,
    role_of,
    text_of,
    unanswered_calls,
)
from prompt_objects.utils.time import timestamp
from tests.support.messages import call, json_values


@pytest.mark.parametrize("failed", [True, False, None])
def test_a_result_has_a_failure_marker(failed: bool | None) -> None:
    for text in ("Error: the first line of a log", "All well"):
        result = result_of(call("a"), text, failed=failed)
        assert has_failed(result) is (text.startswith("Error: ") if failed is None else failed)


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


@pytest.mark.parametrize(
    "arguments",
    [
        *("{not json", "[1]", '"text"', "true", 7, [1], "[" * 100_000, '{"a": ' * 5000 + "1" + "}" * 5000),
        *('{"path": NaN}', '{"path": -Infinity}', '{"path": 1e999}', '{"path": "\\ud800"}', {"path": float("nan")}),
    ],
)
def test_arguments_that_are_no_object_in_strict_json_are_refused_in_words_for_a_model(arguments: object) -> None:
    with pytest.raises(ValueError, match="arguments") as caught:
        call_arguments(call("a", arguments=arguments))
    assert not any(word in str(caught.value) for word in ("NoneType", "str,", "list,", "recursion"))


@pytest.mark.parametrize(
    ("arguments", "meaning"),
    [
        (None, {}),
        ("", {}),
        ("null", {}),
        ('"null"', {}),
        ('"{\\"path\\": \\".\\"}"', {"path": "."}),
        ({"path": "."}, {"path": "."}),
        ('{"a": {"b": [1]}}', {"a": {"b": [1]}}),
    ],
    ids=repr,
)
def test_arguments_whose_meaning_is_plain_are_accepted(arguments: object, meaning: dict[str, Any]) -> None:
    assert call_arguments(call("a", arguments=arguments)) == meaning


def test_unanswered_calls_are_those_of_the_last_assistant_message_only() -> None:
    history: list[Message] = [
        {"role": "assistant", "content": "", "tool_calls": [call("old")]},
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    assert [each["id"] for each in unanswered_calls(history)] == ["b"]
    assert unanswered_calls([*history, {"role": "assistant", "content": "done"}]) == []


def test_a_function_call_of_the_older_form_is_a_call_that_a_function_message_answers() -> None:
    asked: Message = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert [each["function"]["name"] for each in unanswered_calls([asked])] == ["f"]
    assert unanswered_calls([asked, {"role": "function", "name": "f", "content": "1"}]) == []


def test_the_roles_of_other_programs_count_as_those_of_the_format() -> None:
    names = ["human", "ai", "Assistant", "function", "user", None, 3]
    roles = [role_of({"role": name, "content": ""}) for name in names]
    assert roles == ["user", "assistant", "assistant", "tool", "user", "", ""]
    assert is_unfinished([{"role": "ai", "content": "Hi"}, {"role": "human", "content": "Go on"}])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "one"}, {"type": "image_url"}, {"type": "text", "text": "two"}, 3], "one\ntwo"),
        ([{"text": "no type"}, "a string", {"type": "refusal", "refusal": "No."}], "no type\na string\nNo."),
        ([{"type": "text", "text": {"value": "of a thread", "annotations": []}}], "of a thread"),
        (5, "5"),
        (None, ""),
        (True, ""),
        ({"no": "text"}, ""),
    ],
    ids=repr,
)
def test_the_text_of_parts_and_numbers_is_found(content: object, text: str) -> None:
    assert text_of({"role": "user", "content": content}) == text


def test_timestamps_are_all_of_the_same_length() -> None:
    assert timestamp(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000000Z"
    assert len(timestamp()) == 27


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=4))
def test_reading_any_message_raises_nothing(message: Message) -> None:
    assert isinstance(text_of(message), str)
    assert isinstance(calls_of(message), list)
    assert isinstance(role_of(message), str)
