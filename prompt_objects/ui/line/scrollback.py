"""All that stands above the input, in the order in which it came."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prompt_objects.chat.chat import Chat
from prompt_objects.runtime.events import Event, MessageSaved, Subscription
from prompt_objects.ui.line.application import REDRAW_SECONDS
from prompt_objects.ui.line.printer import Printer
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.events import headline
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.transcript import Transcript
from prompt_objects.utils.text import pluralize

__all__ = [
    "Scrollback",
]

STATUS_SECONDS = 1.0


class Scrollback:
    """The news of turns as far as it was told, and what is printed in between.

    While something is asked, what others say and do is `held` back: the question stays right above the line.
    """

    def __init__(
        self, screen: Printer, chat: Chat, news: Subscription, footer: StatusBar, redraw: Callable[[], None]
    ) -> None:
        self._screen = screen
        self._chat = chat
        self._news = news
        self._footer = footer
        self._redraw = redraw
        self._transcript = Transcript(lambda: chat.po.name)
        self._sending = ("", "")
        self._is_held = False
        self._held: list[Line] = []

    @property
    def width(self) -> int:
        """The columns of the terminal."""
        return self._screen.width

    @property
    def is_growing(self) -> bool:
        """Say whether a turn is under way."""
        return self._transcript.busy

    def live(self, width: int, height: int) -> list[Line]:
        """Draw what is not finished yet, in at most `height` lines."""
        if not self._held or height == 1:
            return self._transcript.live(width, height, apart=self._is_held)
        told = drawing.fit(f"{pluralize(len(self._held), 'line')} to come after your answer", width)
        return [*self._transcript.live(width, height - 1, apart=True), [("class:status", told)]]

    def print(self, lines: Sequence[Line]) -> None:
        """Print lines, together with all else that waits to be printed."""
        self._screen.add(lines)
        if not self._is_held:  # else it does not come between the news
            self._transcript.separate()
        self._screen.flush()

    def note(self, text: str) -> None:
        """Print what the person should know."""
        self._add(drawing.paragraph(text, self.width, "class:notice"))
        self._transcript.separate()
        self._screen.flush()

    def note_all(self) -> None:
        """Print what happened to the sessions that the person should know, once."""
        for notice in self._chat.notices():
            self.note(notice)

    def say(self, text: str) -> None:
        """Print what the person says to the prompt object."""
        self.print(self._said(self._chat.po.name, text))

    def say_once_saved(self, text: str) -> None:
        """Print what is said now to the prompt object once it is sent, below what came before that; or no more."""
        self._sending = (self._chat.po.name, text)

    def _said(self, name: str, text: str) -> list[Line]:
        return [[], *drawing.user_message(drawing.prompt(name, self.width), text, self.width)]

    # What waits for an answer

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the news wait; only what is printed comes to stand above the line."""
        self._transcript.separate()
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            self._screen.add(self._held)
            self._held = []
            self._screen.flush()

    def _add(self, lines: Sequence[Line]) -> None:
        if self._is_held:
            self._held += lines
        else:
            self._screen.add(lines)

    # The news

    async def follow(self) -> None:
        """Tell what happens, at most so many times a second."""
        async for event in self._news:
            self._tell(event)
            self.catch_up()
            await asyncio.sleep(REDRAW_SECONDS)

    async def tick(self) -> None:
        """Let the seconds of what is not finished run on."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            if self.is_growing:
                self._redraw()

    def catch_up(self) -> None:
        """Tell all that has happened until now."""
        for event in self._news.drain():
            self._tell(event)
        self._screen.flush()
        self._redraw()

    def _tell(self, event: Event) -> None:
        self._chat.handle(event)
        if isinstance(event, MessageSaved):
            self._footer.refresh()
            if self._sending[1] and not self._chat.pending:
                self._add(self._said(*self._sending))
                self.say_once_saved("")
        self._add(self._transcript.take(event, self.width))
        if self._chat.news and (lines := headline(event, self.width)):
            self._add(lines)
            self._transcript.separate()
