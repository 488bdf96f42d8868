"""Adapts a request to a server, and encodes it: the body depends only on the request and the adaptations."""

import json

import msgspec

from prompt_objects.llm.base import Adaptations, Request
from prompt_objects.llm.chat_api.extra_fields import with_extra
from prompt_objects.llm.chat_api.repairs import REPAIRS, Body
from prompt_objects.message import Message
from prompt_objects.utils.text import valid_unicode


def adapt(request: Request, adaptations: Adaptations) -> Body:
    """Return the body of a request, changed for a server."""
    messages = list(request.messages)
    for index, extras in request.extra.items():
        for extra in extras:
            if adaptations.server and extra["server"] == adaptations.server:
                messages[index] = with_extra(messages[index], extra, without=adaptations.refused_fields)
    body: Body = {**request.options, "model": request.model, "messages": messages, "stream": True}
    if request.tools:
        body["tools"] = list(request.tools)
    body["stream_options"] = {"include_usage": True}
    if adaptations.repairs:  # they change messages and calls in place
        body["messages"] = [_copy(message) for message in body["messages"]]
    for name in adaptations.repairs:
        REPAIRS[name].apply(body)
    return body


def encode(body: Body) -> bytes:
    """Return a body in strict JSON: as sent."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        text = valid_unicode(json.dumps(body, ensure_ascii=False))
        return msgspec.json.encode(json.loads(text))  # again, as JSON has no NaN


def _copy(message: Message) -> Message:
    if "tool_calls" not in message:
        return {**message}
    return {**message, "tool_calls": [{**call} for call in message["tool_calls"]]}
