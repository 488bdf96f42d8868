"""How names are spelled, and the nearest word that would have been right."""

from collections.abc import Iterable

__all__ = ["NAME", "SERVER_NAME", "did_you_mean"]

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
