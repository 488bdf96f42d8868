"""Results of commands, drawn."""

from prompt_objects.chat import results
from prompt_objects.ui.render.markdown import render
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import cell_width, fit, paragraph

_GAP = "  "


def draw_result(result: results.CommandResult, width: int) -> list[Line]:
    """Draw the result of a command; one that is only an action has no lines."""
    match result:
        case results.Text() | results.Switched() | results.Confirm() | results.Send() | results.Watch():
            return paragraph(result.text, width)
        case results.Table():
            return _table(result, width)
        case results.Document():
            return render(result.markdown, width)
        case results.ShowTrace():
            from prompt_objects.ui.render.trace import draw_trace

            return draw_trace(result.trace, width)
        case _:
            return []


def _table(table: results.Table, width: int) -> list[Line]:
    """Draw a table; on a narrow screen the widest columns are cut."""
    cells = [[clean_line(cell) for cell in row] for row in table.rows]
    heads = [clean_line(column) for column in table.columns]
    rows = [heads, *cells] if any(heads) else cells
    lines: list[Line] = [[("class:title", clean_line(table.title))]]
    if not cells:
        return [*lines, [("class:hint", "  none")]]
    widths = _fitted([max(map(cell_width, column)) for column in zip(*rows, strict=True)], width - len(_GAP))
    for number, row in enumerate(rows):
        index = number - (len(rows) - len(cells))
        style = "class:title" if index < 0 else "class:current" if index == table.mark else ""
        lead = "* " if index == table.mark and index >= 0 else "  "
        texts = (_padded(cell, column) for cell, column in zip(row, widths, strict=True) if column > 0)
        lines.append([(style, (lead + _GAP.join(texts)).rstrip())])
    return lines


def _fitted(widths: list[int], room: int) -> list[int]:
    """Reduce the widest column until all fit; if that is not enough, drop the last columns."""
    minimum = 6
    while sum(widths) + len(_GAP) * (sum(w > 0 for w in widths) - 1) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] > minimum:
            widths[widest] -= 1
            continue
        shown = [index for index, column in enumerate(widths) if column > 0]
        if len(shown) <= 1:
            break
        widths[shown[-1]] = 0
    return widths


def _padded(text: str, width: int) -> str:
    text = fit(text, width)
    return text + " " * (width - cell_width(text))
