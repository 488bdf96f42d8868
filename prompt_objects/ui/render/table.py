"""The layout of tables: columns that fit on the screen, with the cells wrapped at words."""

from collections.abc import Iterator, Sequence

from prompt_objects.ui.render.text import cell_width, fit, word_wrap

GAP = "  "
MAX_CELL_LINES = 4
_MIN_WIDTH = 6
_MAX_WORD = 24
"""Cells of a longer word, which may be broken."""


def layout(rows: Sequence[Sequence[str]], width: int) -> Iterator[list[str]]:
    """Yield the lines of each row; what does not fit is wrapped, then cut, and then the last columns are left out."""
    widths = _widths(rows, width)
    for row in rows:
        columns = [(_cell(text, column), column) for text, column in zip(row, widths, strict=True) if column]
        height = max((len(cell) for cell, _ in columns), default=1)
        padded = [
            [_padded(line, column) for line in (*cell, *[""] * (height - len(cell)))] for cell, column in columns
        ]
        yield [GAP.join(line).rstrip() for line in zip(*padded, strict=True)] or [""]


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the widths of the columns: the widest are reduced to their longest words, then further."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(cell_width, column)) for column in columns]
    words = [max((cell_width(word) for text in column for word in text.split()), default=1) for column in columns]
    for limits in ([min(word, _MAX_WORD) for word in words], [_MIN_WIDTH] * len(widths)):
        while _total(widths) > room:
            reducible = [index for index, width in enumerate(widths) if width > limits[index]]
            if not reducible:
                break
            widths[max(reducible, key=widths.__getitem__)] -= 1
    for index in reversed(range(1, len(widths))):
        if _total(widths) > room:
            widths[index] = 0
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + len(GAP) * (len(shown) - 1)


def _cell(text: str, width: int) -> list[str]:
    lines = word_wrap(text, width)
    if len(lines) <= MAX_CELL_LINES:
        return lines
    return [*lines[: MAX_CELL_LINES - 1], fit(" ".join(lines[MAX_CELL_LINES - 1 :]), width)]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_width(text))
