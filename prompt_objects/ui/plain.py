"""The plain interface, which never moves the cursor: a whole conversation on a dumb terminal."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from prompt_objects.chat.chat import Chat
from prompt_objects.runtime.events import Event, MessageSaved, Subscription, TextDelta, TurnEnded
from prompt_objects.ui.controller import Controller
from prompt_objects.ui.question import REST_SECONDS, Question
from prompt_objects.ui.render.events import WIDTH, headline
from prompt_objects.ui.render.sanitize import clean
from prompt_objects.ui.render.style import Line, plain
from prompt_objects.ui.render.text import paragraph
from prompt_objects.ui.render.transcript import Transcript
from prompt_objects.ui.tasks import BackgroundTasks
from prompt_objects.ui.watcher import run_maintenance

HEIGHT = 22


async def run_plain(chat: Chat) -> None:
    """Chat line by line until the user leaves; replies are written as they stream."""
    with chat.environment.bus.subscribe() as events, _Lines() as lines:
        await _PlainInterface(chat, events, lines).run()


class _Interrupted(Exception):
    """The user pressed Ctrl-C instead of typing a line."""


class _Lines:
    """Reads the typed lines without blocking the event loop.

    Ctrl-C interrupts reading a line, except during an `interrupting` block.
    """

    def __init__(self) -> None:
        self._stop = self._interrupt_line
        self._loop = asyncio.get_running_loop()
        self._typed = b""
        self._is_at_end = False
        self._is_interrupted = False
        self._arrived = asyncio.Event()

    def __enter__(self) -> Self:
        self._loop.add_reader(sys.stdin.fileno(), self._read)
        self._loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_signal_handler(signal.SIGINT)
        self._loop.remove_reader(sys.stdin.fileno())

    @contextmanager
    def interrupting(self, stop: Callable[[], None]) -> Iterator[None]:
        self._stop = stop
        try:
            yield
        finally:
            self._stop = self._interrupt_line

    def _on_interrupt(self) -> None:
        self._stop()

    def _interrupt_line(self) -> None:
        self._is_interrupted = True
        self._arrived.set()

    def _read(self) -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        self._typed += data
        if not data:
            self._is_at_end = True
            self._loop.remove_reader(sys.stdin.fileno())
        self._arrived.set()

    async def next_new(self, prompt: str) -> str:
        """Return the next line typed from now on; lines typed before stay for later."""
        _write(prompt)
        earlier, self._typed = self._typed, b""
        try:
            return await self.next() or ""
        finally:
            self._typed = earlier + self._typed

    async def next(self) -> str | None:
        """Return the next line, None at the end of the input; raises `_Interrupted`."""
        self._is_interrupted = False
        while b"\n" not in self._typed and not self._is_at_end:
            self._arrived.clear()
            await self._arrived.wait()
            if self._is_interrupted:
                raise _Interrupted
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode("utf-8", errors="replace") if line or not self._is_at_end else None


class _PlainInterface:
    """A `View` that only appends text."""

    can_edit = False
    width = WIDTH

    def __init__(self, chat: Chat, events: Subscription, lines: _Lines) -> None:
        self._chat = chat
        self._events = events
        self._lines = lines
        self._transcript = Transcript(lambda: chat.po.name)
        self._is_streaming = False
        self._headlines: list[Line] = []  # which wait for the end of a text
        self._is_closed = False
        self._defect: BaseException | None = None
        self._tasks = BackgroundTasks(self._fail)
        self._controller = Controller(chat, self, self._tasks)

    async def run(self) -> None:
        with self._controller.reporting_waits():
            await self._run()

    async def _run(self) -> None:
        self._controller.show_environment()
        await self._controller.show_recap()
        self._controller.show_notices()
        for work in (self._follow(), run_maintenance(self._chat, self.note)):
            self._tasks.spawn(work)
        if sys.stdin.isatty():  # without a terminal there is no user to ask
            self._chat.environment.interaction.handler = self._controller
        try:
            while not self._is_closed:
                await self._controller.watcher.poll()
                await self._handle_line()
        finally:
            await self._tasks.cancel()

    async def _handle_line(self) -> None:
        try:
            text = await self._read_message(self._controller.prompt(WIDTH))
        except _Interrupted:
            _print("")
            self._controller.interrupt()
        else:
            if text is None:
                _print("")
                self._controller.leave()
            else:
                self._controller.submit(text)
        with self._lines.interrupting(self._controller.interrupt):
            await self._controller.task.wait()
        if self._defect:
            raise self._defect

    async def _read_message(self, prompt: str) -> str | None:
        """Return a message, None at the end of the input; a backslash at the end of a line continues it."""
        parts: list[str] = []
        while True:
            _write(prompt)
            line = await self._lines.next()
            if line is None or not line.endswith("\\"):
                return "\n".join([*parts, line or ""]) if parts or line is not None else None
            parts.append(line[:-1])
            prompt = "… "

    def _fail(self, defect: BaseException) -> None:
        self._defect = defect

    def show(self, lines: Sequence[Line]) -> None:
        self._end_streaming()
        if lines:
            _print(plain(lines))

    def note(self, text: str) -> None:
        self.show(paragraph(text, WIDTH))

    def hint(self, text: str) -> None:
        if text:
            self.note(text)

    def echo(self, text: str, prompt: str = "", *, once_saved: bool = False) -> None:
        """Do nothing: the terminal has echoed the line."""

    def catch_up(self) -> None:
        for event in self._events.drain():
            self._show_event(event)

    def draft(self) -> str:
        return ""

    def set_draft(self, text: str, *, remember: bool = False) -> None:
        """Do nothing: the terminal has the input."""

    async def ask(self, question: Question) -> None:
        shown, hint = await question.draw(WIDTH, HEIGHT)
        self.show(shown)
        await asyncio.sleep(REST_SECONDS)  # a line that is being sent now is a message
        self.show(hint)
        question.is_open = True
        while not question.answer.done():
            problem = question.answer_with(await self._lines.next_new(question.prompt(WIDTH)))
            self.show(question.take_opened())
            self.hint(problem)

    def close(self) -> None:
        self._is_closed = True

    async def _follow(self) -> None:
        async for event in self._events:
            self._show_event(event)

    def _show_event(self, event: Event) -> None:
        """Write a reply as it streams, and everything else in whole blocks."""
        self._chat.handle(event)
        if event.depth == 0 and isinstance(event, TextDelta):
            if not self._is_streaming and event.po_name != self._chat.po.name:
                self.show([[("class:speaker", event.po_name)]])
            _write(event.text)
            self._is_streaming = True
            return
        if self._chat.shows_events:
            self._headlines += headline(event, WIDTH)
        is_end = event.depth == 0 and isinstance(event, (MessageSaved, TurnEnded))
        if is_end:
            self._end_streaming()
        if not (is_end and isinstance(event, MessageSaved)):
            self.show(self._transcript.draw(event, WIDTH))
        if self._headlines and not (self._is_streaming or self._transcript.is_writing):
            self.show(self._headlines)
            self._headlines = []

    def _end_streaming(self) -> None:
        if self._is_streaming:
            self._is_streaming = False
            _print("")


def _print(text: str) -> None:
    _write(f"{text}\n")


def _write(text: str) -> None:
    sys.stdout.write(clean(text))
    sys.stdout.flush()
