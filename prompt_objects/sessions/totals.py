"""Sums of what the messages of a session took, as models counted it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions.info import TOKENS, TOTAL_FIELDS, SessionInfo

__all__ = [
    "MAX_TOTAL",
    "add_usage",
    "totals_of",
    "with_totals",
]

MAX_TOTAL = 2**53  # no sum of true counts comes near; a made-up one must not break the index
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_NOTHING = SessionInfo(id="", name="", po_name="", message_count=0, created_at=_LONG_AGO, updated_at=_LONG_AGO)


def add_usage(info: SessionInfo, messages: Iterable[Message], **changes: Any) -> SessionInfo:
    """Add what `messages` took, by their `usage`; whatever is no sensible figure in one counts as nothing.

    Other `changes` of the info are made along with it.
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
    """Return the info of a session that has exactly these messages, and is not archived."""
    history = list(messages)
    bare = replace(info, prompt_tokens=0, completion_tokens=0, cached_tokens=0, cost=None, archived=False)
    return add_usage(bare, history, message_count=len(history))


def totals_of(messages: Iterable[Message]) -> dict[str, Any]:
    """Return what a session's info says of these messages: their number, tokens and cost."""
    info = with_totals(_NOTHING, messages)
    return {key: getattr(info, key) for key in TOTAL_FIELDS}
