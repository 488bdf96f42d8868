"""What a session is, as data: its id, what is known about it, what a store hands out."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from prompt_objects.utils.time import timestamp

__all__ = [
    "DERIVED_FIELDS",
    "TOKENS",
    "TOTAL_FIELDS",
    "ParentCall",
    "SessionInfo",
    "SessionRecord",
    "StoreIssue",
    "TrashedSession",
    "created_at_of",
    "header_of",
    "new_id",
]

# Of the fields of a `SessionInfo`: what is summed over usages, over messages, and what nobody but a store says.
TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens")
TOTAL_FIELDS = ("message_count", *TOKENS, "cost")
DERIVED_FIELDS = (*TOTAL_FIELDS, "archived")


def new_id() -> str:
    """Make a UUIDv7: ids sort by the time they were made, also within one millisecond of one process."""
    from uuid_utils import uuid7

    return str(uuid7())


def created_at_of(session_id: str) -> datetime | None:
    """Return when an id was made: a UUIDv7 begins with 48 bits of milliseconds. None for any other."""
    digits = session_id.replace("-", "")
    if digits[12:13] != "7":
        return None
    try:
        return datetime.fromtimestamp(int(digits[:12], 16) / 1000, UTC)
    except (ValueError, OverflowError):  # beyond the year 9999
        return None


class ParentCall(msgspec.Struct, frozen=True):
    """The call that started a session: its id, and the session in which it stands."""

    session: str
    call: str


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known about a session without reading its history; times are UTC.

    Tokens and cost are the sums over the `usage` of its messages; `cost` is None where none of them has one. An
    `archived` session is kept compressed until its next message.
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


class SessionRecord(msgspec.Struct, frozen=True):
    """A session as a store hands it out: all but its history."""

    info: SessionInfo
    metadata: dict[str, Any]


def header_of(info: SessionInfo, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a session's document that stand before its history."""
    known = msgspec.to_builtins(info)
    head = {key: value for key, value in known.items() if key not in (*DERIVED_FIELDS, "created_at", "updated_at")}
    return {**head, "created_at": timestamp(info.created_at), "metadata": metadata}


class TrashedSession(msgspec.Struct, frozen=True):
    """A deleted session that can be restored."""

    info: SessionInfo
    deleted_at: datetime


class StoreIssue(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong in a store: where, what it is, what repairing does about it, each in a sentence."""

    place: str
    problem: str
    remedy: str
    session_id: str | None = None
    repaired: bool = False
