"""The rules of the chat protocol, as strict servers apply them; written from the protocol, not from our code."""

import json
from typing import Any


def violations(messages: list[dict[str, Any]]) -> list[str]:
    """Return the reasons why a strict server would refuse `messages`; empty if it would accept them."""
    found: list[str] = []
    open_calls: list[str] = []
    used_ids: set[str] = set()
    for index, message in enumerate(messages):
        role = message.get("role")
        if role not in {"system", "user", "assistant", "tool"}:
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
        if not isinstance(message.get("content"), str | list):
            found.append(f"{index}: content is {message.get('content')!r}")
        if role == "assistant":
            found += [f"{index}: {problem}" for problem in _call_problems(message, used_ids)]
            open_calls = [call["id"] for call in message.get("tool_calls", [])]
            used_ids.update(open_calls)
    if open_calls:
        found.append(f"end: calls without a result: {open_calls}")
    return found


def _call_problems(message: dict[str, Any], used_ids: set[str]) -> list[str]:
    if "tool_calls" not in message:
        return []
    calls = message["tool_calls"]
    problems = [] if calls else ["an empty list of calls"]
    for call in calls:
        if call.get("type") != "function" or not call.get("id") or not call["function"].get("name"):
            problems.append(f"a call that is not whole: {call}")
        try:
            arguments = json.loads(call["function"]["arguments"])
        except ValueError:
            problems.append("arguments that are not JSON")
        else:
            problems += [] if isinstance(arguments, dict) else ["arguments that are not an object"]
    ids = [call.get("id") for call in calls]
    if len(set(ids)) < len(ids) or used_ids & set(ids):
        problems.append("an id that was used before")
    return problems
