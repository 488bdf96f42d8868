"""Sums of what the messages of a session took, as models counted it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions.record import SUMS, TOKENS, SessionInfo

__all__ = ["MOST", "summed", "sums_of", "with_usage"]

MOST = 2**53  # no sum of true counts comes near; a made-up one must not break the index
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_NOTHING = SessionInfo(id="", name="", po_name="", message_count=0, created_at=_LONG_AGO, updated_at=_LONG_AGO)


def with_usage(info: SessionInfo, messages: Iterable[Message], **changes: Any) -> SessionInfo:
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
            if isinstance(count, int) and 0 <= count <= MOST:
                totals[key] = min(totals[key] + count, MOST)
        price = usage.get("cost")
        if isinstance(price, int | float) and 0 <= price <= MOST:
            cost = (cost or 0.0) + price
    return replace(info, cost=cost, **totals, **changes)


def summed(info: SessionInfo, messages: Iterable[Message]) -> SessionInfo:
    """Return the info of a session that has exactly these messages, and is not archived."""
    history = list(messages)
    bare = replace(info, prompt_tokens=0, completion_tokens=0, cached_tokens=0, cost=None, archived=False)
    return with_usage(bare, history, message_count=len(history))


def sums_of(messages: Iterable[Message]) -> dict[str, Any]:
    """Return what a session's info says of these messages: their number, tokens and cost."""
    info = summed(_NOTHING, messages)
    return {key: getattr(info, key) for key in SUMS}
