"""Any history becomes a request that strict servers accept, and no text of it is left out."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_objects.message import Message, result_of
from tests.support.messages import call, json_values, sent_messages
from tests.support.strict_protocol import request_violations

GO: Message = {"role": "user", "content": "Go"}


def test_a_request_is_the_prompt_then_the_history_with_chat_keys_only() -> None:
    history: list[Message] = [
        {"role": "user", "content": "Hi", "at": "2026-01-01T00:00:00.000000Z"},
        {"role": "assistant", "content": "Hello", "model": "m", "usage": {}, "interrupted": "cancelled"},
    ]
    assert sent_messages("Be kind.", history) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
    ]


def test_results_follow_their_calls_in_call_order() -> None:
    history: list[Message] = [
        GO,
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]},
        {"role": "user", "content": "from another window"},
        {"role": "tool", "tool_call_id": "b", "content": "B"},
        {"role": "tool", "tool_call_id": "a", "content": "A"},
        {"role": "tool", "tool_call_id": "nobody", "content": "?"},
    ]
    sent = sent_messages("", history)
    assert [m.get("tool_call_id") for m in sent] == [None, None, None, "a", "b", None]
    assert [m["content"] for m in sent[3:]] == ["A", "B", "from another window\n\n[Result of a call] ?"]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    sent = sent_messages("", [GO, {"role": "assistant", "content": "", "tool_calls": [call("a")]}])
    assert "unknown" in sent[-1]["content"]


@pytest.mark.parametrize("failed", [True, False, None])
def test_the_failure_marker_of_a_result_is_not_sent(failed: bool | None) -> None:
    asked: Message = {"role": "assistant", "content": "", "tool_calls": [call("a")]}
    sent = sent_messages("", [GO, asked, result_of(call("a"), "All well", failed=failed)])
    assert sent[-1] == {"role": "tool", "tool_call_id": "a", "content": "All well"}


def test_a_replaced_reply_is_not_sent() -> None:
    history: list[Message] = [
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "old"},
        {"role": "assistant", "content": "new", "replaces": [1, 2]},
        {"role": "user", "content": "2"},
    ]
    assert [m["content"] for m in sent_messages("p", history)] == ["p", "1", "new", "2"]


def test_ids_that_a_server_used_before_are_made_unique() -> None:
    turn: list[Message] = [
        GO,
        {"role": "assistant", "content": "", "tool_calls": [call("call_0")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "result"},
    ]
    sent = sent_messages("", [*turn, *turn])
    assert request_violations(sent) == []
    assert [m["content"] for m in sent if m["role"] == "tool"] == ["result", "result"]


def test_neighboring_messages_of_one_role_are_merged() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    history: list[Message] = [
        {"role": "user", "content": "one", "name": "Ann"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "Half"},
        {"role": "assistant", "content": "Whole", "tool_calls": [call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "A"},
        {"role": "user", "content": [image]},
        {"role": "user", "content": "What is it?"},
    ]
    sent = sent_messages("p", history)
    assert request_violations(sent) == []
    assert [m["content"] for m in sent[1:]] == [
        "one\n\ntwo",
        "Half\n\nWhole",
        "A",
        [image, {"type": "text", "text": "What is it?"}],
    ]
    assert "name" not in sent[1]


def test_the_history_of_another_program_is_sent_as_text_and_calls() -> None:
    history: list[Message] = [
        {"role": "system", "content": "Older instructions"},
        {"role": "human", "content": "hello", "name": "Ann_1"},
        {"role": "ai", "content": "hi there"},
        {"role": "function", "name": "lost", "content": "1"},
        {"role": "user", "content": []},
        {"role": "user", "content": [{"text": "no type"}, {"image_url": "https://example.com/a.png"}]},
        {"role": "assistant", "content": "ok", "name": "has spaces", "refusal": "no"},
        {"role": "user", "content": "Call"},
        {"role": "assistant", "content": None, "function_call": {"name": "my tool!", "arguments": {"a": 1}}},
        {"role": "function", "name": "my tool!", "content": "2"},
        {"role": "narrator", "content": "Time passes."},
        {"role": "assistant", "content": ""},
    ]
    sent = sent_messages("p", history)
    assert request_violations(sent) == []
    assert [m["content"] for m in sent[1:]] == [
        "[system] Older instructions\n\nhello",
        "hi there",
        [
            {"type": "text", "text": "[Result of lost] 1"},
            {"type": "text", "text": "no type"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ],
        "ok",
        "Call",
        "",
        "2",
        "[narrator] Time passes.",
    ]
    assert sent[6]["tool_calls"][0]["function"] == {"name": "my_tool_", "arguments": '{"a": 1}'}


def test_a_history_that_begins_with_an_answer_begins_with_the_user_in_the_request() -> None:
    sent = sent_messages("p", [{"role": "assistant", "content": "Welcome"}, GO])
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"path": NaN}', {}),
        ('{"path": "\\ud800"}', {}),
        ('{"path": "\ud800"}', {}),
        ("[" * 20_000 + "]" * 20_000, {}),
        ("null", {}),
        ("[1]", {}),
        (7, {}),
        ('"{\\"path\\": \\".\\"}"', {"path": "."}),
        ('{"path": "\\u00e9", "n": 1.50}', {"path": "é", "n": 1.5}),
    ],
)
def test_arguments_are_sent_as_an_object_in_strict_json(arguments: object, sent: dict[str, Any]) -> None:
    asked: Message = {"role": "assistant", "content": "", "tool_calls": [call("a", arguments=arguments)]}
    messages = sent_messages("", [GO, asked])
    assert request_violations(messages) == []
    assert json.loads(messages[2]["tool_calls"][0]["function"]["arguments"]) == sent


def test_extra_fields_are_returned_to_the_server_that_sent_them_and_to_no_other() -> None:
    extra = {
        "server": "https://one.example",
        "message": {"reasoning_content": "hmm", "role": "system"},
        "calls": {"a": {"extra_content": {"signature": "S"}, "id": "x"}},
    }
    asked: Message = {"role": "assistant", "content": "Look:", "tool_calls": [call("a")], "extra": extra}
    for server in ("", "https://two.example"):
        assert request_violations(sent_messages("p", [GO, asked], server=server)) == []
    sent = sent_messages("p", [GO, asked], server="https://one.example")
    assert sent[2]["reasoning_content"] == "hmm"
    assert sent[2]["tool_calls"] == [{**call("a"), "extra_content": {"signature": "S"}}]
    assert request_violations(sent, extra=frozenset({"reasoning_content"})) == []


ids = st.sampled_from(["a", "b", "c", "d"])
some_calls = st.fixed_dictionaries(
    {"id": ids | json_values, "function": st.fixed_dictionaries({"name": json_values, "arguments": json_values})}
)
parts = st.fixed_dictionaries({}, optional={"type": st.sampled_from(["text", "image_url"]), "text": json_values})
messages = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "tool", "human", "ai", "function", "system", ""]),
        "content": json_values | st.lists(parts | json_values, max_size=3),
    },
    optional={
        "name": json_values,
        "refusal": json_values,
        "extra": json_values,
        "function_call": json_values | st.fixed_dictionaries({"name": json_values}),
        "tool_calls": json_values | st.lists(some_calls | json_values, max_size=3),
        "tool_call_id": ids,
        "replaces": json_values,
    },
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(messages, max_size=8))
def test_a_strict_server_accepts_the_request_for_any_history(history: list[Message]) -> None:
    assert request_violations(sent_messages("prompt", history, server="https://one.example")) == []
