"""prompt_toolkit's application as the line interface needs it: its patience, its resizing, its silence."""

import os
from collections.abc import Mapping
from typing import Literal

from prompt_toolkit.application import Application, get_app_session
from prompt_toolkit.data_structures import Point
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout.screen import Screen
from prompt_toolkit.output import Output

from prompt_objects.ui.render.style import STYLE

__all__ = [
    "REDRAW_SECONDS",
    "LineApplication",
    "reflows",
    "rows_above",
]

REDRAW_SECONDS = 1 / 30
ESCAPE_SECONDS = 0.05
"""How long a key that begins with Escape, such as an arrow, may take to arrive."""
PREFIX_SECONDS = 1.0
_MODES = {"emacs": EditingMode.EMACS, "vi": EditingMode.VI}
_REFLOWING = (
    *("TMUX", "TERM_PROGRAM", "VTE_VERSION", "KITTY_WINDOW_ID"),
    *("WT_SESSION", "ALACRITTY_WINDOW_ID", "KONSOLE_VERSION"),
)


class LineApplication(Application[None]):
    """Draws the lower end of the screen, and reads the keys; `layout` and `key_bindings` are to be set."""

    def __init__(self, *, editing_mode: Literal["emacs", "vi"]) -> None:
        super().__init__(
            style=STYLE,
            include_default_pygments_style=False,
            editing_mode=_MODES[editing_mode],
            min_redraw_interval=REDRAW_SECONDS,
            erase_when_done=True,
            reverse_vi_search_direction=True,
            output=_silent_output(),
        )
        self.ttimeoutlen = ESCAPE_SECONDS
        self.key_processor.after_key_press += lambda _: self._set_patience()

    def _set_patience(self) -> None:
        """Wait for a second key only briefly where the first is Escape, which may be meant by itself."""
        waiting = self.key_processor.key_buffer
        escape = bool(waiting) and waiting[0].key == Keys.Escape
        self.timeoutlen = ESCAPE_SECONDS if escape else PREFIX_SECONDS

    def give_way(self) -> None:
        """Erase what is drawn, also where the terminal has folded it into more rows meanwhile.

        What is drawn next is asked for anew: at the count of the last drawing, prompt_toolkit would use that again.
        """
        self.render_counter += 1
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
        """Blank the rows one by one: tmux keeps in its history what is erased at once from the top of the screen."""
        self.output.write_raw("\x1b7\r")
        self.output.cursor_up(above)
        self.output.write_raw("\x1b[2K\x1b[B" * height + "\x1b8")

    def _on_resize(self) -> None:
        self.give_way()
        super()._on_resize()


def reflows(environ: Mapping[str, str]) -> bool:
    """Whether this is a terminal that is known to fold its lines anew when it becomes narrower.

    No terminal says so itself. One that is not known is taken for one that cuts its lines off, as xterm does: a
    copy of some lines may stay then, where the opposite mistake would erase lines.
    """
    return "STY" not in environ and any(environ.get(name) for name in _REFLOWING)


def rows_above(drawn: Screen, cursor: Point, columns: int) -> int:
    """Return how many rows are above the cursor once all is folded to so many columns."""
    rows = (drawn.data_buffer[number] for number in range(cursor.y))
    lasts = [max((column for column, cell in row.items() if cell.char.strip()), default=0) for row in rows]
    return cursor.y + sum(last // columns for last in (*lasts, cursor.x))


def _silent_output() -> Output:
    """Return the terminal, not to be asked where its cursor is: each answer would cost a round trip."""
    output = get_app_session().output
    if hasattr(output, "enable_cpr"):
        output.enable_cpr = False
    return output
