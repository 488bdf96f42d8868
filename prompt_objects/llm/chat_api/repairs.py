"""Changes of the body of a request, each for servers that refuse a request with certain words.

Each row of `REPAIRS` has a name, which is stored, and a source for the words of a server.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from prompt_objects.llm.chat_api.assemble import merged
from prompt_objects.llm.chat_api.extra_fields import fields_sent
from prompt_objects.message import text_of

Body = dict[str, Any]
_MISSING_REPLY = "(The reply was interrupted.)"
_NO_SIGNATURE = {"google": {"thought_signature": "skip_thought_signature_validator"}}


class Repair(NamedTuple):
    """A change of requests that a server needs if it refuses one with words that match `pattern`.

    If it is about a parameter, the server also has to call it unknown or unsupported. `source` shows the words of a
    server. `notice` is for the user.
    """

    pattern: str
    apply: Callable[[Body], None]
    source: str
    is_parameter: bool = False
    notice: str = ""


def _omit_stream_options(body: Body) -> None:
    body.pop("stream_options", None)


def _no_streaming(body: Body) -> None:
    body["stream"] = False
    body.pop("stream_options", None)


def _use_max_tokens(body: Body) -> None:
    if (limit := body.pop("max_completion_tokens", None)) is not None:
        body["max_tokens"] = limit


def _omit_temperature(body: Body) -> None:
    body.pop("temperature", None)


def _add_reasoning_content(body: Body) -> None:
    for message in body["messages"]:
        if message["role"] == "assistant":
            message.setdefault("reasoning_content", "")


def _add_thought_signature(body: Body) -> None:
    for message in body["messages"]:
        for call in message.get("tool_calls", ()):
            call.setdefault("extra_content", _NO_SIGNATURE)


def _omit_extra_fields(body: Body) -> None:
    """Remove the signatures of another model: a server may offer several."""
    for message in body["messages"]:
        fields = fields_sent(message)
        for each in (message, *message.get("tool_calls", ())):
            for field in fields & each.keys():
                del each[field]


def _fill_empty_texts(body: Body) -> None:
    for message in body["messages"]:
        if isinstance(content := message.get("content"), str) and not content.strip():
            message["content"] = None if message.get("tool_calls") else "(empty)"


def _reply_after_results(body: Body) -> None:
    messages: list[Body] = []
    for message in body["messages"]:
        if messages and messages[-1]["role"] == "tool" and message["role"] == "user":
            messages.append({"role": "assistant", "content": _MISSING_REPLY})
        messages.append(message)
    body["messages"] = messages


def _prompt_as_user_message(body: Body) -> None:
    first, *others = body["messages"]
    if first["role"] == "system":
        body["messages"] = merged([{**first, "role": "user"}, *others])


def _calls_as_text(body: Body) -> None:
    messages: list[Body] = []
    for message in body["messages"]:
        calls = message.get("tool_calls", ())
        if message["role"] == "tool":
            messages.append({"role": "user", "content": f"[Result of a call] {message['content']}"})
        elif calls:
            called = [f"[Call of {call['function']['name']}] {call['function']['arguments']}" for call in calls]
            messages.append({"role": "assistant", "content": "\n".join(filter(None, [message["content"], *called]))})
        else:
            messages.append(message)
    body["messages"] = merged(messages)


def _text_only(body: Body) -> None:
    for message in body["messages"]:
        if isinstance(message.get("content"), list):
            kinds = (part["type"] for part in message["content"] if part["type"] != "text")
            message["content"] = "\n".join(filter(None, [text_of(message), *(f"[{kind}]" for kind in kinds)]))


def _short_call_ids(body: Body) -> None:
    for message in body["messages"]:
        for call in message.get("tool_calls", ()):
            call["id"] = _short_id(call["id"])
        if message["role"] == "tool":
            message["tool_call_id"] = _short_id(message["tool_call_id"])


def _short_id(call_id: str) -> str:
    is_short = re.fullmatch(r"[A-Za-z0-9]{9}", call_id)
    return call_id if is_short else hashlib.sha256(call_id.encode(errors="replace")).hexdigest()[:9]


REPAIRS: Mapping[str, Repair] = {
    "omit_stream_options": Repair(
        r"stream_options|include_usage", _omit_stream_options, "https://github.com/gpustack/gpustack/issues/429"
    ),
    "use_max_tokens": Repair(
        r"max_completion_tokens",
        _use_max_tokens,
        "https://github.com/editor-code-assistant/eca/issues/231",
        is_parameter=True,
    ),
    "no_streaming": Repair(
        r"'stream' does not support|streaming.{0,20}not supported",
        _no_streaming,
        "https://github.com/github/gh-models/issues/31",
    ),
    "omit_temperature": Repair(
        r"temperature",
        _omit_temperature,
        "https://github.com/QwenLM/qwen-code/issues/921",
        is_parameter=True,
        notice="The model does not support the setting temperature; it was left out.",
    ),
    "add_reasoning_content": Repair(
        r"reasoning_content.{0,80}(missing|required|must be)|missing.{0,10}reasoning_content",
        _add_reasoning_content,
        "https://github.com/continuedev/continue/issues/10193",
    ),
    "add_thought_signature": Repair(
        r"missing a? ?.?thought_?signature",
        _add_thought_signature,
        "https://ai.google.dev/gemini-api/docs/thought-signatures",
    ),
    "omit_extra_fields": Repair(
        r"invalid.{0,5}signature", _omit_extra_fields, "https://github.com/linanwx/nagobot/issues/21"
    ),
    "fill_empty_texts": Repair(
        r"non-empty|non-whitespace|(must not|cannot|can't) be (empty|blank)|empty content",
        _fill_empty_texts,
        "https://github.com/HKUDS/nanobot/pull/949",
    ),
    "reply_after_results": Repair(
        r"after role|unexpected role|roles? must alternate",
        _reply_after_results,
        "https://github.com/avante-corp/avante.nvim/issues/2562",
    ),
    "prompt_as_user_message": Repair(
        r"system role( is)? not supported|role.{0,20}(does not support 'system'|'system' is not supported)"
        r"|must alternate user/assistant",
        _prompt_as_user_message,
        "https://github.com/vllm-project/vllm/pull/2964",
    ),
    "calls_as_text": Repair(
        r"must alternate user/assistant|only user.{0,40}roles|role.{0,10}'?tool'? .{0,20}not supported",
        _calls_as_text,
        "https://github.com/predibase/lorax/issues/215",
    ),
    "text_only": Repair(
        r"image|audio|file|multi-?modal|vision|content.{0,60}(string|text)|expected a string",
        _text_only,
        "https://github.com/ollama/ollama/issues/17301",
        notice="The server refused a part of the conversation that is not text; it was left out.",
    ),
    "short_call_ids": Repair(
        r"tool.?call.?id.{0,80}(length|must be|a-z)",
        _short_call_ids,
        "https://github.com/jackmpcollins/magentic/issues/276",
    ),
}
