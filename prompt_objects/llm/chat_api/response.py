"""A model's response, built from the chunks that a server sends.

Servers deviate from the protocol, so chunks are read as plain JSON, without assumptions. Everything is limited and
takes a time in proportion to its length.
"""

import re
from typing import TYPE_CHECKING, Any

from prompt_objects.llm.base import FINISHED, Completion, Usage
from prompt_objects.llm.chat_api.extra_fields import ExtraFields
from prompt_objects.llm.chat_api.streamed_calls import MAX_CALLS, InvalidCalls, StreamedCalls
from prompt_objects.message import text_of_part
from prompt_objects.utils.text import text_or_empty, valid_unicode

if TYPE_CHECKING:
    from prompt_objects.message import Message


_MAX_CHARS = 10_000_000  # of text, arguments and extra fields together
_MAX_PIECES = 10 * MAX_CALLS  # of calls, in one chunk
_MAX_TOKENS = 2**53  # the largest exact integer in JSON
_TEXT_KEYS = {"role", "content"}
_REASON = re.compile(r"[\w .-]{1,60}", re.ASCII)
_NO_REASON = {"", "null", "none"}
_USAGE_SECONDS = 1.0
_FALSE_END_SECONDS = 5.0
_REASONING = ("reasoning_content", "reasoning", "reasoning_text")  # names of a text field for reasoning
_THOUGHTS = {"thinking", "reasoning", "redacted_thinking"}  # kinds of parts that are no part of the answer
_NO_ANSWER = "The model sent only its reasoning, and no answer; the reasoning is shown instead."


class MalformedResponse(ValueError):
    """The response of the server is invalid; the message completes the sentence "SERVER …"."""


class ResponseBuilder:
    """Collects the chunks of one response of the server at an address."""

    def __init__(self, server: str = "") -> None:
        self._server = server
        self._text: list[str] = []
        self._length = 0  # of the text
        self._half = ""  # of a pair of surrogates
        self._refusal: list[str] = []
        self._thoughts: list[str] = []  # from parts of the content
        self._calls = StreamedCalls()
        self._extra = ExtraFields()
        self._chars = 0
        self._usage = Usage()
        self._has_ended = False
        self._has_grown = False  # by the last chunk
        self._is_reliable = True  # some servers send a finish reason in each chunk
        self.finish_reason = ""

    @property
    def is_complete(self) -> bool:
        """Return whether the server said that the response has ended well; what follows does not matter."""
        return self._has_ended or (self._is_reliable and self.finish_reason.lower() in FINISHED)

    @property
    def last_seconds(self) -> float:
        """How long a complete response is still read: for its usage, or for more text if the end may be false."""
        if self._has_grown:
            return _FALSE_END_SECONDS
        return 0.0 if self._usage.total else _USAGE_SECONDS

    def end(self) -> None:
        """Record that the server ended the response, with or without a finish reason."""
        self._has_ended = True

    def add(self, chunk: object) -> str:
        """Add the next chunk and return its text; raises `MalformedResponse`."""
        if not isinstance(chunk, dict):
            raise MalformedResponse("sent an invalid chunk")
        if isinstance(chunk.get("usage"), dict):
            self._usage = _parse_usage(chunk["usage"])
        choice = _first(chunk.get("choices"))
        delta = choice.get("delta") or self._as_delta(choice.get("message"))
        before = self._chars
        text = self._add_delta(delta) if isinstance(delta, dict) else ""
        self._has_grown = self._chars > before
        self._is_reliable = self._is_reliable and not (self.finish_reason and self._has_grown)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason.lower() not in _NO_REASON:
            self.finish_reason = reason if _REASON.fullmatch(reason) else "unknown"
        return text

    def _as_delta(self, message: object) -> dict[str, Any]:
        """Convert a complete message into the form of a delta; after other pieces, it repeats them."""
        if not isinstance(message, dict):
            return {}
        calls = message.get("tool_calls")
        numbered = enumerate(calls if isinstance(calls, list) else ())
        pieces = [{**call, "index": number} for number, call in numbered if isinstance(call, dict)]
        if not self._length and not len(self._calls):
            return {**message, "tool_calls": pieces}
        content = _text(message.get("content"))
        if len(content) >= self._length:
            content = content.removeprefix("".join(self._text))
        return {"content": content, "tool_calls": pieces}

    def _add_delta(self, delta: dict[str, Any]) -> str:
        content = delta.get("content")
        if isinstance(content, str) and (self._half or not content.isascii()):
            content = self._join_surrogates(content)
        if isinstance(content, str) and delta.keys() <= _TEXT_KEYS:  # almost every chunk
            self._text.append(content)
            self._length += len(content)
            self._count(len(content))
            return content
        text, refused, thoughts = _text(content), text_or_empty(delta.get("refusal")), _thoughts(content)
        self._text.append(text + refused)
        self._length += len(text + refused)
        self._refusal.append(refused)
        self._thoughts += thoughts
        self._count(len(text + refused) + sum(map(len, thoughts)))
        try:
            self._count(self._extra.add(delta) + sum(map(self._calls.add, _pieces(delta))))
        except InvalidCalls as error:
            raise MalformedResponse(str(error)) from error
        except ValueError as error:
            raise MalformedResponse(f"sent an invalid message: {error}") from error
        return text + refused

    def _join_surrogates(self, text: str) -> str:
        """Join the surrogates of a text, as a character may come in two chunks; single ones are replaced."""
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text.removesuffix(self._half) if self._half else text
        return valid_unicode(text)

    def _count(self, size: int) -> None:
        self._chars += size
        if self._chars > _MAX_CHARS:
            raise MalformedResponse("sent a response that is too long")

    def completion(self) -> Completion:
        """Return the complete response; raises `MalformedResponse` if it is incomplete or empty."""
        if not self.finish_reason and not self._has_ended:
            raise MalformedResponse("ended in the middle of the response")
        reason = self.finish_reason or "stop"
        content = "".join(self._text)
        try:
            calls, of_calls = self._calls.finished()
        except InvalidCalls as error:
            raise MalformedResponse(str(error)) from error
        extra = {"message": self._extra.joined(), "calls": of_calls}
        is_answer = bool(calls or content.strip())
        if not is_answer and self.is_complete:
            content = self._reasoning(extra["message"])
        if not calls and not content.strip():
            raise MalformedResponse(_empty_reason(reason))
        message: Message = {"role": "assistant", "content": content}
        if any(self._refusal):
            message["refusal"] = "".join(self._refusal)
        if calls:
            message["tool_calls"] = calls
        if kept := {of: fields for of, fields in extra.items() if fields}:
            message["extra"] = {"server": self._server, **kept}
        return Completion(message, self._usage, reason, () if is_answer else (_NO_ANSWER,))

    def _reasoning(self, extra: dict[str, Any]) -> str:
        """Return the text of the model's reasoning, for a response without anything else."""
        named = (extra.get(name) for name in _REASONING)
        return next((text for text in named if isinstance(text, str)), "") or "".join(self._thoughts)


def _first(choices: object) -> dict[str, Any]:
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _text(content: object) -> str:
    """Return the text of content, which may be a list of parts, some of them thoughts."""
    if not isinstance(content, list):
        return text_of_part(content) or ""
    parts = [part for part in content if not (isinstance(part, dict) and part.get("type") in _THOUGHTS)]
    return "".join(text for text in map(text_of_part, parts) if text)


def _thoughts(content: object) -> list[str]:
    """Return the texts of thoughts among the parts of content."""
    found = content if isinstance(content, list) else []
    thoughts = [part for part in found if isinstance(part, dict) and part.get("type") in _THOUGHTS]
    texts = (part.get("thinking", part.get("text")) for part in thoughts)
    return [text if isinstance(text, str) else _text(text) for text in texts]


def _pieces(delta: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pieces of calls; a `function_call` is the older form of a single call."""
    calls = delta.get("tool_calls")
    calls = [calls] if isinstance(calls, dict) else calls
    pieces = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    if len(pieces) > _MAX_PIECES:
        raise InvalidCalls("sent an event with too many calls")
    function = delta.get("function_call")
    return [*pieces, {"index": "function_call", "function": function}] if isinstance(function, dict) else pieces


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
    if finish_reason.lower() in FINISHED:
        return "sent an empty response"
    return f"ended the response before any text ({finish_reason})"
