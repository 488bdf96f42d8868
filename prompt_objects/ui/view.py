"""The lower end of the screen, which is drawn again and again."""

from prompt_toolkit.buffer import Buffer

from prompt_objects.ui import drawing
from prompt_objects.ui.asking import Asking
from prompt_objects.ui.conversation import YES_OR_NO, Conversation
from prompt_objects.ui.layout import entry_height, screen_size
from prompt_objects.ui.scrollback import Scrollback
from prompt_objects.ui.style import Line

__all__ = ["View", "room_to_ask"]

LIVE_WHILE_ASKING = 4
"""What part of the screen what is live may take while a question is to be read: a fourth."""
_AROUND = 3
"""A blank line above the input, the toolbar below, the row that is scrolled in."""


class View:
    """Draws what stands before the input, and above it what is not finished, as they are at this moment."""

    def __init__(self, conversation: Conversation, scrollback: Scrollback, asking: Asking, buffer: Buffer) -> None:
        self._conversation = conversation
        self._scrollback = scrollback
        self._asking = asking
        self._buffer = buffer

    def prompt(self) -> str:
        """Write whom or what the line answers."""
        width = self._scrollback.width
        if self._asking.is_open:
            return self._asking.prompt(width)
        if self._conversation.question:
            return YES_OR_NO
        return drawing.prompt(self._conversation.chat.po.name, width)

    def live(self) -> list[Line]:
        """Draw what is being said and done, and what was said to it that it has not read yet."""
        columns, rows = screen_size()
        part = LIVE_WHILE_ASKING if self._asking.is_posed else 2
        height = rows - entry_height(self._buffer.text, self.prompt()) - _AROUND
        height = min(height, rows // part)  # what a lower window pushes into the scrollback cannot be erased there
        unread = self._unread(columns)
        return [*self._scrollback.live(columns, max(height - len(unread), 1)), *unread, []]

    def _unread(self, columns: int) -> list[Line]:
        running = self._conversation.chat.environment.running
        words = [f"you → {turn.po_name}: {text}" for turn in running for text in turn.waiting]
        return [[("class:status", drawing.cut(word, columns))] for word in words]


def room_to_ask(rows: int) -> int:
    """Return the rows that a question may take so that all of it is on the screen together with what is live."""
    return rows - rows // LIVE_WHILE_ASKING - _AROUND
