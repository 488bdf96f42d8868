"""The line at the bottom, as it is at this moment."""

from collections.abc import Callable

from prompt_objects.chat import Chat
from prompt_objects.ui import toolbar
from prompt_objects.ui.drawing import cut
from prompt_objects.ui.layout import screen_size
from prompt_objects.ui.style import Line

__all__ = ["Footer"]


class Footer:
    """The facts of a conversation as they were last looked at, and the hint that stands in their place, if any."""

    def __init__(self, chat: Chat, redraw: Callable[[], None]) -> None:
        self._chat = chat
        self._redraw = redraw
        self._hint = ""
        self._trouble = ""
        self._facts = toolbar.facts(chat)

    def line(self) -> Line:
        """Draw it."""
        columns, _ = screen_size()
        if self._hint:
            return [("class:toolbar.hint", cut(self._hint, columns))]
        return [("", toolbar.fitted(self._facts, columns))]

    def say(self, hint: str) -> None:
        """Give a hint, until there is another one; an empty one makes room for the facts."""
        self._hint = hint
        self._redraw()

    def refresh(self, trouble: str | None = None) -> None:
        """Say what is so now; `trouble` is what is wrong with the session, None where that is as it was."""
        self._trouble = self._trouble if trouble is None else trouble
        before, self._facts = self._facts, toolbar.facts(self._chat, self._trouble)
        if self._facts != before:
            self._redraw()
