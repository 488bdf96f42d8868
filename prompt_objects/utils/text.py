"""Text helpers: names, plurals, paths, spelling suggestions, and valid Unicode."""

import json
from collections.abc import Iterable

_NAME_START = "[A-Za-z][A-Za-z0-9_-]"
NAME_PATTERN = _NAME_START + "{0,63}"
"""The regular expression of names of prompt objects and tools; model servers accept no others."""
SERVER_NAME_PATTERN = _NAME_START + "{0,31}"
"""The regular expression of names of MCP servers, which become prefixes of their tools' names."""


def quoted(text: str) -> str:
    """Return a text in quotation marks, as it was typed: unlike `repr`, without escapes."""
    return f'"{text}"' if "'" in text and '"' not in text else f"'{text}'"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence such as "Did you mean 'reader'?", or "" if no known word is similar."""
    from difflib import get_close_matches

    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = get_close_matches(word.casefold()[:100], by_folded, n=1, cutoff=0.6)
    return f"Did you mean {quoted(by_folded[near[0]])}?" if near else ""


def pluralize(number: int, noun: str) -> str:
    """Return a count with its noun: `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def valid_unicode(text: str) -> str:
    """Return a text that can be encoded: surrogates are joined to characters, and lone ones are replaced by U+FFFD.

    Lone surrogates are in file names that are not UTF-8, and in JSON that was cut within a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def join_surrogates(text: str) -> str:
    """Join pairs of surrogates to the characters that they stand for; lone ones stay."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def is_json(text: str) -> bool:
    """Return whether a text can be read as JSON; JSON that is nested too deeply counts."""
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def text_or_empty(value: object) -> str:
    """Return a value if it is a text, otherwise an empty text."""
    return value if isinstance(value, str) else ""


def arrow_path(path: Iterable[str]) -> str:
    """Return a path of names: `boss → helper → scout`."""
    return " → ".join(path)
