"""The rules of the chat protocol, as strict servers apply them; written from the protocol, not from our code."""

import json
import re
from itertools import pairwise
from typing import Any

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
PARTS = {"text": str, "image_url": dict, "input_audio": dict, "file": dict}


def violations(messages: list[dict[str, Any]]) -> list[str]:
    """Return the reasons why a server would refuse a history of `messages`; empty if it would accept them."""
    found: list[str] = []
    open_calls: list[str] = []
    used_ids: set[str] = set()
    for index, message in enumerate(messages):
        role = message.get("role")
        if role not in KEYS:
            found.append(f"{index}: role {role!r}")
        if role == "tool":
            call = message.get("tool_call_id")
            if call not in open_calls:
                found.append(f"{index}: a result for {call!r}, which no call right before asked for")
            else:
                open_calls.remove(call)
        elif open_calls:
            found.append(f"{index}: calls without a result: {open_calls}")
            open_calls = []
        found += [f"{index}: {problem}" for problem in _content_problems(message)]
        if role == "assistant":
            found += [f"{index}: {problem}" for problem in _call_problems(message, used_ids)]
            open_calls = [call["id"] for call in message.get("tool_calls", [])]
            used_ids.update(open_calls)
    if open_calls:
        found.append(f"end: calls without a result: {open_calls}")
    return found


def request_violations(messages: list[dict[str, Any]], extra: frozenset[str] = frozenset()) -> list[str]:
    """Return the reasons why the strictest server would refuse a request; `extra` are fields that it wants back."""
    found = violations(messages)
    roles = [message["role"] for message in messages]
    if roles[:1] != ["system"] or "system" in roles[1:]:
        found.append(f"the system prompt is not the first message: {roles}")
    if roles[1:] and roles[1] != "user":
        found.append(f"the user does not speak first: {roles}")
    for index, (before, role) in enumerate(pairwise(roles), 1):
        if before == role != "tool" and "tool_calls" not in messages[index - 1]:
            found.append(f"{index}: two messages of {role} in a row")
    for index, message in enumerate(messages):
        if unknown := message.keys() - KEYS[message["role"]] - extra:
            found.append(f"{index}: unknown keys {unknown}")
        if "name" in message and not NAME.fullmatch(message["name"]):
            found.append(f"{index}: name {message['name']!r}")
        if message["role"] in {"user", "assistant"} and not message["content"] and not message.get("tool_calls"):
            found.append(f"{index}: nothing in it")
    try:
        json.dumps(messages, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        found.append(f"not JSON: {error}")
    return found


def _content_problems(message: dict[str, Any]) -> list[str]:
    content = message.get("content")
    if isinstance(content, str):
        return []
    if not isinstance(content, list) or not content or message.get("role") != "user":
        return [f"content is {content!r}"]
    return [f"a part that is not valid: {part}" for part in content if not _is_valid_part(part)]


def _is_valid_part(part: Any) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    is_whole = kind in PARTS and part.keys() == {"type", kind} and isinstance(part[kind], PARTS[kind])
    return is_whole and (kind != "image_url" or isinstance(part[kind].get("url"), str))


def _call_problems(message: dict[str, Any], used_ids: set[str]) -> list[str]:
    if "tool_calls" not in message:
        return []
    calls = message["tool_calls"]
    problems = [] if calls else ["an empty list of calls"]
    for call in calls:
        if call.get("type") != "function" or not call.get("id"):
            problems.append(f"a call that is not whole: {call}")
        if not NAME.fullmatch(call["function"].get("name") or ""):
            problems.append(f"a name that is not valid: {call['function'].get('name')!r}")
        try:
            arguments = json.loads(call["function"]["arguments"], parse_constant=_refuse)
            json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            problems.append("arguments that are not strict JSON")
        else:
            problems += [] if isinstance(arguments, dict) else ["arguments that are not an object"]
    ids = [call.get("id") for call in calls]
    if len(set(ids)) < len(ids) or used_ids & set(ids):
        problems.append("an id that was used before")
    return problems


def _refuse(constant: str) -> None:
    raise ValueError(constant)
