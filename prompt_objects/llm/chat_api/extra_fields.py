"""Fields beyond the protocol that a server adds to a message or a call, and wants back with the history.

Examples are Gemini's `extra_content` (thought signatures), DeepSeek's `reasoning_content`, and OpenRouter's
`reasoning_details`. They are kept in the key `extra` of the message, with the server's address, and are returned to
this server only: other servers refuse unknown fields, and are not meant to read them.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from prompt_objects.message import Message, role_of
from prompt_objects.utils.text import valid_unicode

_PROTOCOL_KEYS = {"role", "content", "refusal", "name", "tool_calls", "function_call", "tool_call_id"}
_CALL_KEYS = {"index", "id", "type", "function"}
_MAX_DEPTH = 32  # deeper values could not be saved
_MAX_FIELDS = 100
_TEXTS = {"text", "summary", "thinking"}  # keys of items whose text comes in pieces


class ExtraFields:
    """Collects the extra fields of a message or a call from its streamed pieces."""

    def __init__(self, *, of_call: bool = False) -> None:
        self._known = _CALL_KEYS if of_call else _PROTOCOL_KEYS
        self._pieces: dict[str, list[Any]] = {}

    def add(self, delta: dict[str, Any]) -> int:
        """Add the fields of a piece and return their size; raises `ValueError` if they are too many or too deep."""
        size = 0
        for key, value in delta.items():
            if key in self._known or value is None or value in ("", [], {}):
                continue
            if _is_deep(value):
                raise ValueError(f"the field {key!r:.40} is nested too deeply")
            pieces = self._pieces.setdefault(valid_unicode(key), [])
            pieces.append(strict := _strict(value))
            if len(self._pieces) > _MAX_FIELDS:
                raise ValueError(f"it has more than {_MAX_FIELDS} extra fields")
            size += len(strict) if isinstance(strict, str) else len(msgspec.json.encode(strict))
        return size

    def joined(self) -> dict[str, Any]:
        """Return the complete fields: texts and lists are joined, of other values the last one counts."""
        return {key: _joined(pieces) for key, pieces in self._pieces.items()}


def extra_of(message: Message, calls: Iterable[dict[str, Any]], ids: Iterable[str]) -> dict[str, Any]:
    """Return the extra fields of a stored message with the server that sent them; `ids` are new IDs of its calls."""
    extra = message.get("extra")
    if not isinstance(extra, dict):
        return {}
    stored = extra.get("calls")
    fields = (
        {new: stored.get(call["id"]) for call, new in zip(calls, ids, strict=True)}
        if isinstance(stored, dict)
        else {}
    )
    return {"server": extra.get("server"), "message": extra.get("message"), "calls": fields}


def with_extra(message: Message, extra: Mapping[str, Any], *, without: Collection[str] = ()) -> Message:
    """Return a copy of a message of a request with the extra fields of the message and of its calls."""
    changed = {**message, **_fields(extra["message"], {*_PROTOCOL_KEYS, *without})}
    if "tool_calls" in message:
        known, fields = {*_CALL_KEYS, *without}, extra["calls"]
        changed["tool_calls"] = [{**call, **_fields(fields.get(call["id"]), known)} for call in message["tool_calls"]]
    return changed


def fields_sent(message: Message) -> set[str]:
    """Return the names of the extra fields of a message of a request and of its calls."""
    calls = message.get("tool_calls", ()) if role_of(message) == "assistant" else ()
    return {*message} - _PROTOCOL_KEYS | {key for call in calls for key in call if key not in _CALL_KEYS}


def _fields(value: object, known: set[str]) -> dict[str, Any]:
    return {key: field for key, field in value.items() if key not in known} if isinstance(value, dict) else {}


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for each in level if isinstance(each, dict | list) for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _strict(value: Any) -> Any:
    """Return a value without what strict JSON does not have: NaN, infinite numbers and lone surrogates."""
    if isinstance(value, str):
        return valid_unicode(value)
    if isinstance(value, dict):
        return {valid_unicode(key): _strict(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_strict(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _joined(pieces: list[Any]) -> Any:
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if all(isinstance(piece, list) for piece in pieces):
        return _joined_items([item for piece in pieces for item in piece])
    return pieces[-1]


def _joined_items(items: list[Any]) -> list[Any]:
    """Join the pieces of list items, which have the same `index` and `type`, as in `reasoning_details`."""
    groups: dict[object, list[Any]] = {}
    for number, item in enumerate(items):
        index = item.get("index") if isinstance(item, dict) else None
        key = (index, str(item.get("type"))) if isinstance(index, int) else (None, number)
        groups.setdefault(key, []).append(item)
    return [_joined_item(group) for group in groups.values()]


def _joined_item(pieces: list[Any]) -> Any:
    if len(pieces) == 1:
        return pieces[0]
    values: dict[str, list[Any]] = {}
    for piece in pieces:
        for key, value in piece.items():
            if value is not None:
                values.setdefault(key, []).append(value)
    return {
        key: "".join(found) if key in _TEXTS and all(isinstance(each, str) for each in found) else found[-1]
        for key, found in values.items()
    }
