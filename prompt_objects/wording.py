"""How numbers, moments and paths are put into words."""

from collections.abc import Iterable
from datetime import datetime

from prompt_objects.message import now

__all__ = ["ago", "arrows", "count"]

_UNITS = (("year", 31_556_952), ("month", 2_629_746), ("day", 86_400), ("hour", 3_600), ("minute", 60))


def count(number: int, noun: str) -> str:
    """Write `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def ago(moment: datetime) -> str:
    """Write how long ago a moment was, in its largest unit: `3 days ago`, `just now`."""
    seconds = (now() - moment).total_seconds()
    for noun, length in _UNITS:
        if seconds >= length:
            return f"{count(int(seconds // length), noun)} ago"
    return "just now"


def arrows(path: Iterable[str]) -> str:
    """Write a path of names: `boss → helper → scout`."""
    return " → ".join(path)
