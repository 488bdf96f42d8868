"""Messages in the OpenAI chat form, and the rules that make a list of them a conversation.

A message is a plain JSON object, so that what was stored by anyone comes back as it was. Besides the keys
of the chat form (`role`, `content`, `tool_calls`, `tool_call_id`) ours carry `at` (UTC, ISO 8601), and an
assistant's `model`, `usage`, and `interrupted` where it was cut short; a call's result `failed`; a person's that was
said while a turn went on, `steers`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

__all__ = [
    "OUTCOME_UNKNOWN",
    "Message",
    "call_arguments",
    "calls_of",
    "has_failed",
    "is_unfinished",
    "live_messages",
    "request_messages",
    "result_of",
    "text_of",
    "unanswered_calls",
]

Message: TypeAlias = dict[str, Any]
_CHAT_KEYS = ("role", "content", "name", "refusal")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FAILURES = ("Error: ", "Cancelled before ")  # how results of calls that failed begin
OUTCOME_UNKNOWN = "No result: the call was interrupted, and whether it took effect is unknown."


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
    """Return the tool calls of a message that are whole enough to be answered: those with an id and a function."""
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not isinstance(calls, list):
        return []
    return [call for call in calls if isinstance(call, dict) and _is_whole(call)]


def _is_whole(call: dict[str, Any]) -> bool:
    return isinstance(call.get("id"), str) and isinstance(call.get("function"), dict)


def call_arguments(call: dict[str, Any]) -> dict[str, Any]:
    """Read a call's arguments.

    Raises `ValueError`, in words that a model can act on, when they are not a JSON object.
    """
    text = call["function"].get("arguments") or "{}"
    try:
        arguments = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"The arguments are not valid JSON ({error}). Send one JSON object.") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"The arguments are {type(arguments).__name__}, not a JSON object.")  # noqa: TRY004
    return arguments


def result_of(call: dict[str, Any], text: str, *, failed: bool | None) -> Message:
    """Make the message that is a call's result; `failed` is None where nobody knows what became of it."""
    result = {"role": "tool", "tool_call_id": call["id"], "content": text}
    return result if failed is None else {**result, "failed": failed}


def has_failed(result: Message) -> bool | None:
    """Say whether the call of a result failed; None where that is not known.

    A result that does not say so, as in older sessions and in those of others, is judged by how its text begins.
    """
    failed, text = result.get("failed"), text_of(result)
    if isinstance(failed, bool):
        return failed
    return None if text == OUTCOME_UNKNOWN else text.startswith(_FAILURES)


def unanswered_calls(history: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the calls of the last assistant message that have no result yet, in call order."""
    answered: set[object] = set()
    for message in reversed(history):
        if message.get("role") == "assistant":
            return [call for call in calls_of(message) if call["id"] not in answered]
        answered.add(message.get("tool_call_id"))
    return []


def is_unfinished(history: Sequence[Message]) -> bool:
    """Say whether a history stops before an answer: at a message, at calls, or at their results."""
    live = [message for message in live_messages(history) if message.get("role") in {"user", "assistant", "tool"}]
    return bool(live) and (live[-1]["role"] != "assistant" or bool(calls_of(live[-1])))


def request_messages(
    prompt: str, history: Iterable[Message], *, without: tuple[int, int] | None = None
) -> list[Message]:
    """Build what is sent to a model: the prompt, then the history in a form that every server accepts.

    Every call gets exactly one result, right behind it and in call order, and every result its call, whatever
    interruptions or second writers left in the store. Only keys of the chat form go out. `without` leaves out the
    messages from one number up to another, which a retry is about to replace.
    """
    live = live_messages(history, without=without)
    return [{"role": "system", "content": prompt}, *_paired(live)]


def live_messages(
    history: Iterable[Message], *, first: int = 0, without: tuple[int, int] | None = None
) -> list[Message]:
    """Leave out what a retry replaced: its first message names, in `replaces`, the first number and the one behind.

    `first` is the number of the first message given; `without` leaves out one more span.
    """
    numbered = list(enumerate(history, first))
    spans = [without, *(message.get("replaces") for _, message in numbered)]
    for span in spans:
        match span:
            case [int(start), int(stop)]:
                numbered = [(number, message) for number, message in numbered if not start <= number < stop]
    return [message for _, message in numbered]


def _paired(messages: list[Message]) -> Iterator[Message]:
    sent: set[str] = set()
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            continue  # sent behind its call, or, if it has none, not at all
        calls = [(call, _unused(call["id"], sent)) for call in calls_of(message)]
        yield _chat_form(message, calls)
        results = _results_after(messages, index) if calls else {}
        for call, call_id in calls:
            result = results.get(call["id"], OUTCOME_UNKNOWN)
            yield {"role": "tool", "tool_call_id": call_id, "content": result}


def _unused(call_id: str, sent: set[str]) -> str:
    """Return an id that this request does not have yet: some servers begin anew with `call_0` in each answer."""
    if not call_id or call_id in sent:
        call_id = f"{call_id or 'call'}_{len(sent)}"
    sent.add(call_id)
    return call_id


def _results_after(messages: list[Message], index: int) -> dict[str, str]:
    """Collect the first result for each call id up to the next message that calls again.

    One that says that the outcome is unknown gives way to one that came after all.
    """
    results: dict[str, str] = {}
    for number in range(index + 1, len(messages)):  # a slice would copy all that follows, for each answer that calls
        message = messages[number]
        if calls_of(message):
            break
        if message.get("role") == "tool":
            call_id = str(message.get("tool_call_id"))
            if results.get(call_id, OUTCOME_UNKNOWN) == OUTCOME_UNKNOWN:
                results[call_id] = text_of(message)
    return results


def _chat_form(message: Message, calls: list[tuple[dict[str, Any], str]]) -> Message:
    chat = {key: message[key] for key in _CHAT_KEYS if message.get(key) is not None}
    if not isinstance(chat.get("content"), str | list):
        chat["content"] = ""
    if calls:
        chat["tool_calls"] = [_sendable_call(call, call_id) for call, call_id in calls]
    return chat


def _sendable_call(call: dict[str, Any], call_id: str) -> dict[str, Any]:
    """Return the call with a name and arguments that servers accept; they refuse a history with others."""
    function = call["function"]
    try:
        call_arguments(call)
        arguments = function.get("arguments") or "{}"
    except ValueError:
        arguments = "{}"
    name = str(function.get("name"))
    name = name if _NAME.fullmatch(name) else "unknown"
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
