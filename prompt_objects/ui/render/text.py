"""The small things a conversation is drawn from, each a pure function from data to lines."""

import json
from collections.abc import Iterable, Iterator

from prompt_toolkit.utils import get_cwidth

from prompt_objects.ui.render.sanitize import clean, clean_line
from prompt_objects.ui.render.style import Line

__all__ = [
    "call",
    "code",
    "duration",
    "error",
    "fit",
    "hard_wrap",
    "in_bytes",
    "indent_by_depth",
    "paragraph",
    "prompt",
    "result",
    "size",
    "user_message",
    "word_wrap",
]

BAR = "│ "
MOST_SAID = 40
"""Rows of one message that are shown again once it is sent: it was seen while it was typed."""
_ASKED = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
_KILO = 1000
_AS_EMOJI = "\N{VARIATION SELECTOR-16}"


def fit(text: str, width: int) -> str:
    """Return the text on one line of at most `width` cells, with … where something is missing."""
    text = clean_line(text)
    if _end_of_row(text, 0, width) == len(text):
        return text
    return text[: _end_of_row(text, 0, width - 1)] + "…" if width > 0 else ""


def word_wrap(text: str, width: int) -> list[str]:
    """Break the text into lines of at most `width` cells, at spaces; a word is broken only where it is longer."""
    return [row for line in clean(text).split("\n") for row in _rows(line, max(width, 2), at_spaces=True)]


def hard_wrap(text: str, width: int) -> list[str]:
    """Break the text into lines of at most `width` cells, each as full as can be, which keeps code in its columns."""
    return [row for line in clean(text).split("\n") for row in _rows(line, max(width, 2), at_spaces=False)]


def _rows(line: str, width: int, *, at_spaces: bool) -> Iterator[str]:
    start = 0
    while True:
        end = _end_of_row(line, start, width)
        if at_spaces and end < len(line):
            end = _end_of_words(line, start, end, width)
        yield line[start:end].rstrip() if at_spaces else line[start:end]
        start = end
        while at_spaces and line[start : start + 1] == " ":
            start += 1
        if start >= len(line):
            return


def _end_of_words(line: str, start: int, full: int, width: int) -> int:
    """Return where the last whole word ends in a row that is full there, unless what follows fits into no row."""
    space = line.rfind(" ", start, full + 1)
    if space == full or space < 0 or not line[start:space].strip():
        return full
    next_full = _end_of_row(line, space + 1, width)
    is_longer = next_full < len(line) and " " not in line[space + 1 : next_full + 1]
    return full if is_longer else space


def _end_of_row(line: str, start: int, width: int) -> int:
    """Return where a row that starts there is full."""
    if line.isascii():  # one cell each: much faster
        return min(start + max(width, 0), len(line))
    used = 0
    for index in range(start, len(line)):
        used += _cells(line, index)
        if used > width:
            return index
    return len(line)


def _cells(line: str, index: int) -> int:
    """Return how many cells a character adds; the sign that makes a narrow one an emoji widens it."""
    if line[index] == _AS_EMOJI:
        return int(index > 0 and get_cwidth(line[index - 1]) == 1)
    return get_cwidth(line[index])


def prompt(po_name: str, width: int) -> str:
    """Write the prompt at which a prompt object is spoken to: its name, of which a narrow screen cuts some off."""
    return fit(po_name, max(width // 3, 4)) + _ASKED


def user_message(at: str, text: str, width: int) -> list[Line]:
    """Draw what the person said, behind the prompt that it was said at: of much of it, the beginning and the end."""
    lead = fit(at, max(width // 2, 2))
    indent = ("", " " * get_cwidth(lead))
    rows = word_wrap(text, width - get_cwidth(lead))
    lines: list[Line] = [[indent, ("class:said", row)] for row in _ends(rows)]
    lines[0][0] = ("class:prompt", lead)
    if len(rows) > MOST_SAID:
        lines.insert(MOST_SAID // 2, [indent, ("class:hint", f"… {len(rows) - MOST_SAID} lines …")])
    return lines


def paragraph(text: str, width: int, style: str = "", lead: str = "") -> list[Line]:
    """Draw plain words, wrapped; the second line and all others begin below the first word after the `lead`."""
    rows = word_wrap(text, width - get_cwidth(lead))
    indent = " " * get_cwidth(lead)
    return [[(style, f"{indent if number else lead}{row}")] for number, row in enumerate(rows)]


def code(text: str, width: int, style: str = "") -> list[Line]:
    """Draw a text of which every column counts."""
    return [[(style, row)] for row in hard_wrap(text, width)]


def error(message: str, hint: str, width: int) -> list[Line]:
    """Draw what went wrong and what to do about it."""
    lines = paragraph(message, width, "class:failed", "✗ ")
    return lines + paragraph(hint, width, "class:hint", "  ") if hint else lines


def call(name: str, arguments: str, width: int) -> Line:
    """Draw a call on one line."""
    return [("class:call", fit(f"→ {name} {_arguments(arguments)}", width).rstrip())]


def result(text: str, seconds: float | None, width: int, *, failed: bool) -> Line:
    """Draw how a call ended, on one line, and how long it took where that is known."""
    if failed:
        return [("class:failed", fit(f"✗ {text.removeprefix('Error: ')}", width))]
    took = "" if seconds is None else f", {duration(seconds)}"
    return [("class:done", fit(f"✓ {size(text)}{took}", width))]


def indent_by_depth(lines: Iterable[Line], depth: int) -> list[Line]:
    """Put a bar for each level of delegation before the lines."""
    return [[("class:bar", BAR * depth), *line] for line in lines] if depth else list(lines)


def size(text: str) -> str:
    """Say how long a text is, in bytes."""
    return in_bytes(len(text.encode("utf-8", errors="replace")))


def in_bytes(number: int) -> str:
    """Write a number of bytes: `512 B`, `1.2 kB`."""
    if number < _KILO:
        return f"{number} B"
    return f"{number / _KILO:.1f} kB" if number < _KILO**2 else f"{number / _KILO**2:.1f} MB"


def duration(seconds: float) -> str:
    """Say how long something took: `3 ms`, `2.4 s`, `75 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - digits that tell


def _ends(rows: list[str]) -> list[str]:
    half = MOST_SAID // 2
    return rows if len(rows) <= MOST_SAID else rows[:half] + rows[-half:]


def _arguments(written: str) -> str:
    """Write a call's arguments as `key="value"` pairs; what is not a JSON object as it is."""
    try:
        arguments = json.loads(written)
    except (ValueError, RecursionError):
        return written
    if not isinstance(arguments, dict):
        return written
    return " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
