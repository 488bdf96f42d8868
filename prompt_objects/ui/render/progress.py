"""One line for each call and notice, for output without a screen."""

from contextlib import suppress
from typing import TextIO

from prompt_objects.runtime.events import Event, ExternalMessages, Notice, ToolCallEnded, ToolCallStarted
from prompt_objects.ui.render import text as drawing
from prompt_objects.utils.text import pluralize

__all__ = [
    "ProgressLines",
]

WIDTH = 79


class ProgressLines:
    """Writes one line for each call and each notice, for the person who waits for the answer."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def show(self, event: Event) -> None:
        """Write what there is to say about an event, if anything, and if it can be written."""
        if self._file and (line := self._line(event)):
            with suppress(OSError, ValueError):  # full, broken or closed
                self._file.write(f"{line}\n")
                self._file.flush()

    def _line(self, event: Event) -> str:
        match event:
            case ToolCallStarted():
                (_, text), *_ = drawing.call(event.name, event.arguments, WIDTH - len(event.po_name))
                return f"{event.po_name} {text}"
            case ToolCallEnded():
                (_, text), *_ = drawing.result(event.result, event.seconds, WIDTH, failed=event.failed)
                return drawing.fit(f"  {text[:1]} {drawing.fit(event.name, WIDTH // 2)}: {text[2:]}", WIDTH)
            case ExternalMessages():
                return f"! From elsewhere: {pluralize(len(event.messages), 'message')}"
            case Notice():
                return drawing.fit(f"! {event.text}", WIDTH)
            case _:
                return ""
