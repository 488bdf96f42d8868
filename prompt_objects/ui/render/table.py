"""The layout of tables: columns that fit on the screen, with the cells wrapped at words."""

from collections.abc import Iterator, Sequence

from prompt_objects.ui.render.text import cell_width, fit, word_wrap

GAP = "  "
MAX_CELL_LINES = 4
_MIN_WIDTH = 6
_INDENT = "    "


def layout(rows: Sequence[Sequence[str]], width: int) -> Iterator[list[str]]:
    """Yield the lines of each row.

    Cells are wrapped at words. If that is not enough, the last column stands below the others; then words are broken,
    and then the last columns are left out.
    """
    columns = list(zip(*rows, strict=True))
    widths = _reduced(rows, width, [_longest_word(column) for column in columns])
    if _total(widths) <= width:
        yield from _aligned(rows, widths)
    elif len(columns) == 1:
        yield from _aligned(rows, [width])
    else:
        above = [row[:-1] for row in rows]
        below = ([f"{_INDENT}{line}" for line in _cell(row[-1], max(width - len(_INDENT), 2))] for row in rows)
        widths = _without_last(_reduced(above, width, [_MIN_WIDTH] * len(above[0])), width)
        for lines, last in zip(_aligned(above, widths), below, strict=True):
            yield [*lines, *filter(str.strip, last)]


def _aligned(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[list[str]]:
    for row in rows:
        cells = [(_cell(text, column), column) for text, column in zip(row, widths, strict=True) if column]
        height = max((len(cell) for cell, _ in cells), default=1)
        padded = [[_padded(line, column) for line in [*cell, *[""] * (height - len(cell))]] for cell, column in cells]
        yield [GAP.join(line).rstrip() for line in zip(*padded, strict=True)] or [""]


def _longest_word(column: Sequence[str]) -> int:
    return max((cell_width(word) for text in column for word in text.split()), default=1)


def _reduced(rows: Sequence[Sequence[str]], room: int, limits: Sequence[int]) -> list[int]:
    """Return the widths of the columns; while they do not fit, the widest above its limit is reduced."""
    widths = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    while _total(widths) > room:
        reducible = [index for index, width in enumerate(widths) if width > limits[index]]
        if not reducible:
            break
        widths[max(reducible, key=widths.__getitem__)] -= 1
    return widths


def _without_last(widths: Sequence[int], room: int) -> list[int]:
    """Set the widths of the last columns to 0 until the others fit."""
    fitting = list(widths)
    for index in reversed(range(1, len(fitting))):
        if _total(fitting) > room:
            fitting[index] = 0
    return fitting


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
