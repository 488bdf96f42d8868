"""Finds out why a request could not use the provider's prompt cache.

A provider caches the longest known prefix of a request. The checksums of the last request of each session are kept in
memory and compared with the next, in the order in which providers read them: tools, prompt, messages.
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

from prompt_objects.message import Message
from prompt_objects.utils.time import now

_MAX_SESSIONS = 256
_MAX_REPORTS = 10  # per session
_ENCODE = msgspec.json.Encoder().encode


class RequestFingerprint(Struct, frozen=True):
    """The checksums of a request: of each line of the prompt, each tool in order, and each message.

    `stored` is the number of messages in the session; `replaced` is how many of them, including the expected
    response, replace others.
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
        """Return the fingerprint of a request whose first message is the prompt."""
        replaced = ["replaces" in message for message in history]
        return cls(
            model,
            _checksums(messages[0]["content"].splitlines()),
            {tool["function"]["name"]: _checksum(tool) for tool in tools},
            _checksums(messages[1:]),
            len(replaced),
            sum(replaced) + replaces,
        )


class CacheReport(Struct, frozen=True):
    """An answered request: its time, its first difference from the previous request, and its prompt tokens.

    `change` is None for the first request of a session, and empty if the request only extended or shortened the
    previous one.
    """

    at: datetime
    change: str | None
    prompt_tokens: int
    cached_tokens: int


class PromptCacheMonitor:
    """The last requests of the most recently used sessions."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, tuple[RequestFingerprint, deque[CacheReport]]] = OrderedDict()

    def add(
        self, session_id: str, po_name: str, fingerprint: RequestFingerprint, prompt_tokens: int, cached_tokens: int
    ) -> None:
        """Record a request and the token counts that the provider reported."""
        before, reports = self._sessions.pop(session_id, (None, deque(maxlen=_MAX_REPORTS)))
        change = None if before is None else first_difference(before, fingerprint, po_name)
        reports.append(CacheReport(now(), change, prompt_tokens, cached_tokens))
        self._sessions[session_id] = fingerprint, reports
        if len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)

    def of(self, session_id: str) -> list[CacheReport]:
        _, reports = self._sessions.get(session_id, (None, ()))
        return list(reports)


def first_difference(before: RequestFingerprint, after: RequestFingerprint, po_name: str) -> str:
    """Describe the first difference of a request from the previous one; empty if one is a prefix of the other."""
    if after.model != before.model:
        return f"the model changed from {before.model} to {after.model}"
    if change := _tool_change(before.tools, after.tools):
        return change
    for number, (old, new) in enumerate(zip_longest(before.prompt, after.prompt), 1):
        if old != new:
            return f"the prompt of {po_name} changed at line {number}"
    common = min(len(before.messages), len(after.messages))
    if before.messages[:common] == after.messages[:common]:  # the usual case, much faster than one by one
        return ""
    number = next(n for n in range(common) if before.messages[n] != after.messages[n]) + 1
    return f"message {number} {_message_change(before, after)}"


def _tool_change(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    changed = [name for name in after if name in before and after[name] != before[name]]
    changes = [
        f"the tool {names[0]} was {how}" if len(names) == 1 else f"the tools {', '.join(names)} were {how}"
        for names, how in ((added, "added"), (removed, "removed"), (changed, "changed"))
        if names
    ]
    if not changes and list(before) != list(after):
        return "the order of the tools changed"
    return ", ".join(changes)


def _message_change(before: RequestFingerprint, after: RequestFingerprint) -> str:
    if after.replaced > before.replaced:
        return "was replaced by /retry"
    if after.stored <= before.stored:  # otherwise at least one message was added
        return "changed: the session was truncated or restored"
    return "changed"


def _checksums(parts: Sequence[object]) -> "array[int]":
    return array("L", map(_checksum, parts))


def _checksum(part: object) -> int:
    try:
        return crc32(_ENCODE(part))
    except UnicodeEncodeError:  # a lone surrogate, as in file names
        return crc32(repr(part).encode(errors="replace"))
