"""Messages in the OpenAI Chat Completions format, and the rules for a valid conversation.

A message is a plain JSON object, so unknown keys survive storage. Besides the keys of the format (`role`, `content`,
`tool_calls`, `tool_call_id`), messages have `at` (UTC, ISO 8601); an assistant's have `model`, `usage`, and
`interrupted` if it is incomplete; a tool result has `failed`; a user's message sent during a turn has `steers`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]
_CHAT_KEYS = ("role", "content", "name", "refusal")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FAILURES = ("Error: ", "Cancelled before ")  # prefixes of failed results
OUTCOME_UNKNOWN = "No result: the call was interrupted, and whether it took effect is unknown."


def text_of(message: Message) -> str:
    """Return the text of a message; text parts are joined if the content is a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text for text in parts if isinstance(text, str))
    return ""


def calls_of(message: Message) -> list[dict[str, Any]]:
    """Return the tool calls of a message that have an ID and a function, so that they can have a result."""
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not isinstance(calls, list):
        return []
    return [call for call in calls if isinstance(call, dict) and _is_valid_call(call)]


def _is_valid_call(call: dict[str, Any]) -> bool:
    return isinstance(call.get("id"), str) and isinstance(call.get("function"), dict)


def call_arguments(call: dict[str, Any]) -> dict[str, Any]:
    """Parse the arguments of a tool call.

    Raises `ValueError`, with a message for the model, if they are not a JSON object.
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
    """Return the tool result message of a call; `failed` is None if the outcome is unknown."""
    result = {"role": "tool", "tool_call_id": call["id"], "content": text}
    return result if failed is None else {**result, "failed": failed}


def has_failed(result: Message) -> bool | None:
    """Return whether the call of a result failed, None if that is unknown.

    A result without `failed`, as in older or imported sessions, is judged by the beginning of its text.
    """
    failed, text = result.get("failed"), text_of(result)
    if isinstance(failed, bool):
        return failed
    return None if text == OUTCOME_UNKNOWN else text.startswith(_FAILURES)


def unanswered_calls(history: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the calls of the last assistant message that have no result yet, in call order."""
    with_result: set[object] = set()
    for message in reversed(history):
        if message.get("role") == "assistant":
            return [call for call in calls_of(message) if call["id"] not in with_result]
        with_result.add(message.get("tool_call_id"))
    return []


def is_unfinished(history: Sequence[Message], *, first: int = 0) -> bool:
    """Return whether a history ends before a response: with a message, calls, or their results.

    `first` is the number of the first message given.
    """
    live = [
        message
        for message in live_messages(history, first=first)
        if message.get("role") in {"user", "assistant", "tool"}
    ]
    return bool(live) and (live[-1]["role"] != "assistant" or bool(calls_of(live[-1])))


def request_messages(
    prompt: str, history: Iterable[Message], *, without: tuple[int, int] | None = None
) -> list[Message]:
    """Return the messages of a request: the prompt, then the history in a form that every server accepts.

    Every call gets exactly one result, right after it and in call order, and every result its call, even if
    interruptions or other writers left an invalid history. Only keys of the format are included. `without` omits a
    range of message numbers (start, stop) that a retry is about to replace.
    """
    live = live_messages(history, without=without)
    return [{"role": "system", "content": prompt}, *_paired(live)]


def live_messages(
    history: Iterable[Message], *, first: int = 0, without: tuple[int, int] | None = None
) -> list[Message]:
    """Omit the messages that a retry replaced: the retry's first message has their range (start, stop) in `replaces`.

    `first` is the number of the first message given; `without` omits one more range.
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
            continue  # sent after its call; not sent without one
        calls = [(call, _unused(call["id"], sent)) for call in calls_of(message)]
        yield _chat_message(message, calls)
        results = _results_after(messages, index) if calls else {}
        for call, call_id in calls:
            result = results.get(call["id"], OUTCOME_UNKNOWN)
            yield {"role": "tool", "tool_call_id": call_id, "content": result}


def _unused(call_id: str, sent: set[str]) -> str:
    """Return an ID that is unique in this request: some servers start at `call_0` in each response."""
    if not call_id or call_id in sent:
        call_id = f"{call_id or 'call'}_{len(sent)}"
    sent.add(call_id)
    return call_id


def _results_after(messages: list[Message], index: int) -> dict[str, str]:
    """Return the first result for each call ID up to the next message with calls.

    A later result takes the place of one that says that the outcome is unknown.
    """
    results: dict[str, str] = {}
    for number in range(index + 1, len(messages)):  # a slice would copy the rest each time
        message = messages[number]
        if calls_of(message):
            break
        if message.get("role") == "tool":
            call_id = str(message.get("tool_call_id"))
            if results.get(call_id, OUTCOME_UNKNOWN) == OUTCOME_UNKNOWN:
                results[call_id] = text_of(message)
    return results


def _chat_message(message: Message, calls: list[tuple[dict[str, Any], str]]) -> Message:
    chat = {key: message[key] for key in _CHAT_KEYS if message.get(key) is not None}
    if not isinstance(chat.get("content"), str | list):
        chat["content"] = ""
    if calls:
        chat["tool_calls"] = [_sendable_call(call, call_id) for call, call_id in calls]
    return chat


def _sendable_call(call: dict[str, Any], call_id: str) -> dict[str, Any]:
    """Return the call with a valid name and arguments; servers refuse a history with invalid ones."""
    function = call["function"]
    try:
        call_arguments(call)
        arguments = function.get("arguments") or "{}"
    except ValueError:
        arguments = "{}"
    name = str(function.get("name"))
    name = name if _NAME.fullmatch(name) else "unknown"
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
