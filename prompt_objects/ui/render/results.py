"""Results of commands, drawn."""

from prompt_objects.chat import results
from prompt_objects.ui.render.markdown import render
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.table import GAP, layout
from prompt_objects.ui.render.text import paragraph


def draw_result(result: results.CommandResult, width: int) -> list[Line]:
    """Draw the result of a command; one that is only an action has no lines."""
    match result:
        case results.Text() | results.Switched() | results.Send() | results.Watch():
            return paragraph(result.text, width)
        case results.Confirm():
            from prompt_objects.ui.render.reveal import exact_paragraph, reveal

            return [line for row in result.text.split("\n") for line in exact_paragraph(reveal(row), width)]
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
    """Draw a table; on a narrow screen its cells are wrapped."""
    cells = [[clean_line(cell) for cell in row] for row in table.rows]
    heads = [clean_line(column) for column in table.columns]
    rows = [heads, *cells] if any(heads) else cells
    lines = paragraph(clean_line(table.title), width, "class:title")
    if not cells:
        return [*lines, [("class:hint", "  none")]]
    for number, texts in enumerate(layout(rows, width - len(GAP))):
        index = number - (len(rows) - len(cells))
        if title := table.sections.get(index):
            lines += [[], [("class:title", clean_line(title))]]
        is_current = index >= 0 and index == table.mark
        style = "class:title" if index < 0 else "class:current" if is_current else ""
        lead = "* " if is_current else GAP
        lines += [[(style, (GAP if line else lead) + text)] for line, text in enumerate(texts)]
    return lines
