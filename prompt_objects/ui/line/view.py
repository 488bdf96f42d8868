"""The line interface as the controller sees it: the text above the input, the input, the status bar."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.chat.chat import Chat
from prompt_objects.runtime.events import Event, MessageSaved, Subscription
from prompt_objects.runtime.interaction import InputRequest
from prompt_objects.ui.controller import REDRAW_SECONDS
from prompt_objects.ui.line.application import LineApplication, Printer
from prompt_objects.ui.line.input_line import InputBuffer
from prompt_objects.ui.line.layout import question_height
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.render.events import headline
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import fit, object_prompt, paragraph, user_message
from prompt_objects.ui.render.transcript import Transcript
from prompt_objects.utils.text import pluralize

if TYPE_CHECKING:
    from prompt_objects.ui.question import Question

STATUS_SECONDS = 1.0


class LineView:
    """Prints the events of turns, and other lines between them, above the input.

    While a question is open, events are held back, so that the question stays right above the input.
    """

    can_edit = True

    def __init__(
        self, chat: Chat, events: Subscription, app: LineApplication, buffer: InputBuffer, status_bar: StatusBar
    ) -> None:
        self.printer = Printer(app)
        self._chat = chat
        self._events = events
        self._app = app
        self._buffer = buffer
        self._status_bar = status_bar
        self._transcript = Transcript(lambda: chat.po.name)
        self._unsaved = ("", "")
        self._is_held = False
        self._held: list[Line] = []
        self._headlines: list[Line] = []  # which wait for the end of a text

    @property
    def width(self) -> int:
        return self.printer.width

    def show(self, lines: Sequence[Line]) -> None:
        self.printer.add(lines)
        if not self._is_held:  # while held, the lines are not between two events
            self._transcript.separate()
        self.printer.flush()

    def note(self, text: str) -> None:
        self._add(paragraph(text, self.width, "class:notice"))
        self._transcript.separate()
        self.printer.flush()

    def hint(self, text: str) -> None:
        self._status_bar.set_hint(text)

    def echo(self, text: str, prompt: str = "", *, once_saved: bool = False) -> None:
        if once_saved:
            self._unsaved = (self._chat.po.name, text)
        elif prompt:
            self.show(user_message(prompt, text, self.width))
        else:
            self.show(self._echo(self._chat.po.name, text))

    def _echo(self, po_name: str, text: str) -> list[Line]:
        return [[], *user_message(object_prompt(po_name, self.width), text, self.width)]

    def catch_up(self) -> None:
        for event in self._events.drain():
            self._take(event)
        self.printer.flush()
        self._status_bar.refresh()
        self._app.invalidate()

    def draft(self) -> str:
        return self._buffer.whole_text

    def set_draft(self, text: str, *, remember: bool = False) -> None:
        self._buffer.reset(Document(self._buffer.pastes.fold(text)), append_to_history=remember)

    async def ask(self, question: "Question") -> None:
        size = self.width, question_height(self._app.output.get_size().rows)
        try:
            with self._hold():
                await ask_in_input(question, self._buffer, self.show, size, self._app.pause.wait)
        finally:
            self._app.invalidate()

    def close(self) -> None:
        if self._app.is_running and not self._app.is_done:
            self.printer.finish()
            self._app.exit()

    @contextmanager
    def _hold(self) -> Iterator[None]:
        self._transcript.separate()
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            self.printer.add(self._held)
            self._held = []
            self.printer.flush()

    def _add(self, lines: Sequence[Line]) -> None:
        if self._is_held:
            self._held += lines
        else:
            self.printer.add(lines)

    # Events

    @property
    def is_growing(self) -> bool:
        return self._transcript.busy

    def live(self, width: int, height: int) -> list[Line]:
        """Draw the unfinished text and the running calls in at most `height` lines."""
        if not self._held or height == 1:
            return self._transcript.live(width, height, after_gap=self._is_held)
        waiting = fit(f"{pluralize(len(self._held), 'line')} shown after your answer", width)
        return [*self._transcript.live(width, height - 1, after_gap=True), [("class:status", waiting)]]

    async def follow(self) -> None:
        """Print events as they come, at most once per `REDRAW_SECONDS`."""
        async for event in self._events:
            self._take(event)
            self.catch_up()
            await asyncio.sleep(REDRAW_SECONDS)

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            if self.is_growing:
                self._app.invalidate()

    def _take(self, event: Event) -> None:
        self._chat.handle(event)
        if isinstance(event, MessageSaved) and self._unsaved[1] and not self._chat.pending:
            self._add(self._echo(*self._unsaved))
            self._unsaved = ("", "")
        self._add(self._transcript.draw(event, self.width))
        if self._chat.shows_events:
            self._headlines += headline(event, self.width)
        if self._headlines and not self._transcript.is_writing:
            self._add(self._headlines)
            self._headlines = []
            self._transcript.separate()


async def ask_in_input(
    question: "Question",
    buffer: Buffer,
    show: Callable[[Sequence[Line]], None],
    size: tuple[int, int],
    wait_for_pause: Callable[[], Awaitable[None]],
) -> None:
    """Show a question, take its answer from the input after `wait_for_pause`, and then restore the draft.

    Text typed before that belongs to the draft. A typed text that was not given as an answer goes into the
    history.
    """
    width, height = size
    shown, hint = await question.draw(width, height)
    question.shown += shown
    question.is_early = not buffer.text
    show(shown)
    await wait_for_pause()
    draft, buffer.document = buffer.document, Document()
    question.shown += hint
    question.is_early, question.is_open = False, True
    show(hint)
    try:
        await question.answer
    finally:
        question.is_open = False
        if buffer.text.strip() and buffer.text != question.draft:
            buffer.append_to_history()
        buffer.reset(draft)  # with the history as it is now
    if isinstance(question.request, InputRequest):
        show(user_message(question.prompt(width), question.answer.result(), width))
