"""prompt_toolkit's application for the line interface, and printing above it."""

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Literal

from prompt_toolkit.application import Application, get_app_session
from prompt_toolkit.data_structures import Point
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout.screen import Screen
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style

from prompt_objects.ui.controller import REDRAW_SECONDS
from prompt_objects.ui.render.style import STYLES, Line

ESCAPE_SECONDS = 0.05
"""How long the rest of a key that begins with Escape, such as an arrow, may take to arrive."""
PREFIX_SECONDS = 1.0
_MODES = {"emacs": EditingMode.EMACS, "vi": EditingMode.VI}
_REFLOWING = (
    *("TMUX", "TERM_PROGRAM", "VTE_VERSION", "KITTY_WINDOW_ID"),
    *("WT_SESSION", "ALACRITTY_WINDOW_ID", "KONSOLE_VERSION"),
)


class TypingPause:
    """Knows when a key was last pressed."""

    def __init__(self) -> None:
        self._since = monotonic()

    def touch(self) -> None:
        self._since = monotonic()

    async def wait(self) -> None:
        """Wait, from now on, until no key was pressed for `REST_SECONDS`."""
        from prompt_objects.ui.question import REST_SECONDS

        self.touch()
        remaining = REST_SECONDS
        while remaining > 0:
            await asyncio.sleep(remaining)
            remaining = self._since + REST_SECONDS - monotonic()


class LineApplication(Application[None]):
    """Draws the lower end of the screen and reads the keys; set `layout` and `key_bindings` before running it."""

    def __init__(self, *, editing_mode: Literal["emacs", "vi"]) -> None:
        super().__init__(
            style=Style.from_dict(dict(STYLES)),
            include_default_pygments_style=False,
            editing_mode=_MODES[editing_mode],
            min_redraw_interval=REDRAW_SECONDS,
            erase_when_done=True,
            reverse_vi_search_direction=True,
            output=_output_without_queries(),
        )
        self.ttimeoutlen = ESCAPE_SECONDS
        self._typed_ahead: list[KeyPress] = []
        self.after_render += lambda _: self._take_typed_ahead()
        self._drawn_size: tuple[int, int] | None = None
        self.before_render += lambda _: self._erase_at_other_size()
        self.pause = TypingPause()
        self.key_processor.before_key_press += lambda _: self.pause.touch()
        self.key_processor.after_key_press += lambda _: self._set_timeout()

    def _set_timeout(self) -> None:
        """Wait for a second key only briefly if the first is Escape, which has a meaning of its own."""
        waiting = self.key_processor.key_buffer
        escape = bool(waiting) and waiting[0].key == Keys.Escape
        self.timeoutlen = ESCAPE_SECONDS if escape else PREFIX_SECONDS

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the keys from now on. Those typed before are taken after the first drawing.

        Until now, the terminal has turned each Enter into a line break.
        """
        with self.input.raw_mode():
            enter = KeyPress(Keys.Enter, "\r")
            self._typed_ahead = [enter if key.key == Keys.ControlJ else key for key in self.input.read_keys()]
            yield

    def _take_typed_ahead(self) -> None:
        """Take the keys before any later key: the event loop has read none since the first drawing."""
        keys, self._typed_ahead = self._typed_ahead, []
        if keys:
            self.key_processor.feed_multiple(keys)
            asyncio.get_running_loop().call_soon(self.key_processor.process_keys)

    def _erase_at_other_size(self) -> None:
        """Erase a drawing of another size before the next one: the signal of a new size may come later."""
        size = self.output.get_size()
        if self._drawn_size not in {None, size}:
            self.erase()
        self._drawn_size = size

    def erase(self) -> None:
        """Erase the drawing, also if the terminal has wrapped it into more rows since."""
        self.render_counter += 1  # prompt_toolkit would reuse text drawn with the same counter
        drawn = self.renderer.last_rendered_screen
        if drawn and reflows(os.environ):
            columns = self.output.get_size().columns
            cursor = drawn.get_cursor_position(self.layout.current_window)
            above = rows_above(drawn, cursor, columns)
            if "TMUX" in os.environ:
                self._blank(above, rows_above(drawn, Point(0, drawn.height), columns))
            self.output.cursor_up(above - cursor.y)
        self.renderer.erase(leave_alternate_screen=False)

    def _blank(self, above: int, height: int) -> None:
        """Blank row by row: tmux moves text into its history if it is erased all together from the top row."""
        self.output.write_raw("\x1b7\r")
        self.output.cursor_up(above)
        self.output.write_raw("\x1b[2K\x1b[B" * height + "\x1b8")

    def _on_resize(self) -> None:
        self.erase()
        super()._on_resize()


def reflows(environ: Mapping[str, str]) -> bool:
    """Return whether the terminal is known to wrap its lines again when it becomes narrower.

    Terminals do not tell. An unknown one is assumed to cut lines off, as xterm does: if that is wrong, some lines are
    left twice, while the opposite mistake would erase lines.
    """
    return "STY" not in environ and any(environ.get(name) for name in _REFLOWING)


def rows_above(drawn: Screen, cursor: Point, columns: int) -> int:
    """Return how many rows are above the cursor after wrapping the drawing to a number of columns."""
    rows = (drawn.data_buffer[number] for number in range(cursor.y))
    lasts = [max((column for column, cell in row.items() if cell.char.strip()), default=0) for row in rows]
    return cursor.y + sum(last // columns for last in (*lasts, cursor.x))


def _output_without_queries() -> Output:
    """Return the terminal without asking it for cursor positions: each answer costs a round trip."""
    output = get_app_session().output
    if hasattr(output, "enable_cpr"):
        output.enable_cpr = False
    return output


MAX_LINES = 1000
"""Lines printed before the keys are read again: a terminal may take long over many."""
_BEGIN_UPDATE, _END_UPDATE = "\x1b[?2026h", "\x1b[?2026l"


class Printer:
    """Prints lines above the application; they belong to the terminal from then on."""

    def __init__(self, app: LineApplication) -> None:
        self._app = app
        self._waiting: list[Line] = []
        self._is_paused = False

    @property
    def width(self) -> int:
        return self._app.output.get_size().columns

    def add(self, lines: Iterable[Line]) -> None:
        self._waiting += lines

    def flush(self) -> None:
        """Print the waiting lines, unless printing is paused; of very many, the rest follows soon."""
        if self._is_paused or not self._waiting or not self._app.is_running:
            return
        lines, self._waiting = self._waiting[:MAX_LINES], self._waiting[MAX_LINES:]
        if self._waiting:
            asyncio.get_running_loop().call_later(0, self.flush)
        self._print(lines)

    def finish(self) -> None:
        while self._waiting and self._app.is_running and not self._is_paused:
            self.flush()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Print nothing during the block, so that another program can use the terminal."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False
            self.flush()

    def _print(self, lines: list[Line]) -> None:
        with_breaks = [piece for line in lines for piece in (*line, ("", "\n"))]
        renderer, output = self._app.renderer, self._app.output
        output.write_raw(_BEGIN_UPDATE)
        self._app.erase()
        print_formatted_text(output, FormattedText(with_breaks), renderer.style, color_depth=self._app.color_depth)
        renderer.render(self._app, self._app.layout)
        output.write_raw(_END_UPDATE)
        output.flush()
