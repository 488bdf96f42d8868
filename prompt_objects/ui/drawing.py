"""The small things a conversation is drawn from, each a pure function from data to lines."""

import json
from collections.abc import Iterable, Iterator

from prompt_toolkit.utils import get_cwidth

from prompt_objects.ui.sanitize import clean, clean_line
from prompt_objects.ui.style import Line

__all__ = ["barred", "call", "cut", "duration", "error", "folded", "prompt", "result", "said", "sentence", "size"]

BAR = "│ "
MOST_SAID = 40
"""Rows of one message that are shown again once it is sent: it was seen while it was typed."""
_ASKED = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
_KILO = 1000


def cut(text: str, width: int) -> str:
    """Return the text on one line of at most `width` cells, with … where something is missing."""
    text = clean_line(text)
    if get_cwidth(text) <= width:
        return text
    kept, used = [], 1
    for char in text[: max(width, 0)]:
        used += get_cwidth(char)
        if used > width:
            break
        kept.append(char)
    return "".join(kept) + "…" if width > 0 else ""


def folded(text: str, width: int) -> list[str]:
    """Break the text into lines of at most `width` cells."""
    width = max(width, 1)
    lines: list[str] = []
    for line in clean(text).split("\n"):
        if line.isascii():  # one cell each: much faster
            lines += [line[start : start + width] for start in range(0, len(line), width)] or [""]
        else:
            lines += _folded_by_cells(line, width)
    return lines


def _folded_by_cells(line: str, width: int) -> Iterator[str]:
    start = used = 0
    for index, char in enumerate(line):
        used += get_cwidth(char)
        if used > width and index > start:
            yield line[start:index]
            start, used = index, get_cwidth(char)
    yield line[start:]


def prompt(po_name: str, width: int) -> str:
    """Write the prompt at which a prompt object is spoken to: its name, of which a narrow screen cuts some off."""
    return cut(po_name, max(width // 3, 4)) + _ASKED


def said(at: str, text: str, width: int) -> list[Line]:
    """Draw what the person said, behind the prompt that it was said at: of much of it, the beginning and the end."""
    lead = cut(at, max(width // 2, 2))
    indent = ("", " " * get_cwidth(lead))
    rows = folded(text, max(width - get_cwidth(lead), 2))
    lines: list[Line] = [[indent, ("class:said", row)] for row in _ends(rows)]
    lines[0][0] = ("class:prompt", lead)
    if len(rows) > MOST_SAID:
        lines.insert(MOST_SAID // 2, [indent, ("class:hint", f"… {len(rows) - MOST_SAID} lines …")])
    return lines


def sentence(text: str, width: int, style: str = "") -> list[Line]:
    """Draw plain words, folded."""
    return [[(style, line)] for line in folded(text, max(width, 2))]


def error(message: str, hint: str, width: int) -> list[Line]:
    """Draw what went wrong and what to do about it."""
    lines = sentence(f"✗ {message}", width, "class:failed")
    return lines + sentence(f"  {hint}", width, "class:hint") if hint else lines


def call(name: str, arguments: str, width: int) -> Line:
    """Draw a call on one line."""
    return [("class:call", cut(f"→ {name} {_arguments(arguments)}", width).rstrip())]


def result(text: str, seconds: float | None, width: int, *, failed: bool) -> Line:
    """Draw how a call ended, on one line, and how long it took where that is known."""
    if failed:
        return [("class:failed", cut(f"✗ {text.removeprefix('Error: ')}", width))]
    took = "" if seconds is None else f", {duration(seconds)}"
    return [("class:done", cut(f"✓ {size(text)}{took}", width))]


def barred(lines: Iterable[Line], depth: int) -> list[Line]:
    """Put a bar for each level of delegation before the lines."""
    return [[("class:bar", BAR * depth), *line] for line in lines] if depth else list(lines)


def size(text: str) -> str:
    """Say how long a text is, in bytes: `512 B`, `1.2 kB`."""
    number = len(text.encode("utf-8", errors="replace"))
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
