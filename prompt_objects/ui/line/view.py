"""The lower end of the screen, which is drawn again and again."""

from prompt_toolkit.buffer import Buffer

from prompt_objects.ui.line.conversation import YES_OR_NO, Conversation
from prompt_objects.ui.line.dialogs import QuestionDialog
from prompt_objects.ui.line.layout import _AROUND, LIVE_WHILE_ASKING, entry_height, screen_size
from prompt_objects.ui.line.scrollback import Scrollback
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.style import Line

__all__ = [
    "View",
]


class View:
    """Draws what stands before the input, and above it what is not finished, as they are at this moment."""

    def __init__(
        self, conversation: Conversation, scrollback: Scrollback, asking: QuestionDialog, buffer: Buffer
    ) -> None:
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
        running = self._conversation.chat.environment.active_turns
        words = [f"you → {turn.po_name}: {text}" for turn in running for text in turn.waiting]
        return [[("class:status", drawing.fit(word, columns))] for word in words]
