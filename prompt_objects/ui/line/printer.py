"""Printing above the input: what is printed is the terminal's from then on."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.renderer import print_formatted_text

from prompt_objects.ui.line.application import LineApplication
from prompt_objects.ui.render.style import Line

__all__ = [
    "Printer",
]

MOST_AT_ONCE = 1000
"""Lines after which the keys have their turn: a terminal may take long over many."""
_BEGIN_UPDATE, _END_UPDATE = "\x1b[?2026h", "\x1b[?2026l"


class Printer:
    """The part of the terminal above an application that draws itself at the lower end."""

    def __init__(self, app: LineApplication) -> None:
        self._app = app
        self._waiting: list[Line] = []
        self._taken = False

    @property
    def width(self) -> int:
        """The columns of the terminal."""
        return self._app.output.get_size().columns

    def add(self, lines: Iterable[Line]) -> None:
        """Keep lines, to be printed with the next ones."""
        self._waiting += lines

    def flush(self) -> None:
        """Print what waits, unless something else has the terminal; where it is much, the rest of it soon."""
        if self._taken or not self._waiting or not self._app.is_running:
            return
        lines, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
        if self._waiting:
            asyncio.get_running_loop().call_later(0, self.flush)
        self._print(lines)

    def finish(self) -> None:
        """Print all that waits."""
        while self._waiting and self._app.is_running and not self._taken:
            self.flush()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Let something else have the terminal; what is to be printed waits."""
        self._taken = True
        try:
            yield
        finally:
            self._taken = False
            self.flush()

    def _print(self, lines: list[Line]) -> None:
        with_breaks = [piece for line in lines for piece in (*line, ("", "\n"))]
        renderer, output = self._app.renderer, self._app.output
        output.write_raw(_BEGIN_UPDATE)
        self._app.give_way()
        print_formatted_text(output, FormattedText(with_breaks), renderer.style, color_depth=self._app.color_depth)
        renderer.render(self._app, self._app.layout)
        output.write_raw(_END_UPDATE)
        output.flush()
