"""Reads lists from JSON text that may be damaged: valid elements as values, the others as text."""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from prompt_objects.migrations.change import Fragment
from prompt_objects.sessions.stores.json_lines import decode_at

_SEPARATORS = re.compile(r"[\s,]*")
_AFTER = re.compile(r"\s*(?:[,\]}]|\Z)")
_KEY = re.compile(r'\s*,?\s*("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_END = re.compile(r"\Z")
_UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that are not UTF-8, by `surrogateescape`


class NamedList(Struct, frozen=True):
    """A list with its key, its source text, and its elements."""

    name: str
    text: str
    fragments: list[Fragment]


def only_list(text: str) -> NamedList | None:
    """Read a text that is one list, None if it is not; text after the list becomes an unreadable element."""
    begin = _match_end(_SEPARATORS, text, 0)
    if text[begin : begin + 1] != "[":
        return None
    fragments, end = _elements(text, begin, _END)
    if rest := text[end:].strip():
        fragments.append(Fragment("the end", rest, problem="It follows the end of the list."))
    return NamedList("", text[begin:end], fragments)


def lists_by_name(text: str, names: Iterable[str]) -> list[NamedList] | None:
    """Read a JSON object of lists; None if the text is something else.

    Unreadable text ends before the next of `names`.
    """
    begin = _match_end(_SEPARATORS, text, 0)
    if text[begin : begin + 1] != "{":
        return None
    expected = re.compile("|".join(rf'"{re.escape(name)}"\s*:\s*\[' for name in names) or _END.pattern)
    return list(_entries(text, begin + 1, expected))


def _entries(text: str, position: int, expected: re.Pattern[str]) -> Iterator[NamedList]:
    while text[_match_end(_SEPARATORS, text, position) :].strip() not in {"", "}"}:
        key = _KEY.match(text, position)
        name = decode_at(text, key.start(1)) if key else None
        if key and name and text[key.end() : key.end() + 1] == "[":
            fragments, end = _elements(text, key.end(), expected)
            yield NamedList(str(name[0]), text[key.end() : end], fragments)
        else:
            value = decode_at(text, key.end()) if key else None
            end = value[1] if value else _find(expected, text, position + 1)
            is_empty = value is not None and value[0] is None
            fragments = [] if is_empty else [_unreadable("the entry", text[position:end], "a valid list")]
            yield NamedList(str(name[0]) if name else "", "", fragments)
        position = end


def _elements(text: str, begin: int, expected: re.Pattern[str]) -> tuple[list[Fragment], int]:
    """Return the elements of the list at `begin`, and its end; unreadable text ends before what is `expected`."""
    fragments: list[Fragment] = []
    position = begin + 1
    while (position := _match_end(_SEPARATORS, text, position)) < len(text) and not expected.match(text, position):
        if text[position] == "]":
            return fragments, position + 1
        place = f"entry {len(fragments) + 1}"
        if found := _element_at(text, position):
            fragments.append(Fragment(place, text[position : found[1]], found[0]))
            position = found[1]
        else:
            end = _next_message(text, position + 1, _find(expected, text, position + 1))
            fragments.append(_unreadable(place, text[position:end], "valid JSON"))
            position = end
    return fragments, position


def _element_at(text: str, position: int) -> tuple[object, int] | None:
    found = decode_at(text, position)
    if found is None or not _AFTER.match(text, found[1]) or _UNDECODED.search(text, position, found[1]):
        return None
    return found


def _next_message(text: str, position: int, boundary: int) -> int:
    while (position := text.find("{", position, boundary)) >= 0:
        found = _element_at(text, position)
        if found and isinstance(found[0], dict) and isinstance(found[0].get("role"), str):
            return position
        position += 1
    return boundary


def _unreadable(place: str, text: str, kind: str) -> Fragment:
    return Fragment(place, text.strip(), problem=f"It is not {kind}.")


def _find(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.search(text, position)
    return found.start() if found else len(text)


def _match_end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
