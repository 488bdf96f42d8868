"""Sums of what the messages of a session took, as models counted it."""

import math
from collections.abc import Iterable

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions.session import SessionInfo

__all__ = ["with_usage"]

_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens")
_MOST = 2**53  # no sum of true counts comes near; a made-up one must not break the index


def with_usage(info: SessionInfo, messages: Iterable[Message]) -> SessionInfo:
    """Add what `messages` took, by their `usage`; whatever is no sensible figure in one counts as nothing."""
    usages = [usage for message in messages if isinstance(usage := message.get("usage"), dict)]
    if not usages:
        return info
    sums: dict[str, int] = dict.fromkeys(_COUNTS, 0)
    cost = info.cost
    for usage in usages:
        for key in _COUNTS:
            sums[key] += _count(usage.get(key))
        price = usage.get("cost")
        if isinstance(price, int | float) and math.isfinite(price) and price >= 0:
            cost = (cost or 0.0) + price
    if not any(sums.values()) and cost == info.cost:
        return info
    totals = {key: min(getattr(info, key) + value, _MOST) for key, value in sums.items()}
    return replace(info, cost=cost, **totals)


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value <= _MOST else 0
