"""The tool calls of a response, joined from the pieces in which servers send them.

Servers send calls complete or in pieces, without index, without ID, with the name in each piece, with arguments as
an object, or the same call a second time at the end.
"""

import json
import re
import secrets
import string
from dataclasses import dataclass, field
from typing import Any

from prompt_objects.llm.chat_api.extra_fields import ExtraFields
from prompt_objects.utils.text import is_json, text_or_empty

MAX_CALLS = 128
"""In a response; more of them are a mistake of the server."""
_MAX_NAME = 200  # characters; longer ones are not the name of a tool
_TOO_DEEP = "(nested too deeply)"  # in place of arguments: it is not JSON, so the model gets an error
_JSON = json.JSONDecoder()
_SPACE = re.compile(r"\s*")


class InvalidCalls(ValueError):
    """The calls are invalid; the message completes the sentence "SERVER …"."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    extra: ExtraFields = field(default_factory=lambda: ExtraFields(of_call=True))


class StreamedCalls:
    """Collects the pieces of calls. Each piece takes the same time, however many came before."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[object, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, piece: dict[str, Any]) -> int:
        """Add a piece and return its size; raises `InvalidCalls`."""
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        index, call_id = piece.get("index"), text_or_empty(piece.get("id"))
        name, arguments = text_or_empty(function.get("name")), _arguments(function.get("arguments"))
        if len(name) > _MAX_NAME:
            raise InvalidCalls("sent a call with a name that is too long")
        call = self._call_of(index if isinstance(index, int | str) else None, call_id, name)
        call.name = call.name or name
        if arguments:
            call.arguments.append(arguments)
        try:
            return len(name + arguments) + call.extra.add(piece)
        except ValueError as error:
            raise InvalidCalls(f"sent an invalid call: {error}") from error

    def _call_of(self, index: int | str | None, call_id: str, name: str) -> _Call:
        """Return the call that a piece belongs to, a new one if there is none."""
        call = self._latest(index, call_id)
        if call is None or _starts_new_call(call, index, call_id, name):
            if len(self._calls) == MAX_CALLS:
                raise InvalidCalls(f"sent more than {MAX_CALLS} calls")
            call = _Call()
            self._calls.append(call)
        call.id = call.id or call_id
        if index is not None:
            self._by_index[index] = call
        if call_id:
            self._by_id[call_id] = call
        return call

    def _latest(self, index: int | str | None, call_id: str) -> _Call | None:
        if index is not None:
            return self._by_index.get(index)
        return self._by_id.get(call_id) or (self._calls[-1] if self._calls else None)

    def finished(self) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
        """Return the calls as in a message, and the extra fields of each by its ID; raises `InvalidCalls`."""
        calls: list[dict[str, Any]] = []
        extra: dict[str, dict[str, Any]] = {}
        for call in self._calls:
            if not call.name:
                raise InvalidCalls("sent a call without a name")
            for arguments in _separate_arguments("".join(call.arguments)):
                call_id = _new_id()
                function = {"name": call.name, "arguments": arguments}
                calls.append({"id": call_id, "type": "function", "function": function})
                if fields := call.extra.joined():
                    extra[call_id] = fields
        if len(calls) > MAX_CALLS:
            raise InvalidCalls(f"sent more than {MAX_CALLS} calls")
        return calls, extra


def _starts_new_call(call: _Call, index: int | str | None, call_id: str, name: str) -> bool:
    """Return whether a piece starts a new call although its index, if any, is that of `call`."""
    if not name or not call.name:
        return False
    if call_id and call.id:
        return call_id != call.id
    return index is None or name != call.name


def _separate_arguments(text: str) -> list[str]:
    """Return the arguments of each call in a text: several objects are several calls, equal ones a repetition.

    An empty object before another one is the start value of some servers.
    """
    if is_json(text):
        return [text]
    found: dict[str, None] = {}
    position = _end_of_space(text, 0)
    for _ in range(2 * MAX_CALLS):
        if position == len(text):
            return [*found] or ["{}"]
        try:
            value, end = _JSON.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        if not isinstance(value, dict):
            break
        if value:
            found[text[position:end]] = None
        position = _end_of_space(text, end)
    return [text]


def _end_of_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _new_id() -> str:
    """Return a new ID for a call, because some servers repeat or omit theirs.

    A result finds its call by ID in the whole conversation. Mistral's servers only accept nine letters and digits;
    the others accept those too.
    """
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


def _arguments(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value)
    except RecursionError:
        return _TOO_DEEP
