"""Sessions as data: ids, the facts that a store returns, and totals over messages."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.errors import NotFound
from prompt_objects.message import Message
from prompt_objects.utils.time import timestamp

# Fields of `SessionInfo`: summed over usages, summed over messages, and computed by the store.
TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens")
TOTAL_FIELDS = ("message_count", *TOKENS, "cost")
DERIVED_FIELDS = (*TOTAL_FIELDS, "archived")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MAX_TOTAL = 2**53  # far above any real total; a made-up figure must not break the index


def new_id() -> str:
    """Return a new UUIDv7: ids sort by their creation time, even within one millisecond of a process."""
    from uuid_utils import uuid7

    return str(uuid7())


def created_at_of(session_id: str) -> datetime | None:
    """Return the creation time in a UUIDv7 (its first 48 bits are milliseconds); None for any other id."""
    digits = session_id.replace("-", "")
    if digits[12:13] != "7":
        return None
    try:
        return datetime.fromtimestamp(int(digits[:12], 16) / 1000, UTC)
    except (ValueError, OverflowError):  # beyond the year 9999
        return None


def is_id(text: str) -> bool:
    """Return whether this is a complete id, in lower case."""
    return _UUID.fullmatch(text) is not None


def require_id(session_id: str) -> None:
    """Raise `NotFound` for a text that is not the id of a session."""
    if not is_id(session_id):
        raise NotFound(f"{session_id!r:.60} is not the id of a session.")


class ParentCall(Struct, frozen=True):
    """The tool call that started a session: the id of its session, and its own."""

    session: str
    call: str


class SessionInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The facts about a session that need no history; times are UTC.

    Tokens and cost are sums over the `usage` of its messages; `cost` is None if no message has one. An `archived`
    session is stored compressed until its next message.
    """

    id: str
    name: str
    po_name: str
    message_count: int
    created_at: datetime
    updated_at: datetime
    user_id: str | None = None
    parent: ParentCall | None = None
    tags: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None
    archived: bool = False


class SessionRecord(Struct, frozen=True):
    """A session as a store returns it: everything except its history."""

    info: SessionInfo
    metadata: dict[str, Any]


class TrashedSession(Struct, frozen=True):
    """A deleted session that can be restored."""

    info: SessionInfo
    deleted_at: datetime


class StoreIssue(Struct, frozen=True, kw_only=True):
    """A problem in a store: its place, a sentence about it, and a sentence about its repair."""

    place: str
    problem: str
    remedy: str
    session_id: str | None = None
    repaired: bool = False


def header_of(info: SessionInfo, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a session document that precede its history."""
    known = msgspec.to_builtins(info)
    header = {key: value for key, value in known.items() if key not in (*DERIVED_FIELDS, "created_at", "updated_at")}
    return {**header, "created_at": timestamp(info.created_at), "metadata": metadata}


def add_usage(info: SessionInfo, messages: Iterable[Message], **changes: Any) -> SessionInfo:
    """Return the info with the `usage` of messages added, and with other fields changed.

    Invalid figures in a usage count as zero.
    """
    usages = [usage for message in messages if isinstance(usage := message.get("usage"), dict)]
    if not usages:
        return replace(info, **changes)
    cost = info.cost
    totals = {key: getattr(info, key) for key in TOKENS}
    for usage in usages:
        for key in TOKENS:
            count = usage.get(key)
            if isinstance(count, int) and 0 <= count <= MAX_TOTAL:
                totals[key] = min(totals[key] + count, MAX_TOTAL)
        price = usage.get("cost")
        if isinstance(price, int | float) and 0 <= price <= MAX_TOTAL:
            cost = (cost or 0.0) + price
    return replace(info, cost=cost, **totals, **changes)


def with_totals(info: SessionInfo, messages: Iterable[Message]) -> SessionInfo:
    """Return the info of a session with exactly these messages, not archived."""
    history = list(messages)
    bare = replace(info, prompt_tokens=0, completion_tokens=0, cached_tokens=0, cost=None, archived=False)
    return add_usage(bare, history, message_count=len(history))


_EPOCH = datetime.fromtimestamp(0, UTC)
_EMPTY = SessionInfo(id="", name="", po_name="", message_count=0, created_at=_EPOCH, updated_at=_EPOCH)


def totals_of(messages: Iterable[Message]) -> dict[str, Any]:
    """Return the `TOTAL_FIELDS` of a session with these messages."""
    info = with_totals(_EMPTY, messages)
    return {key: getattr(info, key) for key in TOTAL_FIELDS}
