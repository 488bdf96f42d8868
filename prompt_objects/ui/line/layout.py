"""The layout of the lower end of the screen: live text, the input, the menu or the status bar."""

from collections.abc import Callable

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, has_completions, is_searching
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.layout import BufferControl, ConditionalContainer, HSplit, Layout, VerticalAlign, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import HighlightIncrementalSearchProcessor, HighlightSelectionProcessor
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.widgets import SearchToolbar

from prompt_objects.ui.line.input_line import InputBuffer
from prompt_objects.ui.line.input_text import VisibleText, WordWrap, input_height
from prompt_objects.ui.render.style import Line

MENU_LINES = 8
LIVE_SHARE = 2
LIVE_SHARE_WHILE_ASKING = 4
"""The live text takes at most a half of the screen, and a fourth while a question is to be read."""
_OTHER_ROWS = 3
"""A blank line above the input, the status bar below, the row that scrolls in."""


def screen_size() -> tuple[int, int]:
    """Return the columns and rows of the terminal."""
    size = get_app().output.get_size()
    return size.columns, size.rows


def live_height(buffer: InputBuffer, prompt: str, *, is_asking: bool) -> int:
    """Return the rows for the live text above the input.

    There must not be more: rows that leave the screen at the top can no longer be erased.
    """
    _, rows = screen_size()
    share = LIVE_SHARE_WHILE_ASKING if is_asking else LIVE_SHARE
    return min(rows - _input_height(buffer, prompt) - _OTHER_ROWS, rows // share)


def question_height(rows: int) -> int:
    """Return the rows for a question, so that it is on the screen as a whole, together with the live text."""
    return rows - rows // LIVE_SHARE_WHILE_ASKING - _OTHER_ROWS


def _input_height(buffer: InputBuffer, prompt: str) -> int:
    """Return the rows of the input: half the screen at most."""
    columns, rows = screen_size()
    return input_height(buffer.text, max(columns - get_cwidth(prompt), 2), max(rows // 2, 1), buffer.pastes)


def make_layout(
    buffer: InputBuffer, *, prompt: Callable[[], str], live: Callable[[], list[Line]], status_bar: Callable[[], Line]
) -> Layout:
    """Build the layout; `prompt`, `live` and `status_bar` are called at each drawing. The menu hides the bar."""
    search = SearchToolbar(ignore_case=True)
    input_window = _input_window(buffer, prompt, search)
    return Layout(
        HSplit(
            [
                _text_window(lambda: _joined(live())),
                input_window,
                search,
                CompletionsMenu(max_height=MENU_LINES, scroll_offset=1),
                ConditionalContainer(
                    _text_window(lambda: FormattedText([("class:hint", _menu_position(buffer))])),
                    has_completions & Condition(lambda: _count_completions(buffer) > MENU_LINES),
                ),
                ConditionalContainer(
                    _text_window(lambda: _joined([status_bar()]), "class:toolbar"), ~has_completions & ~is_searching
                ),
            ],
            align=VerticalAlign.TOP,
        ),
        focused_element=input_window,
    )


def _input_window(buffer: InputBuffer, prompt: Callable[[], str], search: SearchToolbar) -> Window:
    return Window(
        BufferControl(
            buffer,
            search_buffer_control=search.control,
            input_processors=[
                HighlightIncrementalSearchProcessor(),
                HighlightSelectionProcessor(),
                VisibleText(buffer.pastes),
                WordWrap(lambda: get_cwidth(prompt())),
            ],
            include_default_input_processors=False,
            preview_search=True,
        ),
        height=lambda: Dimension(min=1, max=_input_height(buffer, prompt())),
        get_line_prefix=lambda line, wrap: _prefix(prompt(), line, wrap),
        wrap_lines=True,
        dont_extend_height=True,
    )


def _count_completions(buffer: Buffer) -> int:
    return len(buffer.complete_state.completions) if buffer.complete_state else 0


def _menu_position(buffer: Buffer) -> str:
    """Return which of the completions is selected, and how to see the others."""
    index = buffer.complete_state.complete_index if buffer.complete_state else None
    position = "" if index is None else f"{index + 1} of "
    return f"  {position}{_count_completions(buffer)}; Tab or Down for more"


def _text_window(text: Callable[[], FormattedText], style: str = "") -> Window:
    return Window(FormattedTextControl(text), style=style, dont_extend_height=True)


def _prefix(prompt: str, line: int, wrap: int) -> FormattedText:
    if line == wrap == 0:
        return FormattedText([("class:prompt", prompt)])
    return FormattedText([("", " " * get_cwidth(prompt))])


def _joined(lines: list[Line]) -> FormattedText:
    return FormattedText([piece for line in lines for piece in (*line, ("", "\n"))][:-1])
