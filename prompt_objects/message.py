"""Messages in the OpenAI Chat Completions format.

A message is a plain JSON object, so unknown keys survive storage. Besides the keys of the format (`role`, `content`,
`tool_calls`, `tool_call_id`), messages have `at` (UTC, ISO 8601). An assistant's have `model`, `usage`, `request` (as
it was sent), `interrupted` if they are incomplete, and `extra` with what their server wants back. A tool
result has `failed`, and `grant` if the call ran without the approval that such calls usually need. A user's message
sent during a turn has `steers`, and `read_at`, when the turn read it. Messages of the roles `approval` and `question`
record what the user was asked, and the answer; models do not get them. Imported and edited messages may differ: they
are read with the functions of this module.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]
_FAILURES = ("Error: ", "Cancelled before ")  # prefixes of failed results
OUTCOME_UNKNOWN = "No result: the call was interrupted, and whether it took effect is unknown."
REFUSED = "The user did not allow"
"""How the result of a call begins, after `Error: `, if the user refused it."""
_FORMAT_ROLES = ("user", "assistant", "tool", "system")
_ROLES = {"human": "user", "ai": "assistant", "bot": "assistant", "model": "assistant", "function": "tool"}
_JSON_NAMES = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


RECORDS = frozenset({"approval", "question"})
"""The roles of messages that are for the user only."""


def role_of(message: Message) -> str:
    """Return the role of a message; the roles of other programs, such as `human` and `ai`, count as the format's."""
    role = message.get("role")
    if role in _FORMAT_ROLES:
        return str(role)
    role = role.strip().lower() if isinstance(role, str) else ""
    return _ROLES.get(role, role)


def text_of(message: Message) -> str:
    """Return the text of a message; text parts are joined if the content is a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(text for text in map(text_of_part, content) if text is not None)
    if isinstance(content, int | float) and not isinstance(content, bool):  # a number in a file edited by hand
        return str(content)
    return text_of_part(content) or ""


def text_of_part(part: object) -> str | None:
    """Return the text of a part of a message's content, None if it has none."""
    if isinstance(part, dict):
        part = part["text"] if "text" in part else part.get("refusal")
    if isinstance(part, dict):  # as in threads exported from OpenAI
        part = part.get("value")
    return part if isinstance(part, str) else None


def calls_of(message: Message) -> list[dict[str, Any]]:
    """Return the tool calls of a message that have an ID and a function, so that they can have a result.

    A `function_call`, the older form, counts as a call whose ID is made from its name.
    """
    if role_of(message) != "assistant":
        return []
    calls = message.get("tool_calls")
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    if isinstance(function := message.get("function_call"), dict):
        found.append({"id": _function_id(function), "type": "function", "function": function})
    return [call for call in found if isinstance(call.get("id"), str) and isinstance(call.get("function"), dict)]


def answered_call(result: Message) -> str:
    """Return the ID of the call that a tool result answers."""
    call_id = result.get("tool_call_id")
    return _function_id(result) if call_id is None else str(call_id)


def _function_id(named: dict[str, Any]) -> str:
    return f"function_{named.get('name')}"


def call_arguments(call: dict[str, Any]) -> dict[str, Any]:
    """Parse the arguments of a tool call; nothing and `null` mean no arguments, and JSON in a JSON string is parsed.

    Raises `ValueError`, with a message for the model, if they are not an object in strict JSON.
    """
    arguments = call["function"].get("arguments")
    try:
        for _ in range(2):
            if isinstance(arguments, str) and arguments:
                arguments = json.loads(arguments, parse_constant=_refuse_constant)
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("The arguments contain half of a surrogate pair. Send valid Unicode.") from error
    except RecursionError as error:
        raise ValueError("The arguments are nested too deeply. Send one simple JSON object.") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"The arguments are not valid JSON ({error}). Send one JSON object.") from error
    if not isinstance(arguments, dict | None) and arguments != "":
        raise ValueError(f"The arguments are {_JSON_NAMES[type(arguments)]}, not a JSON object.")
    return arguments or {}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


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
    with_result: set[str] = set()
    for message in reversed(history):
        if role_of(message) == "assistant":
            return [call for call in calls_of(message) if call["id"] not in with_result]
        if role_of(message) == "tool":
            with_result.add(answered_call(message))
    return []


def is_unfinished(history: Sequence[Message], *, first: int = 0) -> bool:
    """Return whether a history ends before a response: with a message, calls, or their results.

    `first` is the number of the first message given.
    """
    live = [
        message
        for message in live_messages(history, first=first)
        if role_of(message) in {"user", "assistant", "tool"}
    ]
    return bool(live) and (role_of(live[-1]) != "assistant" or bool(calls_of(live[-1])))


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
