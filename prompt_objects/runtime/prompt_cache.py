"""What the requests of a session began with: a server reads again only what comes after the part that it knows.

Requests are remembered by checksums, in memory, and compared part by part in the order in which servers read them:
tools, prompt, messages.
"""

from array import array
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from prompt_objects.message import Message, text_of
from prompt_objects.utils.time import now

__all__ = [
    "CacheReport",
    "PromptCacheMonitor",
    "RequestFingerprint",
    "first_difference",
]

_SESSIONS = 256  # so many are remembered, those in which something was last asked
_REQUESTS = 10  # of each
_ENCODE = msgspec.json.Encoder().encode


class RequestFingerprint(Struct, frozen=True):
    """A request, by checksums: of each line of the prompt, of each tool by its name, in order, and of each message.

    `stored` is how many messages the session had, `replaced` how many of its messages, and the coming one, stand in
    the place of others.
    """

    model: str
    prompt: "array[int]"
    tools: Mapping[str, int]
    messages: "array[int]"
    stored: int
    replaced: int

    @classmethod
    def of(
        cls,
        model: str,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        history: Sequence[Message],
        *,
        replaces: bool = False,
    ) -> "RequestFingerprint":
        """Take the checksums of what is sent; the first of the messages is the prompt."""
        return cls(
            model,
            _checksums(text_of(messages[0]).splitlines()),
            {tool["function"]["name"]: _checksum(tool) for tool in tools},
            _checksums(messages[1:]),
            len(history),
            sum("replaces" in message for message in history) + replaces,
        )


class CacheReport(Struct, frozen=True):
    """A request that was answered: when, what it began with in comparison to the last, and the tokens of its prompt.

    `change` is empty where it began with all of the one before, or went back to a part of it; None of the first one.
    """

    at: datetime
    change: str | None
    prompt_tokens: int
    cached_tokens: int


class PromptCacheMonitor:
    """The last requests of the sessions in which something was asked lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[RequestFingerprint, deque[CacheReport]]] = OrderedDict()

    def add(
        self, session_id: str, po_name: str, prefix: RequestFingerprint, prompt_tokens: int, cached_tokens: int
    ) -> None:
        """Note what was sent, and what the server reported."""
        before, sent = self._known.pop(session_id, (None, deque(maxlen=_REQUESTS)))
        change = None if before is None else first_difference(before, prefix, po_name)
        sent.append(CacheReport(now(), change, prompt_tokens, cached_tokens))
        self._known[session_id] = prefix, sent
        if len(self._known) > _SESSIONS:
            self._known.popitem(last=False)

    def of(self, session_id: str) -> list[CacheReport]:
        """Return the last requests of a session, the newest last."""
        _, sent = self._known.get(session_id, (None, ()))
        return list(sent)


def first_difference(before: RequestFingerprint, after: RequestFingerprint, po_name: str) -> str:
    """Name the first part in which a request begins otherwise than the one before; empty where it does not."""
    if after.model != before.model:
        return f"it went to another model: {after.model}, not {before.model}"
    if tools := _tools_changed(before.tools, after.tools):
        return tools
    for number, (old, new) in enumerate(zip_longest(before.prompt, after.prompt), 1):
        if old != new:
            return f"the prompt of {po_name} changed at line {number}"
    both = min(len(before.messages), len(after.messages))
    if before.messages[:both] == after.messages[:both]:  # as nearly always, and much faster than one by one
        return ""
    number = next(n for n in range(both) if before.messages[n] != after.messages[n]) + 1
    return f"message {number} {_why_another(before, after)}"


def _tools_changed(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    changed = [name for name in after if name in before and after[name] != before[name]]
    told = [
        f"the tool {names[0]} was {how}" if len(names) == 1 else f"the tools {', '.join(names)} were {how}"
        for names, how in ((added, "added"), (removed, "left out"), (changed, "changed"))
        if names
    ]
    if not told and list(before) != list(after):
        return "the order of the tools changed"
    return ", ".join(told)


def _why_another(before: RequestFingerprint, after: RequestFingerprint) -> str:
    if after.replaced > before.replaced:
        return "was replaced by /retry"
    if after.stored <= before.stored:  # or it would have grown by a message at least
        return "is another one: the session was cut, or brought back as it was before"
    return "is another one than it was"


def _checksums(parts: Sequence[object]) -> "array[int]":
    return array("L", map(_checksum, parts))


def _checksum(part: object) -> int:
    try:
        return crc32(_ENCODE(part))
    except UnicodeEncodeError:  # half of a surrogate pair, as file names may hold
        return crc32(repr(part).encode(errors="replace"))
