"""Assembles a request from its parts, with the history in the form that strict servers accept.

Histories can be interrupted, imported, migrated or edited. A strict server refuses a whole request because of one
message in it, so everything here is made valid: roles, order, parts, names, calls and arguments. Nothing is left out
that has a text: what has no place in the format is sent as text of the user.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from prompt_objects.llm.base import Request
from prompt_objects.llm.chat_api.extra_fields import extra_of
from prompt_objects.message import (
    OUTCOME_UNKNOWN,
    RECORDS,
    Message,
    answered_call,
    call_arguments,
    calls_of,
    live_messages,
    role_of,
    text_of,
    text_of_part,
)

_OPENING = "(This is the beginning of the conversation that was kept.)"  # servers expect the user to speak first
_INVALID_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME = 64
_MEDIA = {"image_url": "url", "input_audio": "data", "file": "file_data"}  # kinds of parts, with a required key


class _Parsed(NamedTuple):
    message: Message
    role: str
    calls: list[dict[str, Any]]


def assemble(  # noqa: PLR0913 - each is a part of a request
    prompt: str,
    history: Iterable[Message],
    tools: Sequence[Mapping[str, Any]] = (),
    options: Mapping[str, Any] | None = None,
    *,
    model: str = "",
    without: tuple[int, int] | None = None,
) -> Request:
    """Return a request: the prompt, then the history in a form that is valid for every server.

    Every call gets exactly one result, right after it and in call order. After the prompt comes a user's message, and
    neighboring messages of one role are merged. Messages have only keys of the format. `without` omits a range of
    message numbers (start, stop) that a retry replaces.
    """
    messages: list[Message] = [{"role": "system", "content": prompt}]
    extra: dict[int, list[Mapping[str, Any]]] = {}
    for message, fields in _with_results(live_messages(history, without=without)):
        if len(messages) == 1 and message["role"] != "user":
            messages.append({"role": "user", "content": _OPENING})
        _add(message, messages)
        if fields:
            extra.setdefault(len(messages) - 1, []).append(fields)
    return Request(messages, tools, options or {}, model, extra)


def _with_results(messages: list[Message]) -> Iterator[tuple[Message, dict[str, Any]]]:
    """Yield messages in the format, each with its extra fields, and each call followed by its result."""
    parsed = [_Parsed(message, role_of(message), calls_of(message)) for message in messages]
    known = {call["id"] for each in parsed for call in each.calls}
    sent: set[str] = set()
    for index, (message, role, calls) in enumerate(parsed):
        if role == "tool":
            if answered_call(message) not in known:
                name = message.get("name") or "a call"
                yield {"role": "user", "content": f"[Result of {name}] {text_of(message)}"}, {}
            continue  # otherwise it is sent after its call
        if role in RECORDS:
            continue
        if role != "assistant":
            if content := _user_content(message, role):
                yield {"role": "user", "content": content, **_valid_name(message)}, {}
            continue
        ids = [_unique_id(call["id"], sent) for call in calls]
        text = text_of(message)
        if calls or text.strip():
            yield _assistant_message(text, calls, ids), extra_of(message, calls, ids)
        results = _results_after(parsed, index) if calls else {}
        for call, call_id in zip(calls, ids, strict=True):
            result = results.get(call["id"], OUTCOME_UNKNOWN)
            yield {"role": "tool", "tool_call_id": call_id, "content": result}, {}


def merged(messages: Iterable[Message]) -> list[Message]:
    """Join neighboring messages of one role: the templates of some models refuse them."""
    found: list[Message] = []
    for message in messages:
        _add(message, found)
    return found


def _add(message: Message, messages: list[Message]) -> None:
    """Append a message, or join it with the last one if both have the same role."""
    last = messages[-1] if messages else {}
    if message["role"] != last.get("role") or message["role"] == "tool" or "tool_calls" in last:
        messages.append(message)
        return
    both = {**last, **message, "content": _joined(last["content"], message["content"])}
    if last.get("name") != message.get("name"):
        both.pop("name", None)
    messages[-1] = both


def _joined(first: str | list[Any], second: str | list[Any]) -> str | list[Any]:
    if isinstance(first, str) and isinstance(second, str):
        return "\n\n".join(text for text in (first, second) if text)
    return [*_as_parts(first), *_as_parts(second)]


def _as_parts(content: str | list[Any]) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


# The user's messages


def _user_content(message: Message, role: str) -> str | list[Any]:
    """Return the content of a message as the user's; empty if there is nothing to send."""
    content = message.get("content")
    parts = [_media_part(part) for part in content] if isinstance(content, list) else []
    if isinstance(content, list) and any(parts):
        found = zip(parts, map(text_of_part, content), strict=True)
        return [part or {"type": "text", "text": text} for part, text in found if part or text]
    text = text_of(message)
    if not text.strip():
        return ""
    return text if role == "user" else f"[{role or 'unknown role'}] {text}"


def _media_part(part: object) -> dict[str, Any] | None:
    """Return a part that is not text, without unknown keys; None if it is not valid."""
    kind = next((kind for kind in _MEDIA if kind in part), None) if isinstance(part, dict) else None
    if kind is None or not isinstance(part, dict):
        return None
    value = part[kind]
    if kind == "image_url" and isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, dict) or not isinstance(value.get(_MEDIA[kind]), str):
        return None
    return {"type": kind, kind: value}


def _valid_name(message: Message) -> dict[str, str]:
    name = message.get("name")
    if isinstance(name, str) and 0 < len(name) <= _MAX_NAME and not _INVALID_IN_NAMES.search(name):
        return {"name": name}
    return {}


# Responses and their calls


def _assistant_message(text: str, calls: list[dict[str, Any]], ids: list[str]) -> Message:
    message: Message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [_sendable_call(call, call_id) for call, call_id in zip(calls, ids, strict=True)]
    return message


def _sendable_call(call: dict[str, Any], call_id: str) -> dict[str, Any]:
    function = {"name": _function_name(call), "arguments": _strict_arguments(call)}
    return {"id": call_id, "type": "function", "function": function}


def _function_name(call: dict[str, Any]) -> str:
    name = call["function"].get("name")
    return _INVALID_IN_NAMES.sub("_", name)[:_MAX_NAME] if isinstance(name, str) and name else "unknown"


def _strict_arguments(call: dict[str, Any]) -> str:
    """Return the arguments of a call as an object in strict JSON; servers refuse a history with other arguments."""
    text = call["function"].get("arguments")
    try:
        if isinstance(text, str) and isinstance(msgspec.json.decode(text), dict):
            return text
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return json.dumps(call_arguments(call), ensure_ascii=False)
    except ValueError:
        return "{}"


def _unique_id(call_id: str, sent: set[str]) -> str:
    """Return an ID that is unique in this request: some servers start at `call_0` in each response."""
    if not call_id or call_id in sent:
        call_id = f"{call_id or 'call'}_{len(sent)}"
    sent.add(call_id)
    return call_id


def _results_after(parsed: Sequence[_Parsed], index: int) -> dict[str, str]:
    """Return the first result for each call ID up to the next message with calls.

    A later result takes the place of one that says that the outcome is unknown.
    """
    results: dict[str, str] = {}
    for number in range(index + 1, len(parsed)):  # a slice would copy the rest each time
        message, role, calls = parsed[number]
        if calls:
            break
        if role == "tool":
            call_id = answered_call(message)
            if results.get(call_id, OUTCOME_UNKNOWN) == OUTCOME_UNKNOWN:
                results[call_id] = text_of(message)
    return results
