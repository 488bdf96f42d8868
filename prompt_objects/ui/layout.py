"""How the lower end of the screen is put together: what is live, the input, the menu or the toolbar."""

from collections.abc import Callable

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import has_completions, is_searching
from prompt_toolkit.layout import BufferControl, ConditionalContainer, HSplit, Layout, VerticalAlign, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import HighlightIncrementalSearchProcessor, HighlightSelectionProcessor
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.widgets import SearchToolbar

from prompt_objects.ui.style import Line

__all__ = ["make_layout", "screen_size"]

MENU_LINES = 8


def screen_size() -> tuple[int, int]:
    """Return columns and rows."""
    size = get_app().output.get_size()
    return size.columns, size.rows


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
            input_processors=[HighlightIncrementalSearchProcessor(), HighlightSelectionProcessor()],
            include_default_input_processors=False,
            preview_search=True,
        ),
        height=lambda: Dimension(min=1, max=max(screen_size()[1] // 2, 1)),
        get_line_prefix=lambda line, wrap: _prefix(prompt(), line, wrap),
        wrap_lines=True,
        dont_extend_height=True,
    )
    rows = [
        Window(FormattedTextControl(lambda: _joined(live())), dont_extend_height=True, wrap_lines=False),
        entry,
        search,
        CompletionsMenu(max_height=MENU_LINES, scroll_offset=1),
        ConditionalContainer(
            Window(FormattedTextControl(toolbar), height=1, style="class:toolbar"), ~has_completions & ~is_searching
        ),
    ]
    return Layout(HSplit(rows, align=VerticalAlign.TOP), focused_element=entry)


def _prefix(prompt: str, line: int, wrap: int) -> Line:
    if line == wrap == 0:
        return [("class:prompt", prompt)]
    return [("", " " * get_cwidth(prompt))]


def _joined(lines: list[Line]) -> Line:
    return [piece for line in lines for piece in (*line, ("", "\n"))][:-1]
