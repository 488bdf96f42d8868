"""The form of requests that one server accepts, learned from its refusals.

A request is first sent in the usual form. If the server refuses it with known words, the request is repaired and sent
again, and all later requests to this server are sent in the repaired form. So a server that does not know a parameter
works, and a history that a server refuses does not make its session unusable.
"""

import json
import re
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import msgspec

from prompt_objects.llm.base import Request
from prompt_objects.llm.extra_fields import fields_sent
from prompt_objects.llm.repairs import REPAIRS, Body
from prompt_objects.message import Message

if TYPE_CHECKING:
    from prompt_objects.llm.repairs import Repair

_MAX_LEARNED_FIELDS = 20
_UNKNOWN = re.compile(
    r"(?i)unsupported|not supported|n't support|not support|unknown|unrecogni[sz]ed|unexpected|extra_forbidden|"
    r"extra inputs|not permitted|not allowed|no such|invalid (parameter|argument|field)"
)


class Dialect:
    """What was learned about one server; shared by all connections to it."""

    def __init__(self) -> None:
        self._repairs: list[Repair] = []
        self._refused_fields: set[str] = set()

    def encode(self, model: str, request: Request) -> bytes:
        """Return the body of a request, in strict JSON."""
        return _strict_json(self._body(model, request))

    def learn(self, refusal: str, model: str, request: Request) -> list[str]:
        """Adapt to the words of a refusal; return notices for the user.

        A change without an effect on the request is not learned. Of several changes of messages that fit the words,
        one at a time is tried.
        """
        notices: list[str] = []
        is_unknown = bool(_UNKNOWN.search(refusal))
        for repair in REPAIRS:
            is_about = re.search(repair.pattern, refusal, re.IGNORECASE | re.DOTALL)
            if not is_about or (repair.is_parameter and not is_unknown) or repair in self._repairs:
                continue
            before, body = self._body(model, request), self._body(model, request, is_changed=True)
            repair.apply(body)
            if body != before:
                self._repairs.append(repair)
                notices += [repair.notice] if repair.notice else []
                if body["messages"] != before["messages"]:
                    break
        if is_unknown and len(self._refused_fields) < _MAX_LEARNED_FIELDS:
            sent = {field for message in request.messages for field in fields_sent(message)}
            self._refused_fields |= {field for field in sent if field in refusal}
        return notices

    def _body(self, model: str, request: Request, *, is_changed: bool = False) -> Body:
        """Return the body of a request; if it is changed, its messages are copies."""
        body: Body = {**request.options, "model": model, "messages": list(request.messages), "stream": True}
        if request.tools:
            body["tools"] = list(request.tools)
        body["stream_options"] = {"include_usage": True}
        if is_changed or self._repairs or self._refused_fields:
            body["messages"] = [self._accepted(message) for message in request.messages]
            for repair in self._repairs:
                repair.apply(body)
        return body

    def _accepted(self, message: Message) -> Message:
        """Return a copy of a message and its calls without the fields that the server refuses."""
        copy = {key: value for key, value in message.items() if key not in self._refused_fields}
        if "tool_calls" in message:
            calls = message["tool_calls"]
            copy["tool_calls"] = [{k: v for k, v in call.items() if k not in self._refused_fields} for call in calls]
        return copy


_dialects: WeakValueDictionary[str, Dialect] = WeakValueDictionary()


def dialect_of(base_url: str) -> Dialect:
    """Return what is known about a server, as long as there is a connection to it."""
    return _dialects.setdefault(base_url, Dialect())


def _strict_json(body: Body) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        # A lone surrogate, as in some file names, cannot be encoded; "?" replaces it.
        text = json.dumps(body, ensure_ascii=False).encode(errors="replace")
        return msgspec.json.encode(json.loads(text))  # again, as JSON has no NaN
