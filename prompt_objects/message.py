"""Messages in the OpenAI chat form, and the rules that make a list of them a conversation.

A message is a plain JSON object, so that what was stored by anyone comes back as it was. Besides the keys
of the chat form (`role`, `content`, `tool_calls`, `tool_call_id`) ours carry `at` (UTC, ISO 8601), and an
assistant's `model`, `usage`, and `interrupted` where it was cut short.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

__all__ = [
    "OUTCOME_UNKNOWN",
    "Message",
    "call_arguments",
    "calls_of",
    "now",
    "request_messages",
    "text_of",
    "timestamp",
    "unanswered_calls",
]

Message: TypeAlias = dict[str, Any]

_CHAT_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "refusal")
OUTCOME_UNKNOWN = "No result: the call was interrupted, and whether it took effect is unknown."


def now() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None) -> str:
    """Write a moment (by default the present one) as UTC ISO 8601, always 27 characters long."""
    m = moment.astimezone(UTC) if moment else now()
    # in every append; strftime and isoformat are slower
    return f"{m.year:04}-{m.month:02}-{m.day:02}T{m.hour:02}:{m.minute:02}:{m.second:02}.{m.microsecond:06}Z"


def text_of(message: Message) -> str:
    """Return the text of a message; the text parts joined, where the content is a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text for text in parts if isinstance(text, str))
    return ""


def calls_of(message: Message) -> list[dict[str, Any]]:
    """Return the tool calls of a message that are whole enough to be answered: those with an id."""
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not isinstance(calls, list):
        return []
    return [call for call in calls if isinstance(call, dict) and isinstance(call.get("id"), str)]


def call_arguments(call: dict[str, Any]) -> dict[str, Any]:
    """Read a call's arguments.

    Raises `ValueError`, in words that a model can act on, when they are not a JSON object.
    """
    text = call.get("function", {}).get("arguments") or "{}"
    try:
        arguments = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"The arguments are not valid JSON ({error}). Send one JSON object.") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"The arguments are {type(arguments).__name__}, not a JSON object.")  # noqa: TRY004
    return arguments


def unanswered_calls(history: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the calls of the last assistant message that have no result yet, in call order."""
    answered: set[object] = set()
    for message in reversed(history):
        if message.get("role") == "assistant":
            return [call for call in calls_of(message) if call["id"] not in answered]
        answered.add(message.get("tool_call_id"))
    return []


def request_messages(prompt: str, history: Iterable[Message]) -> list[Message]:
    """Build what is sent to a model: the prompt, then the history in a form that every server accepts.

    Every call gets exactly one result, right behind it and in call order, and every result its call, whatever
    interruptions or second writers left in the store. Only keys of the chat form go out.
    """
    live = _without_replaced(history)
    return [{"role": "system", "content": prompt}, *_paired(live)]


def _without_replaced(history: Iterable[Message]) -> list[Message]:
    """Leave out what a later retry replaced: its first message names, in `replaces`, where it went on from."""
    kept: list[tuple[int, Message]] = []
    for index, message in enumerate(history):
        place = message.get("replaces")
        if isinstance(place, int):
            kept = [(i, m) for i, m in kept if i < place]
        kept.append((index, message))
    return [message for _, message in kept]


def _paired(messages: list[Message]) -> Iterator[Message]:
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            continue  # sent behind its call, or, if it has none, not at all
        calls = calls_of(message)
        yield _chat_form(message, calls)
        results = _results_after(messages, index) if calls else {}
        for call in calls:
            result = results.get(call["id"], OUTCOME_UNKNOWN)
            yield {"role": "tool", "tool_call_id": call["id"], "content": result}


def _results_after(messages: list[Message], index: int) -> dict[str, str]:
    """Collect the first result for each call id up to the next message that calls again."""
    results: dict[str, str] = {}
    for message in messages[index + 1 :]:
        if calls_of(message):
            break
        if message.get("role") == "tool":
            results.setdefault(str(message.get("tool_call_id")), text_of(message))
    return results


def _chat_form(message: Message, calls: list[dict[str, Any]]) -> Message:
    chat = {key: message[key] for key in _CHAT_KEYS if message.get(key) is not None and key != "tool_calls"}
    if not isinstance(chat.get("content"), str | list):
        chat["content"] = ""
    if calls:
        chat["tool_calls"] = [_sendable_call(call) for call in calls]
    return chat


def _sendable_call(call: dict[str, Any]) -> dict[str, Any]:
    """Return the call with arguments that are JSON: servers refuse a history in which they are not."""
    function = call.get("function", {})
    try:
        call_arguments(call)
        arguments = function.get("arguments") or "{}"
    except ValueError:
        arguments = "{}"
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": str(function.get("name", "")), "arguments": arguments},
    }
