"""Differences between two requests: the first one, in the order in which providers read them, and all."""

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import unified_diff
from itertools import zip_longest
from typing import Any

from prompt_objects.message import text_of
from prompt_objects.sessions.requests import SentRequest


def first_difference(before: SentRequest, after: SentRequest) -> str:
    """Describe the first difference of a request from the previous one; empty if one is a prefix of the other.

    Providers cache the longest known prefix of a request: tools, prompt, messages.
    """
    old, new = json.loads(before.body), json.loads(after.body)
    if new["model"] != old["model"]:
        return f"the model changed from {old['model']} to {new['model']}"
    if change := tool_change(tools_by_name(before.frame.tools), tools_by_name(after.frame.tools)):
        return change
    if line := changed_prompt_line(before.frame.prompt, after.frame.prompt):
        return f"the prompt of {after.frame.definition.name} changed at line {line}"
    messages = zip(old["messages"], new["messages"], strict=False)
    for number, (old_message, new_message) in enumerate(messages):
        if old_message != new_message:
            return f"message {number} changed"
    return ""


def tools_by_name(tools: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tools of a frame by name."""
    return {tool["function"]["name"]: tool for tool in tools}


def changed_prompt_line(before: str, after: str) -> int | None:
    """Return the number of the first line that differs; None if there is none."""
    lines = enumerate(zip_longest(before.splitlines(), after.splitlines()), 1)
    return next((number for number, (old, new) in lines if old != new), None)


def tool_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Describe how tools, by name, differ from others; empty if they do not."""
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    changed = [name for name in after if name in before and after[name] != before[name]]
    changes = [
        f"the tool {names[0]} was {how}" if len(names) == 1 else f"the tools {', '.join(names)} were {how}"
        for names, how in ((added, "added"), (removed, "removed"), (changed, "changed"))
        if names
    ]
    if not changes and list(before) != list(after):
        return "the order of the tools changed"
    return ", ".join(changes)


def request_diff(before: SentRequest, after: SentRequest, names: tuple[str, str]) -> str:
    """Return a unified diff of two requests, each written line by line for reading; empty if they are equal."""
    old, new = (list(_lines(request)) for request in (before, after))
    return "\n".join(unified_diff(old, new, *names, lineterm=""))


def _lines(request: SentRequest) -> Iterator[str]:
    body = json.loads(request.body)
    for key, value in body.items():
        if key not in {"messages", "tools"}:
            yield f"{key}: {json.dumps(value, ensure_ascii=False)}"
    for tool in request.frame.tools:
        yield from json.dumps(tool["function"], ensure_ascii=False, indent=2).splitlines()
    for number, message in enumerate(body["messages"]):
        yield f"message {number}: {message['role']}"
        yield from (f"  {line}" for line in text_of(message).splitlines())
        rest = {key: value for key, value in message.items() if key not in {"role", "content"}}
        if not isinstance(message.get("content"), str):
            rest["content"] = message.get("content")
        if rest:
            yield from (f"  {line}" for line in json.dumps(rest, ensure_ascii=False, indent=2).splitlines())
