"""How the lower end of the screen is put together: what is live, the input, the menu or the toolbar."""

from collections.abc import Callable

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import has_completions, is_searching
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    HSplit,
    Layout,
    VerticalAlign,
    Window,
)
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import (
    HighlightIncrementalSearchProcessor,
    HighlightSelectionProcessor,
    Processor,
    Transformation,
    TransformationInput,
)
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.widgets import SearchToolbar

from prompt_objects.ui.render.sanitize import visible
from prompt_objects.ui.render.style import Line

__all__ = [
    "entry_height",
    "make_layout",
    "room_to_ask",
    "screen_size",
]

MENU_LINES = 8


def screen_size() -> tuple[int, int]:
    """Return columns and rows."""
    size = get_app().output.get_size()
    return size.columns, size.rows


def entry_height(text: str, prompt: str) -> int:
    """Return the rows that the input takes: half the screen at most."""
    columns, rows = screen_size()
    most, width = max(rows // 2, 1), max(columns - get_cwidth(prompt), 2)
    height = 0
    for line in text.split("\n", most)[:most]:
        height += get_cwidth(visible(line[: width * most])) // width + 1
    return min(height, most)


def make_layout(
    buffer: Buffer,
    *,
    prompt: Callable[[], str],
    live: Callable[[], list[Line]],
    toolbar: Callable[[], Line],
) -> Layout:
    """Build the layout; `prompt`, `live` and `toolbar` are asked at each drawing.

    The menu takes the place of the toolbar while there is something to choose from.
    """
    search = SearchToolbar(ignore_case=True)
    entry = Window(
        BufferControl(
            buffer,
            search_buffer_control=search.control,
            input_processors=[HighlightIncrementalSearchProcessor(), HighlightSelectionProcessor(), _Visible()],
            include_default_input_processors=False,
            preview_search=True,
        ),
        height=lambda: Dimension(min=1, max=entry_height(buffer.text, prompt())),
        get_line_prefix=lambda line, wrap: _prefix(prompt(), line, wrap),
        wrap_lines=True,
        dont_extend_height=True,
    )
    return Layout(
        HSplit(
            [
                _text_window(lambda: _joined(live())),
                entry,
                search,
                CompletionsMenu(max_height=MENU_LINES, scroll_offset=1),
                ConditionalContainer(
                    _text_window(lambda: _joined([toolbar()]), "class:toolbar"), ~has_completions & ~is_searching
                ),
            ],
            align=VerticalAlign.TOP,
        ),
        focused_element=entry,
    )


class _Visible(Processor):
    """Shows what would be hidden, or would rearrange the line; the text itself stays as it was typed."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        return Transformation([(style, visible(text)) for style, text, *_ in transformation_input.fragments])


def _text_window(text: Callable[[], FormattedText], style: str = "") -> Window:
    return Window(FormattedTextControl(text), style=style, dont_extend_height=True)


def _prefix(prompt: str, line: int, wrap: int) -> FormattedText:
    if line == wrap == 0:
        return FormattedText([("class:prompt", prompt)])
    return FormattedText([("", " " * get_cwidth(prompt))])


def _joined(lines: list[Line]) -> FormattedText:
    return FormattedText([piece for line in lines for piece in (*line, ("", "\n"))][:-1])


LIVE_WHILE_ASKING = 4
"""What part of the screen what is live may take while a question is to be read: a fourth."""
_AROUND = 3
"""A blank line above the input, the toolbar below, the row that is scrolled in."""


def room_to_ask(rows: int) -> int:
    """Return the rows that a question may take so that all of it is on the screen together with what is live."""
    return rows - rows // LIVE_WHILE_ASKING - _AROUND
