"""Names of sessions: valid, unique, and found by a key."""

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count

from prompt_objects.errors import Ambiguous, InvalidName, NotFound
from prompt_objects.sessions.info import SessionInfo, is_id
from prompt_objects.utils.text import did_you_mean, pluralize, quoted
from prompt_objects.utils.time import time_ago

MAX_NAME_LENGTH = 100
_MAX_DIGITS = 9
_NUMBERED = re.compile(rf"(.*\S) (\d{{1,{_MAX_DIGITS}}})")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # Unicode categories; some also reorder the text around them
_JOINER = "\N{ZERO WIDTH JOINER}"
_EMOJI = {"So", "Sk"}  # pictures, and the colors of skin
_AS_EMOJI = "\N{VARIATION SELECTOR-16}"
_MIN_PREFIX = 4
_SHORT_ID = 8
_MOMENT = 13
"""Characters of an id that contain its time, to the millisecond."""


def valid_name(name: str) -> str:
    """Return the name as it is stored: stripped and in NFC. Raises `InvalidName`."""
    stored = unicodedata.normalize("NFC", name.strip())
    if not stored:
        raise InvalidName("A session's name cannot be empty.")
    invisible = next((each for index, each in enumerate(stored) if _is_invisible(stored, index)), None)
    if invisible is not None:
        raise InvalidName(
            f"A session's name cannot contain the character U+{ord(invisible):04X}.",
            hint="Use one line of visible characters.",
        )
    if len(stored) > MAX_NAME_LENGTH:
        raise InvalidName(f"A session's name has at most {MAX_NAME_LENGTH} characters; this has {len(stored)}.")
    if is_id(stored.lower()):
        raise InvalidName("A session's name cannot look like an id.", hint="Add a word to it.")
    return stored


def sanitized_name(name: str, created_at: datetime) -> str:
    """Return the valid name nearest to this one, or `recovered_name` if there is none."""
    composed = unicodedata.normalize("NFC", name)
    shown = (" " if _is_invisible(composed, index) else each for index, each in enumerate(composed))
    visible = " ".join("".join(shown).split())
    with suppress(InvalidName):
        return valid_name(_cut(visible, MAX_NAME_LENGTH))
    return recovered_name(created_at)


def _is_invisible(text: str, index: int) -> bool:
    """Return whether a character cannot be seen; a joiner between two emoji makes one of them."""
    if text[index] == _JOINER and index:
        before, after = text[index - 1], text[index + 1 : index + 2]
        return not (_is_emoji(before) and _is_emoji(after))
    return unicodedata.category(text[index]) in _INVISIBLE or not text[index].isprintable()


def _is_emoji(character: str) -> bool:
    return character == _AS_EMOJI or (bool(character) and unicodedata.category(character) in _EMOJI)


def _cut(name: str, length: int) -> str:
    """Return the beginning of a name, without a joiner that would join nothing."""
    return name[:length].rstrip(f" {_JOINER}")


def with_suffix(name: str, suffix: str, *, reserve: int = 0) -> str:
    """Return a name followed by more words, shortened so that `reserve` more characters fit."""
    return f"{_cut(name, MAX_NAME_LENGTH - len(suffix) - 1 - reserve)} {suffix}"


def unique_name(name: str, taken: Container[str]) -> str:
    """Return the name if it is free, or else with the lowest free number from 2 on: "API notes 2"."""
    if name not in taken:
        return name
    stem = _stem(name)
    for number in count(2):
        candidate = f"{_cut(stem, MAX_NAME_LENGTH - len(f' {number}'))} {number}"
        if candidate not in taken:
            return candidate
    raise AssertionError("there are more numbers than names")


def numbering_stem(name: str) -> str:
    """Return the common prefix of a name and of every name that `unique_name` may return for it."""
    return _cut(_stem(name), MAX_NAME_LENGTH - _MAX_DIGITS - 1)


def _stem(name: str) -> str:
    numbered = _NUMBERED.fullmatch(name)
    return numbered[1] if numbered else name


def recovered_name(created_at: datetime) -> str:
    """Return a name for a session if only its creation time is known."""
    return f"Recovered {created_at:%Y-%m-%d %H:%M}"


def resolve_key(key: str, infos: Sequence[SessionInfo], where: str) -> SessionInfo:
    """Return the one session that a key refers to: by name or id, prefix of an id, or name in another case.

    Raises `NotFound`, which says `where` it was searched, and `Ambiguous`.
    """
    folded = key.casefold()
    is_prefix = len(key) >= _MIN_PREFIX
    for found in (
        [info for info in infos if key in (info.name, info.id)],
        [info for info in infos if is_prefix and info.id.startswith(key.lower())],
        [info for info in infos if info.name.casefold() == folded],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            candidates = [_described(info, _short_id(info, infos)) for info in found]
            raise Ambiguous(
                f"{quoted(key)} matches {len(found)} sessions.",
                candidates=candidates,
                hint="Use the beginning of an id:\n" + "\n".join(candidates[:10]),
            )
    nearest = did_you_mean(key, (info.name for info in infos))
    raise NotFound(f"There is no session {quoted(key)} {where}.", hint=nearest)


def short_ids(infos: Sequence[SessionInfo]) -> list[str]:
    """Return the beginning of each id with its time; longer if two would be the same."""
    moments = Counter(info.id[:_MOMENT] for info in infos)
    return [info.id[:_MOMENT] if moments[info.id[:_MOMENT]] == 1 else _short_id(info, infos) for info in infos]


def _short_id(info: SessionInfo, infos: Sequence[SessionInfo]) -> str:
    others = [other.id for other in infos if other.id != info.id]
    length = _SHORT_ID
    while any(other.startswith(info.id[:length]) for other in others):
        length += 1
    return info.id[:length]


def _described(info: SessionInfo, short_id: str) -> str:
    messages = pluralize(info.message_count, "message")
    return f"{short_id} {info.name} of {info.po_name}, {messages}, {time_ago(info.updated_at)}"
