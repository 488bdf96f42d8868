"""A model's response, built from the chunks that a server sends.

Servers deviate from the protocol: they send calls complete or in pieces, without index, without ID, with arguments
as an object. So chunks are read as plain JSON, without assumptions.
"""

import json
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prompt_objects.llm.base import Completion, Usage

if TYPE_CHECKING:
    from prompt_objects.message import Message


_MAX_CHARS = 10_000_000  # of text and arguments together
_MAX_TOKENS = 2**53  # the largest exact integer in JSON


class MalformedResponse(ValueError):
    """The response of the server is invalid; the message completes the sentence "SERVER …"."""


@dataclass(slots=True)
class _Call:
    index: object
    id: str = ""
    name: str = ""
    arguments: str = ""

    def is_complete(self) -> bool:
        try:
            json.loads(self.arguments)
        except ValueError:
            return False
        return True


class ResponseBuilder:
    """Collects the chunks of one response."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[_Call] = []
        self._chars = 0
        self._usage = Usage()
        self._finish_reason = ""

    def add(self, chunk: object) -> str:
        """Add the next chunk and return its text; raises `MalformedResponse`."""
        if not isinstance(chunk, dict):
            raise MalformedResponse("sent an invalid chunk")
        if isinstance(chunk.get("usage"), dict):
            self._usage = _parse_usage(chunk["usage"])
        choice = _first(chunk.get("choices"))
        if isinstance(choice.get("finish_reason"), str):
            self._finish_reason = choice["finish_reason"]
        delta = choice["delta"] if "delta" in choice else _as_delta(choice.get("message"))
        return self._add_delta(delta) if isinstance(delta, dict) else ""

    def _add_delta(self, delta: dict[str, Any]) -> str:
        text, refused = _string(delta.get("content")), _string(delta.get("refusal"))
        self._count(text + refused)
        self._text.append(text + refused)
        self._refusal.append(refused)
        calls = delta.get("tool_calls")
        for piece in calls if isinstance(calls, list) else ():
            if isinstance(piece, dict):
                self._add_call(piece)
        return text + refused

    def _add_call(self, piece: dict[str, Any]) -> None:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call = self._call_of(piece.get("index"), _string(piece.get("id")), _string(function.get("name")))
        call.id = call.id or _string(piece.get("id"))
        call.name = call.name or _string(function.get("name"))
        arguments = _arguments(function.get("arguments"))
        self._count(arguments)
        call.arguments += arguments

    def _count(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > _MAX_CHARS:
            raise MalformedResponse("sent a response that is too long")

    def _call_of(self, index: object, call_id: str, name: str) -> _Call:
        """Return the call that a piece belongs to, a new one if there is none."""
        same_index = (call for call in reversed(self._calls) if index is None or call.index == index)
        call = next(same_index, None)
        if call is None or _starts_new_call(call, index, call_id, name):
            call = _Call(index)
            self._calls.append(call)
        return call

    def completion(self) -> Completion:
        """Return the complete response; raises `MalformedResponse` if it is incomplete or empty."""
        if not self._finish_reason:
            raise MalformedResponse("ended in the middle of the response")
        content, calls = "".join(self._text), self._finished_calls()
        if not content.strip() and not calls:
            raise MalformedResponse(_empty_reason(self._finish_reason))
        message: Message = {"role": "assistant", "content": content}
        if any(self._refusal):
            message["refusal"] = "".join(self._refusal)
        if calls:
            message["tool_calls"] = calls
        return Completion(message, self._usage, self._finish_reason)

    def _finished_calls(self) -> list[dict[str, Any]]:
        calls = []
        for call in self._calls:
            if not call.name:
                raise MalformedResponse("sent a call without a name")
            function = {"name": call.name, "arguments": call.arguments or "{}"}
            calls.append({"id": _new_id(), "type": "function", "function": function})
        return calls


def _new_id() -> str:
    """Return a new ID for a call, because some servers repeat or omit theirs.

    A result finds its call by ID in the whole conversation. Mistral's servers only accept nine letters and digits;
    the others accept those too.
    """
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


def _starts_new_call(call: _Call, index: object, call_id: str, name: str) -> bool:
    """Return whether a piece with a name starts a new call although its index, if any, is that of `call`."""
    if not name or not call.name:
        return False
    if call_id and call.id:
        return call_id != call.id
    return index is None or call.is_complete()


def _first(choices: object) -> dict[str, Any]:
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _as_delta(message: object) -> object:
    """Convert a message that was not streamed into the form of a delta, with numbered calls."""
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(calls, list):
        return message
    numbered = [{**call, "index": number} for number, call in enumerate(calls) if isinstance(call, dict)]
    return {**message, "tool_calls": numbered}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else _string(value)


def _parse_usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    prompt = _count(usage.get("prompt_tokens"))
    # some servers count cached tokens separately
    return Usage(prompt, _count(usage.get("completion_tokens")), min(cached, prompt))


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 < value < _MAX_TOKENS else 0


def _empty_reason(finish_reason: str) -> str:
    if finish_reason == "length":
        return "reached its token limit before sending any text"
    if finish_reason == "content_filter":
        return "withheld the response (content_filter)"
    return "sent an empty response"
