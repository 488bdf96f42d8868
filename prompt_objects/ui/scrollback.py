"""All that stands above the input, in the order in which it came."""

import asyncio
from collections.abc import Callable, Sequence

from prompt_objects.bus import Event, MessageSaved, Subscription
from prompt_objects.chat import Chat
from prompt_objects.ui import drawing
from prompt_objects.ui.application import REDRAW_SECONDS
from prompt_objects.ui.footer import Footer
from prompt_objects.ui.news import headline
from prompt_objects.ui.screen import Screen
from prompt_objects.ui.style import Line
from prompt_objects.ui.transcript import Transcript

__all__ = ["Scrollback"]

STATUS_SECONDS = 1.0


class Scrollback:
    """The news of turns as far as it was told, and what is printed in between.

    `sending` is a message that waits to be sent: it is printed once it is saved, below what came before that.
    """

    def __init__(
        self, screen: Screen, chat: Chat, news: Subscription, footer: Footer, redraw: Callable[[], None]
    ) -> None:
        self.sending = ""
        self._screen = screen
        self._chat = chat
        self._news = news
        self._footer = footer
        self._redraw = redraw
        self._transcript = Transcript()

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
        return self._transcript.live(width, height)

    def print(self, lines: Sequence[Line]) -> None:
        """Print lines, together with all else that waits to be printed."""
        self._screen.add(lines)
        self._transcript.separate()
        self._screen.flush()

    def note(self, text: str) -> None:
        """Print what the person should know."""
        self.print(drawing.sentence(text, self.width, "class:notice"))

    def note_all(self) -> None:
        """Print what happened to the sessions that the person should know, once."""
        for notice in self._chat.notices():
            self.note(notice)

    def say(self, text: str) -> None:
        """Print what the person says to the prompt object."""
        self.print(self._said(text))

    def _said(self, text: str) -> list[Line]:
        return [[], *drawing.said(drawing.prompt(self._chat.po.name, self.width), text, self.width)]

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
        self._chat.hear(event)
        if isinstance(event, MessageSaved):
            self._footer.refresh()
            if self.sending and not self._chat.pending:
                self._screen.add(self._said(self.sending))
                self.sending = ""
        self._screen.add(self._transcript.take(event, self.width))
        if self._chat.news and (lines := headline(event, self.width)):
            self._screen.add(lines)
            self._transcript.separate()
