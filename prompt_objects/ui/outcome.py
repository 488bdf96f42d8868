"""What a command resulted in, and what a session last held, drawn."""

from collections.abc import Sequence

from prompt_toolkit.utils import get_cwidth

from prompt_objects.commands.outcome import Document, Moved, Outcome, Question, Said, Table
from prompt_objects.message import Message, calls_of, text_of
from prompt_objects.ui import drawing
from prompt_objects.ui.sanitize import clean_line
from prompt_objects.ui.style import Line

__all__ = ["draw", "last_exchange"]

LOOKED_BACK = 40
"""Messages among which the last exchange is looked for."""
RECALLED_LINES = 12
_GAP = "  "


def draw(outcome: Outcome, width: int) -> list[Line]:
    """Draw an outcome; those that are only something to do have no lines."""
    match outcome:
        case Said() | Moved() | Question():
            return drawing.sentence(outcome.text, width)
        case Table():
            return _table(outcome, width)
        case Document():
            from prompt_objects.ui.markdown import render

            return render(outcome.markdown, width)
        case _:
            return []


def last_exchange(po_name: str, messages: Sequence[Message], width: int) -> list[Line]:
    """Draw what was last asked and answered, the answer's end where it is long, as a reminder."""
    from prompt_objects.ui.markdown import render

    asked = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    lines: list[Line] = []
    for message in messages[asked[-1] if asked else 0 :]:
        if message.get("role") == "user":
            lines += _shortened(drawing.said(drawing.prompt(po_name, width), text_of(message), width))
        elif message.get("role") == "assistant":
            if text_of(message).strip():
                lines += [[], *_shortened(render(text_of(message), width))]
            functions = [call.get("function", {}) for call in calls_of(message)]
            lines += [drawing.call(str(f.get("name")), str(f.get("arguments") or ""), width) for f in functions]
    return lines


def _shortened(lines: list[Line]) -> list[Line]:
    if len(lines) <= RECALLED_LINES:
        return lines
    left_out = f"… {len(lines) - RECALLED_LINES + 1} lines …"
    return [[("class:hint", left_out)], *lines[1 - RECALLED_LINES :]]


def _table(table: Table, width: int) -> list[Line]:
    """Draw a table whose columns are as wide as they need, the widest ones cut where the screen is too narrow."""
    cells = [[clean_line(cell) for cell in row] for row in table.rows]
    heads = [clean_line(column) for column in table.columns]
    rows = [heads, *cells] if any(heads) else cells
    lines: list[Line] = [[("class:title", clean_line(table.title))]]
    if not cells:
        return [*lines, [("class:hint", "  none")]]
    widths = _fitted([max(map(get_cwidth, column)) for column in zip(*rows, strict=True)], width - len(_GAP))
    for number, row in enumerate(rows):
        index = number - (len(rows) - len(cells))
        style = "class:title" if index < 0 else "class:current" if index == table.mark else ""
        lead = "* " if index == table.mark and index >= 0 else "  "
        texts = (_padded(cell, column) for cell, column in zip(row, widths, strict=True) if column > 0)
        lines.append([(style, (lead + _GAP.join(texts)).rstrip())])
    return lines


def _fitted(widths: list[int], room: int) -> list[int]:
    """Take cells from the widest column until all fit; where even that is too much, leave out the last ones."""
    smallest = 6
    while sum(widths) + len(_GAP) * (sum(w > 0 for w in widths) - 1) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] > smallest:
            widths[widest] -= 1
            continue
        shown = [index for index, column in enumerate(widths) if column > 0]
        if len(shown) <= 1:
            break
        widths[shown[-1]] = 0
    return widths


def _padded(text: str, width: int) -> str:
    text = drawing.cut(text, width)
    return text + " " * (width - get_cwidth(text))
