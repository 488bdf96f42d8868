"""The small parts of a drawn conversation: pure functions from data to lines."""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache

from prompt_objects.ui.render.sanitize import clean, clean_line
from prompt_objects.ui.render.style import Line

BAR = "│ "
MAX_ROWS = 40
"""Rows of a message that are shown again after it is sent; the user has seen it in the input."""


class Prose:
    """Text in sentences, which is hard to read in long lines; code and tables have no limit."""

    max_width = 100
    """In columns; the setting `prose_width` of the user changes it for the whole program."""

    @classmethod
    def width(cls, columns: int) -> int:
        """Return the width for prose on a screen with so many columns."""
        return min(columns, cls.max_width)


_PROMPT_MARK = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
_KILO = 1000
_AS_EMOJI = "\N{VARIATION SELECTOR-16}"


@lru_cache(4096)
def cell_width(text: str) -> int:
    """Return the number of terminal cells of a text: the sum of its characters', as prompt_toolkit counts them.

    prompt_toolkit's own function would import all of prompt_toolkit, which takes longer than a whole `-p` command.
    """
    if text.isascii() and text.isprintable():
        return len(text)
    from wcwidth import wcwidth

    return sum(max(wcwidth(character), 0) for character in text)


def fit(text: str, width: int) -> str:
    """Return the text on one line of at most `width` cells, with … where something is missing."""
    text = clean_line(text)
    if end_of_row(text, 0, width) == len(text):
        return text
    return text[: end_of_row(text, 0, width - 1)] + "…" if width > 0 else ""


def word_wrap(text: str, width: int) -> list[str]:
    """Break the text into lines of at most `width` cells, at spaces; only a longer word is broken."""
    return [row for line in clean(text).split("\n") for row in _rows(line, max(width, 2), at_spaces=True)]


def hard_wrap(text: str, width: int) -> list[str]:
    """Break the text into lines of at most `width` cells, each as full as possible: code keeps its columns."""
    return [row for line in clean(text).split("\n") for row in _rows(line, max(width, 2), at_spaces=False)]


def _rows(line: str, width: int, *, at_spaces: bool) -> Iterator[str]:
    start = 0
    while True:
        end = end_of_row(line, start, width)
        if at_spaces and end < len(line):
            end = _end_of_words(line, start, end, width)
        yield line[start:end].rstrip() if at_spaces else line[start:end]
        start = end
        while at_spaces and line[start : start + 1] == " ":
            start += 1
        if start >= len(line):
            return


def _end_of_words(line: str, start: int, full: int, width: int) -> int:
    """Return the end of the last whole word in a row that is full at `full`, unless the next word fits in no row."""
    space = line.rfind(" ", start, full + 1)
    if space == full or space < 0 or not line[start:space].strip():
        return full
    next_full = end_of_row(line, space + 1, width)
    is_longer = next_full < len(line) and " " not in line[space + 1 : next_full + 1]
    return full if is_longer else space


def end_of_row(line: str, start: int, width: int) -> int:
    """Return the index at which a row from `start` is full."""
    if line.isascii():  # one cell each: much faster
        return min(start + max(width, 0), len(line))
    used = 0
    for index in range(start, len(line)):
        used += _cells(line, index)
        if used > width:
            return index
    return len(line)


def _cells(line: str, index: int) -> int:
    """Return the cells that a character adds; the emoji variation selector widens a narrow one."""
    if line[index] == _AS_EMOJI:
        return int(index > 0 and cell_width(line[index - 1]) == 1)
    return cell_width(line[index])


def object_prompt(po_name: str, width: int) -> str:
    """Return the input prompt for messages to a prompt object: its name, cut on a narrow screen."""
    return fit(po_name, max(width // 3, 4)) + _PROMPT_MARK


def user_message(prompt: str, text: str, width: int) -> list[Line]:
    """Draw a message of the user after its prompt; of a long one, the beginning and the end."""
    lead = fit(prompt, max(width // 2, 2))
    indent = ("", " " * cell_width(lead))
    rows = word_wrap(text, width - cell_width(lead))
    half = MAX_ROWS // 2
    shown = rows if len(rows) <= MAX_ROWS else rows[:half] + rows[-half:]
    lines: list[Line] = [[indent, ("class:user-message", row)] for row in shown]
    lines[0][0] = ("class:prompt", lead)
    if len(rows) > MAX_ROWS:
        lines.insert(half, [indent, ("class:hint", f"… {len(rows) - MAX_ROWS} lines …")])
    return lines


def paragraph(text: str, width: int, style: str = "", lead: str = "") -> list[Line]:
    """Draw wrapped text after a `lead`; further lines are indented by the width of the lead."""
    rows = word_wrap(text, Prose.width(width) - cell_width(lead))
    indent = " " * cell_width(lead)
    return [[(style, f"{indent if number else lead}{row}")] for number, row in enumerate(rows)]


def error_lines(message: str, hint: str, width: int) -> list[Line]:
    """Draw an error message, and below it the hint."""
    from prompt_objects.utils.secrets import hide_secrets

    lines = paragraph(hide_secrets(message), width, "class:failed", "✗ ")
    return lines + paragraph(hide_secrets(hint), width, "class:hint", "  ") if hint else lines


def call_line(name: str, arguments: str, width: int) -> Line:
    """Draw a tool call on one line."""
    return [("class:call", fit(f"→ {name} {_arguments(arguments)}", width).rstrip())]


def result_line(text: str, seconds: float | None, width: int, *, failed: bool) -> Line:
    """Draw the result of a tool call on one line, with its duration if that is known."""
    if failed:
        return [("class:failed", fit(f"✗ {text.removeprefix('Error: ')}", width))]
    size = format_bytes(len(text.encode("utf-8", errors="replace")))
    duration = "" if seconds is None else f", {format_duration(seconds)}"
    return [("class:done", fit(f"✓ {size}{duration}", width))]


def indent_by_depth(lines: Iterable[Line], depth: int) -> list[Line]:
    """Put a bar for each level of delegation before the lines."""
    return [[("class:bar", BAR * depth), *line] for line in lines] if depth else list(lines)


def format_bytes(number: int) -> str:
    """Format a number of bytes: `512 B`, `1.2 kB`."""
    if number < _KILO:
        return f"{number} B"
    return f"{number / _KILO:.1f} kB" if number < _KILO**2 else f"{number / _KILO**2:.1f} MB"


def format_duration(seconds: float) -> str:
    """Format a duration: `3 ms`, `2.4 s`, `75 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - significant digits


def _arguments(text: str) -> str:
    """Format the arguments of a call as `key="value"` pairs; text that is not a JSON object is unchanged."""
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(arguments, dict):
        return text
    return " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
