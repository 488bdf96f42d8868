"""What a server refuses is learned, once for each server, and the request is sent again in another form."""

import json
from typing import Any

import pytest

from prompt_objects.llm.base import Adaptations, Request
from prompt_objects.llm.chat_api.adapt import adapt
from prompt_objects.llm.chat_api.assemble import assemble
from prompt_objects.llm.chat_api.dialect import dialect_of, learn
from prompt_objects.message import Message
from tests.support.messages import call
from tests.support.strict_protocol import request_violations

SERVER = "https://one.example"
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
HISTORY: list[Message] = [
    {"role": "user", "content": [IMAGE, {"type": "text", "text": "Look"}]},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [call("call_abc")],
        "extra": {"server": SERVER, "message": {"vendor_state": "V"}, "calls": {"call_abc": {"vendor_id": 1}}},
    },
    {"role": "tool", "tool_call_id": "call_abc", "content": "seen"},
    {"role": "user", "content": "And?"},
]
REQUEST = assemble("Be kind.", HISTORY, (), {"max_completion_tokens": 100, "temperature": 0.5}, model="m")
USUAL = Adaptations(SERVER)


def learned(refusal: str, request: Request = REQUEST) -> tuple[dict[str, Any], list[str]]:
    """Return the body of a request after a refusal, and the notices."""
    adaptations, notices = learn(refusal, request, USUAL)
    return adapt(request, adaptations), notices


@pytest.mark.parametrize(
    ("refusal", "changes"),
    [
        ("Unrecognized request argument: stream_options", {"stream_options": None}),
        (
            "body.max_completion_tokens: Extra inputs are not permitted",
            {"max_completion_tokens": None, "max_tokens": 100},
        ),
        ("Unsupported value: 'temperature' does not support 0.5 with this model.", {"temperature": None}),
        ("temperature must be below 2", {"temperature": 0.5}),
        ("max_completion_tokens is too large", {"max_completion_tokens": 100}),
    ],
)
def test_a_parameter_that_a_server_does_not_know_is_left_out(refusal: str, changes: dict[str, Any]) -> None:
    body, _ = learned(refusal)
    assert {name: body.get(name) for name in changes} == changes


def test_a_server_that_does_not_stream_is_asked_for_one_document() -> None:
    body, _ = learned("Unsupported value: 'stream' does not support true with this model.")
    assert body["stream"] is False
    assert "stream_options" not in body


def test_empty_texts_are_left_out() -> None:
    results = [{"role": "tool", "tool_call_id": "a", "content": ""}]
    history = [HISTORY[3], {"role": "assistant", "content": "", "tool_calls": [call("a")]}, *results]
    body, _ = learned("messages: text content blocks must be non-empty", assemble("p", history))
    assert [m["content"] for m in body["messages"]] == ["p", "And?", None, "(empty)"]


def test_a_setting_that_is_left_out_is_reported_once() -> None:
    refusal = "Unsupported parameter: 'temperature' is not supported with this model."
    adaptations, notices = learn(refusal, REQUEST, USUAL)
    assert notices == ["The model does not support the setting temperature; it was left out."]
    assert learn(refusal, REQUEST, adaptations) == (adaptations, [])


def test_a_reply_is_put_between_a_result_and_the_user() -> None:
    body, _ = learned("Unexpected role 'user' after role 'tool'")
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert request_violations(body["messages"], frozenset({"vendor_state"})) == []


def test_the_prompt_becomes_part_of_the_first_message() -> None:
    request = Request([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}])
    assert learned("System role not supported", request)[0]["messages"] == [
        {"role": "user", "content": "Be kind.\n\nHi"}
    ]


def test_changes_of_the_order_of_roles_are_tried_one_after_the_other() -> None:
    adaptations = USUAL
    forms = []
    for _ in range(4):
        refusal = "Conversation roles must alternate user/assistant/user/assistant/..."
        adaptations, _ = learn(refusal, REQUEST, adaptations)
        forms.append([m["role"] for m in adapt(REQUEST, adaptations)["messages"]])
    text = adapt(REQUEST, adaptations)["messages"]
    assert forms[0] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert forms[2] == forms[3] == ["user", "assistant", "user", "assistant", "user"]
    image, look = HISTORY[0]["content"]
    assert text[0]["content"] == [{"type": "text", "text": "Be kind."}, image, look]
    assert [m["content"] for m in text[1:3]] == ["[Call of read_file] {}", "[Result of a call] seen"]


def test_what_is_not_text_becomes_text() -> None:
    body, notices = learned("this model does not support image input")
    assert body["messages"][1]["content"] == "Look\n[image_url]"
    assert "not text" in notices[0]


def test_calls_get_short_ids() -> None:
    body, _ = learned("Tool call id was call_abc but must be a-z, A-Z, 0-9, with a length of 9.")
    call_id = body["messages"][2]["tool_calls"][0]["id"]
    assert len(call_id) == 9
    assert call_id.isalnum()
    assert body["messages"][3]["tool_call_id"] == call_id


def test_calls_of_another_model_get_what_a_server_requires() -> None:
    body, _ = learned("Missing `reasoning_content` field in the assistant message at message index 2.")
    assert body["messages"][2]["reasoning_content"] == ""
    body, _ = learned("Function call is missing a thought_signature in functionCall parts.")
    assert "thought_signature" in body["messages"][2]["tool_calls"][0]["extra_content"]["google"]


def test_signatures_of_another_model_of_the_server_are_left_out() -> None:
    body, _ = learned("messages.7.content.2: Invalid `signature` in `thinking` block")
    assert "vendor" not in json.dumps(body)


@pytest.mark.parametrize("field", ["vendor_state", "vendor_id"])
def test_a_returned_field_that_is_refused_is_left_out(field: str) -> None:
    body, _ = learned(f"body.messages.2.assistant.{field}: Extra inputs are not permitted")
    assert field not in json.dumps(body)
    assert "vendor" in json.dumps(body)


def test_words_without_an_effect_on_the_request_teach_nothing() -> None:
    plain = Request([{"role": "system", "content": "p"}, {"role": "user", "content": "Hi"}])
    assert learn("an image is not supported; roles must alternate", plain, USUAL) == (USUAL, [])


def test_connections_to_one_server_share_what_was_learned() -> None:
    assert dialect_of("http://a/v1", "http://a") is (first := dialect_of("http://a/v1", "http://a"))
    assert dialect_of("http://b/v1", "http://b") is not first
