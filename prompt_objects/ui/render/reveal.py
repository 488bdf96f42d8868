"""Text with every character visible, for everything that the user decides: different texts never look the same.

A control character becomes a sign such as ␛. Every other character that is invisible, or could be taken for another
one, becomes its number, such as <U+202E>. `sanitize` is for text that is only read.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from prompt_objects.ui.render import lookalikes
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import cell_width, end_of_row

LINE_BREAK = "\N{SYMBOL FOR LINE FEED}"
MARK = re.compile("<U\\+[0-9A-F]{4,6}>|[\u2400-\u2409\u240b-\u2421]")
"""The signs and numbers in a revealed text, without the sign of a line break, which is harmless."""
_SPACE = "\N{SYMBOL FOR SPACE}"
_CONTINUED = "…"
_SIGNS = {**{chr(code): chr(0x2400 + code) for code in range(0x20)}, "\x7f": "\N{SYMBOL FOR DELETE}", " ": _SPACE}
_NUMBER = re.compile("<(?=U\\+[0-9A-F]{4,6}>)")
_TRAILING_SPACES = re.compile("(?<! ) ++(?=[\n\r]|$)")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}
_OTHER_HIDDEN = re.compile(  # blank characters, signs of ours, and
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2400-\u2426\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc"
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # accents that any letter can get
    "\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)


def reveal(text: str, *, is_code: bool = False) -> str:
    """Return the text on one line, with every character visible; `is_code` is for paths, URLs and commands.

    In code, everything that looks like an ASCII character is marked, in other text only what could mislead.
    """
    if text.isascii() and text.isprintable() and text[-1:] != " " and "<U+" not in text:
        return text
    marked = {position for match in _TRAILING_SPACES.finditer(text) for position in range(*match.span())}
    marked |= {match.start() for match in _NUMBER.finditer(text)}
    if not text.isascii():
        marked.update(_unnormalized(text))
        marked.update(lookalikes.in_code(text) if is_code else lookalikes.in_prose(text))
    return "".join(_mark(each) if at in marked or _is_hidden(each) else each for at, each in enumerate(text))


def escape_hidden(json_text: str) -> str:
    """Return a JSON text with hidden characters as JSON escapes, so that the user can edit them."""
    return "".join(_json_escape(each) if _is_hidden(each) and each not in "\n\t" else each for each in json_text)


def exact_paragraph(text: str, width: int, style: str = "", lead: str = "") -> list[Line]:
    """Draw a revealed text after a `lead`, without losing a character; marks stand out.

    A row ends after the sign of a line break, at a single space, which is left out, or anywhere, if … starts the next
    row. Spaces at the end of a row have a sign.
    """
    room = max(width - cell_width(lead) - 1, 2)
    indent = " " * cell_width(lead)
    rows = [row for line in re.split(f"(?<={LINE_BREAK})(?!$)", text) for row in _rows(line, room, at_spaces=True)]
    leads = [lead, *(f"{indent}{_CONTINUED if is_cut else ' '}" for is_cut, _ in rows[1:])]
    return [list(_styled(f"{lead}{row}", style)) for lead, (_, row) in zip(leads, rows, strict=True)]


def exact_code(text: str, width: int, style: str, sign: str) -> list[Line]:
    """Draw a revealed line of code after a sign of one cell; rows are full, and … is the sign of further rows."""
    rows = [row for _, row in _rows(text, max(width - 1, 2), at_spaces=False)]
    return [list(_styled(f"{_CONTINUED if number else sign}{row}", style)) for number, row in enumerate(rows)]


def _rows(line: str, room: int, *, at_spaces: bool) -> Iterator[tuple[bool, str]]:
    """Yield the rows of a line, each with whether the row before it was cut at no space."""
    start, is_cut = 0, False
    while True:
        end = _end_of_row(line, start, room, at_spaces=at_spaces)
        row = line[start:end]
        yield is_cut, row[:-1] + _SPACE if row.endswith(" ") else row
        if end >= len(line):
            return
        is_cut = not (at_spaces and _is_single_space(line, end))
        start = end if is_cut else end + 1


def _end_of_row(line: str, start: int, room: int, *, at_spaces: bool) -> int:
    end = end_of_row(line, start, room)
    if end == len(line):
        return end
    if at_spaces:
        space = next((at for at in range(end, start, -1) if _is_single_space(line, at)), start)
        if space > start:
            return space
    mark = next((match for match in MARK.finditer(line, max(start, end - 10), end + 10) if match.end() > end), None)
    return mark.start() if mark and start < mark.start() < end else max(end, start + 1)


def _is_single_space(line: str, at: int) -> bool:
    around = line[at - 1 : at + 2] if at else ""
    return len(around) == 3 and around[1] == " " and " " not in (around[0], around[2])  # noqa: PLR2004


def _styled(row: str, style: str) -> Iterator[tuple[str, str]]:
    start = 0
    for mark in MARK.finditer(row):
        yield style, row[start : mark.start()]
        yield "class:mark", mark[0]
        start = mark.end()
    yield style, row[start:]


def _mark(character: str) -> str:
    return _SIGNS.get(character) or f"<U+{ord(character):04X}>"


@lru_cache(4096)
def _is_hidden(character: str) -> bool:
    if " " <= character <= "~":
        return False
    is_hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES or _OTHER_HIDDEN.match(character)
    return bool(is_hidden) or unicodedata.normalize("NFC", character) != character


def _unnormalized(text: str) -> Iterator[int]:
    """Yield the positions of characters that another sequence of characters would look the same as."""
    for part in _BEYOND_ASCII.finditer(text):
        if not unicodedata.is_normalized("NFC", part[0]):
            yield from range(*part.span())


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]
