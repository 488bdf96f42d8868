"""The text above the input, in the order in which it came."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prompt_objects.chat.chat import Chat
from prompt_objects.runtime.events import Event, MessageSaved, Subscription
from prompt_objects.ui.controller import REDRAW_SECONDS
from prompt_objects.ui.line.application import Printer
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.render import text as render_text
from prompt_objects.ui.render.events import headline
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.transcript import Transcript
from prompt_objects.utils.text import pluralize

__all__ = ["Scrollback"]

STATUS_SECONDS = 1.0


class Scrollback:
    """Prints the events of turns, and other lines between them.

    While a question is open, events are `held` back, so that the question stays right above the input.
    """

    def __init__(
        self,
        printer: Printer,
        chat: Chat,
        events: Subscription,
        status_bar: StatusBar,
        redraw: Callable[[], None],
    ) -> None:
        self._printer = printer
        self._chat = chat
        self._events = events
        self._status_bar = status_bar
        self._redraw = redraw
        self._transcript = Transcript(lambda: chat.po.name)
        self._unsaved = ("", "")
        self._is_held = False
        self._held: list[Line] = []

    @property
    def is_growing(self) -> bool:
        """Whether a turn is running."""
        return self._transcript.busy

    def live(self, width: int, height: int) -> list[Line]:
        """Draw the unfinished text and the running calls in at most `height` lines."""
        if not self._held or height == 1:
            return self._transcript.live(width, height, apart=self._is_held)
        waiting = render_text.fit(f"{pluralize(len(self._held), 'line')} to follow after your answer", width)
        return [*self._transcript.live(width, height - 1, apart=True), [("class:status", waiting)]]

    def print(self, lines: Sequence[Line]) -> None:
        """Print lines, after those that wait to be printed."""
        self._printer.add(lines)
        if not self._is_held:  # while held, the lines are not between two events
            self._transcript.separate()
        self._printer.flush()

    def note(self, text: str) -> None:
        """Print a notice; while events are held, after them."""
        self._add(render_text.paragraph(text, self._printer.width, "class:notice"))
        self._transcript.separate()
        self._printer.flush()

    def echo(self, text: str) -> None:
        """Print a message of the user to the prompt object."""
        self.print(self._echo(self._chat.po.name, text))

    def echo_once_saved(self, text: str) -> None:
        """Print a message to the present prompt object as soon as it is saved; an empty text cancels that."""
        self._unsaved = (self._chat.po.name, text)

    def _echo(self, name: str, text: str) -> list[Line]:
        width = self._printer.width
        return [[], *render_text.user_message(render_text.object_prompt(name, width), text, width)]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold events back during the block; only `print` prints."""
        self._transcript.separate()
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            self._printer.add(self._held)
            self._held = []
            self._printer.flush()

    def _add(self, lines: Sequence[Line]) -> None:
        if self._is_held:
            self._held += lines
        else:
            self._printer.add(lines)

    async def follow(self) -> None:
        """Print events as they come, at most once per `REDRAW_SECONDS`."""
        async for event in self._events:
            self._take(event)
            self.catch_up()
            await asyncio.sleep(REDRAW_SECONDS)

    async def tick(self) -> None:
        """Redraw the elapsed seconds of running turns."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            if self.is_growing:
                self._redraw()

    def catch_up(self) -> None:
        """Print all events up to now."""
        for event in self._events.drain():
            self._take(event)
        self._printer.flush()
        self._redraw()

    def _take(self, event: Event) -> None:
        self._chat.handle(event)
        width = self._printer.width
        if isinstance(event, MessageSaved):
            self._status_bar.refresh()
            if self._unsaved[1] and not self._chat.pending:
                self._add(self._echo(*self._unsaved))
                self._unsaved = ("", "")
        self._add(self._transcript.take(event, width))
        if self._chat.shows_events and (lines := headline(event, width)):
            self._add(lines)
            self._transcript.separate()
