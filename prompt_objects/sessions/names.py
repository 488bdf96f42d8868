"""What a session may be called."""

import re
import unicodedata
from collections.abc import Container
from contextlib import suppress
from datetime import datetime
from itertools import count

from prompt_objects.errors import InvalidName

__all__ = [
    "LONGEST_NAME",
    "is_id",
    "numbering_stem",
    "recovered_name",
    "sanitized_name",
    "unique_name",
    "valid_name",
    "with_suffix",
]

LONGEST_NAME = 100
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOST_DIGITS = 9
_NUMBERED = re.compile(rf"(.*\S) (\d{{1,{_MOST_DIGITS}}})")
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # what cannot be seen, or bends how its neighbours are shown


def is_id(text: str) -> bool:
    """Say whether this is a whole id, as we write them."""
    return _UUID.fullmatch(text) is not None


def valid_name(name: str) -> str:
    """Return the name as it is kept: trimmed, and composed (NFC). Raises `InvalidName`."""
    kept = unicodedata.normalize("NFC", name.strip())
    if not kept:
        raise InvalidName("A session's name cannot be empty.")
    unseen = next(filter(_is_unseen, kept), None)
    if unseen is not None:
        raise InvalidName(
            f"A session's name cannot hold the character U+{ord(unseen):04X}.",
            hint="Use one line of characters that can be seen.",
        )
    if len(kept) > LONGEST_NAME:
        raise InvalidName(f"A session's name has at most {LONGEST_NAME} characters; this has {len(kept)}.")
    if is_id(kept.lower()):
        raise InvalidName("A session's name cannot look like an id.", hint="Add a word to it.")
    return kept


def sanitized_name(name: str, begun: datetime) -> str:
    """Return a name that is valid, and as near to this one as can be; where nothing can be, one by the time."""
    composed = unicodedata.normalize("NFC", name)
    seen = " ".join("".join(" " if _is_unseen(c) else c for c in composed).split())
    with suppress(InvalidName):
        return valid_name(seen[:LONGEST_NAME])
    return recovered_name(begun)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN or not character.isprintable()


def with_suffix(name: str, addition: str, *, room: int = 0) -> str:
    """Return a name with a few more words behind it; what is too long for both is cut off the name.

    Behind them is `room` for so many characters more.
    """
    return f"{name[: LONGEST_NAME - len(addition) - 1 - room].rstrip()} {addition}"


def unique_name(name: str, taken: Container[str]) -> str:
    """Return the name itself if it is free, or else with the lowest number from 2 on: "API notes 2"."""
    if name not in taken:
        return name
    stem = _stem(name)
    for number in count(2):
        candidate = f"{stem[: LONGEST_NAME - len(f' {number}')].rstrip()} {number}"
        if candidate not in taken:
            return candidate
    raise AssertionError("there are more numbers than names")


def numbering_stem(name: str) -> str:
    """Return what all that `free_name` may make of a name begins with, as the name itself does."""
    return _stem(name)[: LONGEST_NAME - _MOST_DIGITS - 1].rstrip()


def _stem(name: str) -> str:
    numbered = _NUMBERED.fullmatch(name)
    return numbered[1] if numbered else name


def recovered_name(begun: datetime) -> str:
    """Return what a session is called of which nothing but the time of its beginning is known."""
    return f"Recovered {begun:%Y-%m-%d %H:%M}"
