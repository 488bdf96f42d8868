"""Words for people: counts, ages, paths, and the nearest spelling of a name."""

from collections.abc import Iterable
from datetime import datetime

from prompt_objects.utils.time import now

__all__ = [
    "NAME",
    "SERVER_NAME",
    "arrow_path",
    "did_you_mean",
    "pluralize",
    "time_ago",
]

_LETTERS = "[A-Za-z][A-Za-z0-9_-]"
NAME = _LETTERS + "{0,63}"
"""The names of prompt objects and of tools, as a regular expression; servers of models take no others."""
SERVER_NAME = _LETTERS + "{0,31}"
"""The names of MCP servers, which stand before those of their tools."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence such as "Did you mean 'reader'?", or "" where no known word is near."""
    from difflib import get_close_matches

    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = get_close_matches(word.casefold()[:100], by_folded, n=1, cutoff=0.6)
    return f"Did you mean {by_folded[near[0]]!r}?" if near else ""


_UNITS = (("year", 31_556_952), ("month", 2_629_746), ("day", 86_400), ("hour", 3_600), ("minute", 60))


def pluralize(number: int, noun: str) -> str:
    """Write `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def time_ago(moment: datetime) -> str:
    """Write how long ago a moment was, in its largest unit: `3 days ago`, `just now`."""
    seconds = (now() - moment).total_seconds()
    for noun, length in _UNITS:
        if seconds >= length:
            return f"{pluralize(int(seconds // length), noun)} ago"
    return "just now"


def arrow_path(path: Iterable[str]) -> str:
    """Write a path of names: `boss → helper → scout`."""
    return " → ".join(path)
