"""Reads lists from JSON text that may be damaged: valid elements as values, the others as text."""

import re
from collections.abc import Iterable, Iterator

from prompt_objects.migrations.change import Fragment, OldList
from prompt_objects.sessions.stores.json_lines import decode_at

_CONTENT = re.compile(r"[^\s,]")
_COLON = re.compile(r"\s*:\s*")
_ELEMENT_END = re.compile(r"\s*(?:[,\]}]|\Z)")
_UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that are not UTF-8, by `surrogateescape`


def only_list(text: str) -> OldList | None:
    """Read a text that is one list, None if it is not; text after the list becomes an unreadable element."""
    start = _find(_CONTENT, text, 0)
    if not text.startswith("[", start):
        return None
    fragments, end = _elements(text, start, re.compile(r"\Z"))
    if rest := text[end:].strip():
        fragments.append(Fragment("the end", rest, problem="It follows the end of the list."))
    return OldList("", text[start:end], fragments)


def lists_by_name(text: str, names: Iterable[str]) -> list[OldList] | None:
    """Read a JSON object of lists; None if the text is something else.

    Unreadable text ends before the next of `names`.
    """
    start = _find(_CONTENT, text, 0)
    if not text.startswith("{", start):
        return None
    known = re.compile("|".join([r"\Z", *(rf'"{re.escape(name)}"\s*:\s*\[' for name in names)]))
    return list(_entries(text, start + 1, known))


def _entries(text: str, position: int, known: re.Pattern[str]) -> Iterator[OldList]:
    while text[(position := _find(_CONTENT, text, position)) :].strip() not in {"", "}"}:
        key, end = decode_at(text, position) or ("", position)
        colon = _COLON.match(text, end)
        start = colon.end() if colon else end
        if colon and text.startswith("[", start):
            fragments, end = _elements(text, start, known)
        else:
            value, end = (decode_at(text, start) if colon else None) or (..., _find(known, text, position + 1))
            unreadable = Fragment("the entry", text[position:end].strip(), problem="It is not a valid list.")
            fragments = [] if value is None else [unreadable]
        yield OldList(key if isinstance(key, str) else "", text[start:end], fragments)
        position = end


def _elements(text: str, start: int, known: re.Pattern[str]) -> tuple[list[Fragment], int]:
    """Return the elements of the list at `start`, and its end; unreadable text ends before a `known` list."""
    fragments: list[Fragment] = []
    position = start + 1
    while not known.match(text, position := _find(_CONTENT, text, position)):
        if text[position] == "]":
            return fragments, position + 1
        place = f"entry {len(fragments) + 1}"
        if found := _element_at(text, position):
            value, end = found
            fragments.append(Fragment(place, text[position:end], value))
        else:
            end = _next_message(text, position + 1, _find(known, text, position + 1))
            fragments.append(Fragment(place, text[position:end].strip(), problem="It is not valid JSON."))
        position = end
    return fragments, position


def _element_at(text: str, position: int) -> tuple[object, int] | None:
    found = decode_at(text, position)
    if found is None or not _ELEMENT_END.match(text, found[1]) or _UNDECODED.search(text, position, found[1]):
        return None
    return found


def _next_message(text: str, position: int, end: int) -> int:
    while (position := text.find("{", position, end)) >= 0:
        found = _element_at(text, position)
        if found and isinstance(found[0], dict) and isinstance(found[0].get("role"), str):
            return position
        position += 1
    return end


def _find(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.search(text, position)
    return found.start() if found else len(text)
