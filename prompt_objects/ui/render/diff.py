"""A unified diff, drawn for the user who decides about it."""

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct, field

from prompt_objects.ui.render.reveal import exact_code, exact_paragraph, reveal
from prompt_objects.ui.render.style import Line
from prompt_objects.utils.text import pluralize

_HUNK = re.compile(r"@@ -(?:\d+)(?:,(\d+))? \+(?:\d+)(?:,(\d+))? @@")
_NO_FILE = "/dev/null"
_OPEN_END = "\\"  # starts the row "\ No newline at end of file"
_STYLES = {"+": "class:added", "-": "class:removed", " ": "class:call"}


class _FileChange(Struct):
    """The change of one file: its hunks, and whether its last line is without a line break before and after."""

    old: str
    new: str
    hunks: list[tuple[str, list[str]]] = field(default_factory=list)
    open_ends: set[str] = field(default_factory=set)

    @property
    def rows(self) -> list[str]:
        return [row for _, rows in self.hunks for row in rows]


def draw_diff(diff: str, width: int) -> list[Line]:
    """Draw a diff: a title for each file, then its rows; a text that is no unified diff is drawn as it is.

    Every character is visible, and no row can look like a title, or like a row of another kind.
    """
    rows = diff.removesuffix("\n").split("\n")
    changes = _parse(rows)
    if changes is None:
        return [line for row in rows for line in _draw_unparsed(row, width)]
    return [line for change in changes for line in _draw_file(change, width)]


def _draw_unparsed(row: str, width: int) -> list[Line]:
    return exact_paragraph(reveal(row), width, _STYLES.get(row[:1], "class:call"), lead="  ")


def _parse(rows: Sequence[str]) -> list[_FileChange] | None:
    """Return the changes of files; None if the rows are no unified diff.

    Hunks are read by their line counts: a line of a file may look like a header.
    """
    changes: list[_FileChange] = []
    at = 0
    while at < len(rows):
        if rows[at].startswith("--- ") and rows[at + 1 : at + 2] and rows[at + 1].startswith("+++ "):
            changes.append(_FileChange(rows[at][4:], rows[at + 1][4:]))
            at += 2
        elif changes and (header := _HUNK.fullmatch(rows[at])):
            end = _end_of_hunk(rows, at + 1, int(header[1] or 1), int(header[2] or 1))
            if end is None:
                return None
            changes[-1].hunks.append((rows[at], [row for row in rows[at + 1 : end] if row[0] != _OPEN_END]))
            changes[-1].open_ends |= _open_ends(rows[at + 1 : end])
            at = end
        else:
            return None
    return changes


def _end_of_hunk(rows: Sequence[str], at: int, old: int, new: int) -> int | None:
    """Return the index after a hunk with these numbers of lines; None if its rows do not match them."""
    while at < len(rows) and (old or new or rows[at].startswith(_OPEN_END)):
        sign = rows[at][:1]
        if sign not in {" ", "-", "+", _OPEN_END} or not sign:
            return None
        old -= sign in {" ", "-"}
        new -= sign in {" ", "+"}
        at += 1
    return None if old or new else at


def _open_ends(rows: Sequence[str]) -> set[str]:
    """Return which sides end without a line break: `-`, `+`, or both."""
    signs = {before[0] for before, row in pairwise(rows) if row.startswith(_OPEN_END)}
    return {"-", "+"} if " " in signs else signs


def _draw_file(change: _FileChange, width: int) -> list[Line]:
    rows = change.rows
    has_crlf = bool(rows) and all(row.endswith("\r") for row in rows)
    notes = [_title(change), *(["lines end with CR LF"] if has_crlf else []), *_end_of_file(change)]
    lines = exact_paragraph(", ".join(notes), width, "class:title", lead="  ")
    for header, hunk in change.hunks:
        if _NO_FILE not in {change.old, change.new}:
            lines.append([("class:hint", header)])
        for row in hunk:
            text = row[1:].removesuffix("\r") if has_crlf else row[1:]
            lines += exact_code(reveal(text), width, _STYLES[row[0]], row[0])
    return lines


def _title(change: _FileChange) -> str:
    added = sum(row[0] == "+" for row in change.rows)
    removed = sum(row[0] == "-" for row in change.rows)
    if change.old == _NO_FILE:
        return f"{_name(change.new)}: new file, {pluralize(added, 'line')}"
    if change.new == _NO_FILE:
        return f"{_name(change.old)}: deleted file, {pluralize(removed, 'line')}"
    renamed = f"{_name(change.old)} → " if _name(change.old) != _name(change.new) else ""
    return f"{renamed}{_name(change.new)}: {pluralize(removed, 'line')} removed, {added:,} added"


def _name(path: str) -> str:
    return reveal(re.sub("^[ab]/", "", path), is_code=True)


def _end_of_file(change: _FileChange) -> list[str]:
    """Say if the line break at the end of the file changes, or is missing in a new file; it is no row of its own."""
    if change.old == _NO_FILE:
        return ["without a line break at its end"] if "+" in change.open_ends else []
    if change.open_ends == {"+"}:
        return ["the line break at its end is removed"]
    return ["a line break at its end is added"] if change.open_ends == {"-"} else []
