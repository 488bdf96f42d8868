"""The form of requests that one server accepts, learned from its refusals.

A request is first sent in the usual form. If the server refuses it with known words, the request is repaired and sent
again, and all later requests to this server are sent in the repaired form. So a server that does not know a parameter
works, and a history that a server refuses does not make its session unusable.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import msgspec

from prompt_objects.llm.base import Request
from prompt_objects.llm.extra_fields import fields_sent
from prompt_objects.llm.request_messages import merged
from prompt_objects.message import Message, text_of

Body = dict[str, Any]
_MAX_LEARNED_FIELDS = 20
_UNKNOWN = re.compile(
    r"(?i)unsupported|not supported|n't support|not support|unknown|unrecogni[sz]ed|unexpected|extra_forbidden|"
    r"extra inputs|not permitted|not allowed|no such|invalid (parameter|argument|field)"
)
_BETWEEN = "(The reply was interrupted.)"
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


def _without_usage(body: Body) -> None:
    body.pop("stream_options", None)


def _older_token_limit(body: Body) -> None:
    if (limit := body.pop("max_completion_tokens", None)) is not None:
        body["max_tokens"] = limit


def _without_temperature(body: Body) -> None:
    body.pop("temperature", None)


def _with_reasoning(body: Body) -> None:
    for message in body["messages"]:
        if message["role"] == "assistant":
            message.setdefault("reasoning_content", "")


def _with_signatures(body: Body) -> None:
    for message in body["messages"]:
        for call in message.get("tool_calls", ()):
            call.setdefault("extra_content", _NO_SIGNATURE)


def _reply_after_results(body: Body) -> None:
    messages: list[Body] = []
    for message in body["messages"]:
        if messages and messages[-1]["role"] == "tool" and message["role"] == "user":
            messages.append({"role": "assistant", "content": _BETWEEN})
        messages.append(message)
    body["messages"] = messages


def _prompt_as_user(body: Body) -> None:
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


REPAIRS = (
    Repair(r"stream_options|include_usage", _without_usage, "https://github.com/gpustack/gpustack/issues/429"),
    Repair(
        r"max_completion_tokens",
        _older_token_limit,
        "https://github.com/editor-code-assistant/eca/issues/231",
        is_parameter=True,
    ),
    Repair(
        r"temperature",
        _without_temperature,
        "https://github.com/QwenLM/qwen-code/issues/921",
        is_parameter=True,
        notice="The model does not support the setting temperature; it was left out.",
    ),
    Repair(
        r"reasoning_content.{0,80}(missing|required|must be)|missing.{0,10}reasoning_content",
        _with_reasoning,
        "https://github.com/continuedev/continue/issues/10193",
    ),
    Repair(
        r"missing a? ?.?thought_?signature",
        _with_signatures,
        "https://ai.google.dev/gemini-api/docs/thought-signatures",
    ),
    Repair(
        r"after role|unexpected role|roles? must alternate",
        _reply_after_results,
        "https://github.com/avante-corp/avante.nvim/issues/2562",
    ),
    Repair(
        r"system role( is)? not supported|role.{0,20}(does not support 'system'|'system' is not supported)",
        _prompt_as_user,
        "https://github.com/vllm-project/vllm/pull/2964",
    ),
    Repair(r"must alternate user/assistant", _prompt_as_user, "https://github.com/predibase/lorax/issues/215"),
    Repair(
        r"must alternate user/assistant|only user.{0,40}roles|role.{0,10}'?tool'? .{0,20}not supported",
        _calls_as_text,
        "https://github.com/predibase/lorax/issues/215",
    ),
    Repair(
        r"image|audio|file|multi-?modal|vision|content.{0,60}(string|text)|expected a string",
        _text_only,
        "https://github.com/ollama/ollama/issues/17301",
        notice="The server refused a part of the conversation that is not text; it was left out.",
    ),
    Repair(
        r"tool.?call.?id.{0,80}(length|must be|a-z)",
        _short_call_ids,
        "https://github.com/jackmpcollins/magentic/issues/276",
    ),
)


class Dialect:
    """What was learned about one server; shared by all connections to it."""

    def __init__(self) -> None:
        self._repairs: list[Repair] = []
        self._refused_fields: set[str] = set()

    def encode(self, model: str, request: Request) -> bytes:
        """Return the body of a request, in strict JSON."""
        return _strict_json(self._body(model, request))

    def learn(self, refusal: str, model: str, request: Request) -> list[str]:
        """Adapt to the words of a refusal; return notices for the user.

        A change without an effect on the request is not learned. Of several changes of messages that fit the words,
        one at a time is tried.
        """
        notices: list[str] = []
        is_unknown = bool(_UNKNOWN.search(refusal))
        for repair in REPAIRS:
            is_about = re.search(repair.pattern, refusal, re.IGNORECASE | re.DOTALL)
            if not is_about or (repair.is_parameter and not is_unknown) or repair in self._repairs:
                continue
            before, body = self._body(model, request), self._body(model, request, is_changed=True)
            repair.apply(body)
            if body != before:
                self._repairs.append(repair)
                notices += [repair.notice] if repair.notice else []
                if body["messages"] != before["messages"]:
                    break
        if is_unknown and len(self._refused_fields) < _MAX_LEARNED_FIELDS:
            sent = {field for message in request.messages for field in fields_sent(message)}
            self._refused_fields |= {field for field in sent if field in refusal}
        return notices

    def _body(self, model: str, request: Request, *, is_changed: bool = False) -> Body:
        """Return the body of a request; if it is changed, its messages are copies."""
        body: Body = {**request.options, "model": model, "messages": list(request.messages), "stream": True}
        if request.tools:
            body["tools"] = list(request.tools)
        body["stream_options"] = {"include_usage": True}
        if is_changed or self._repairs or self._refused_fields:
            body["messages"] = [self._accepted(message) for message in request.messages]
            for repair in self._repairs:
                repair.apply(body)
        return body

    def _accepted(self, message: Message) -> Message:
        """Return a copy of a message and its calls without the fields that the server refuses."""
        copy = {key: value for key, value in message.items() if key not in self._refused_fields}
        if "tool_calls" in message:
            calls = message["tool_calls"]
            copy["tool_calls"] = [{k: v for k, v in call.items() if k not in self._refused_fields} for call in calls]
        return copy


_dialects: WeakValueDictionary[str, Dialect] = WeakValueDictionary()


def dialect_of(base_url: str) -> Dialect:
    """Return what is known about a server, as long as there is a connection to it."""
    return _dialects.setdefault(base_url, Dialect())


def _strict_json(body: Body) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        # A lone surrogate, as in some file names, cannot be encoded; "?" replaces it.
        text = json.dumps(body, ensure_ascii=False).encode(errors="replace")
        return msgspec.json.encode(json.loads(text))  # again, as JSON has no NaN
