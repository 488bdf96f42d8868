"""The line interface: one input line at the lower end of the terminal's own scrollback.

Finished lines are printed above the input and belong to the terminal from then on. Only unfinished lines, the input
and the status bar are redrawn.
"""

import asyncio
from collections.abc import Sequence

from prompt_toolkit.document import Document
from prompt_toolkit.utils import is_dumb_terminal

from prompt_objects.chat.chat import Chat
from prompt_objects.runtime.events import Subscription
from prompt_objects.ui.controller import Controller
from prompt_objects.ui.line import dialogs
from prompt_objects.ui.line.application import LineApplication, Printer
from prompt_objects.ui.line.input_line import edit_in_editor, make_buffer
from prompt_objects.ui.line.keys import make_bindings
from prompt_objects.ui.line.layout import live_height, make_layout, question_height, screen_size
from prompt_objects.ui.line.scrollback import Scrollback
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.question import Question
from prompt_objects.ui.render import text as render_text
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.tasks import BackgroundTasks
from prompt_objects.ui.watcher import run_maintenance

__all__ = ["run"]

WATCH_SECONDS = 1.0


async def run(chat: Chat) -> None:
    """Chat until the user leaves; a terminal that cannot move its cursor gets the plain interface."""
    if is_dumb_terminal():
        from prompt_objects.ui.plain import run_plain

        await run_plain(chat)
        return
    with chat.environment.bus.subscribe() as events:
        await LineInterface(chat, events).run()


class LineInterface:
    """The line interface: a `View` with an input line, and a status bar below it."""

    can_edit = True

    def __init__(self, chat: Chat, events: Subscription) -> None:
        self._chat = chat
        self._pause = dialogs.TypingPause()
        self._painted = asyncio.Event()
        self._tasks = BackgroundTasks(self._fail)
        self._app = LineApplication(editing_mode=chat.environment.config.editing_mode)
        self._app.key_processor.before_key_press += lambda _: self._pause.touch()
        self._app.after_render += lambda _: self._painted.set()
        self._printer = Printer(self._app)
        self._status_bar = StatusBar(chat, self._app.invalidate)
        self._buffer = make_buffer(chat, changed=lambda: self.hint(""))
        self._scrollback = Scrollback(self._printer, chat, events, self._status_bar, self._app.invalidate)
        self._controller = Controller(chat, self, self._tasks)
        self._app.layout = make_layout(
            self._buffer, prompt=self._prompt, live=self._live, status_bar=self._status_bar.line
        )
        self._app.key_bindings = make_bindings(self._controller, self._edit)
        chat.environment.interaction.handler = self._controller

    async def run(self) -> None:
        """Show the interface until the user leaves; running tasks are stopped in good order."""
        try:
            await self._app.run_async(pre_run=self._begin)
        finally:
            await self._tasks.cancel()
            if self._buffer.text.strip():
                self._buffer.append_to_history()

    def _begin(self) -> None:
        for work in (self._scrollback.follow(), self._scrollback.tick(), self._warm_up()):
            self._tasks.spawn(work)

    async def _warm_up(self) -> None:
        """Load what the first message needs, and begin the background work, once the user can type."""
        await self._painted.wait()
        self._printer.flush()
        from prompt_objects.ui.render import markdown

        await asyncio.to_thread(markdown.warm_up)
        await self._controller.show_recap()
        for text in await asyncio.to_thread(self._chat.warm_up):
            self.show(render_text.paragraph(text, self.width, "class:hint"))
        self._controller.show_notices()
        self._status_bar.refresh()
        for work in (self._watch(), run_maintenance(self._chat, self.note)):
            self._tasks.spawn(work)

    async def _watch(self) -> None:
        """Show what other processes do in the session, unless the user sees it anyway."""
        watcher = self._controller.watcher
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not self._scrollback.is_growing and not self._controller.task.is_watching:
                await watcher.poll()
                self._status_bar.refresh(watcher.problem)

    def _edit(self) -> None:
        self._tasks.spawn(edit_in_editor(self._buffer, self._printer, self.hint))

    def _fail(self, defect: BaseException) -> None:
        if self._app.is_running:
            self._app.exit(exception=defect)

    # The view

    @property
    def width(self) -> int:
        return self._printer.width

    def show(self, lines: Sequence[Line]) -> None:
        self._scrollback.print(lines)

    def note(self, text: str) -> None:
        self._scrollback.note(text)

    def hint(self, text: str) -> None:
        self._status_bar.set_hint(text)

    def echo(self, text: str, prompt: str = "", *, once_saved: bool = False) -> None:
        if once_saved:
            self._scrollback.echo_once_saved(text)
        elif prompt:
            self.show(render_text.user_message(prompt, text, self.width))
        else:
            self._scrollback.echo(text)

    def catch_up(self) -> None:
        self._scrollback.catch_up()
        self._status_bar.refresh()

    def draft(self) -> str:
        return self._buffer.text

    def set_draft(self, text: str, *, remember: bool = False) -> None:
        self._buffer.reset(Document(text), append_to_history=remember)

    async def pose(self, question: Question) -> None:
        size = self.width, question_height(self._app.output.get_size().rows)
        try:
            with self._scrollback.held():
                await dialogs.pose(question, self._buffer, self.show, size, self._pause.taken)
        finally:
            self._app.invalidate()

    def close(self) -> None:
        if self._app.is_running and not self._app.is_done:
            self._printer.finish()
            self._app.exit()

    # Drawing

    def _prompt(self) -> str:
        return self._controller.prompt(self.width)

    def _live(self) -> list[Line]:
        """Draw what is being said and done, and the messages that running turns have not read yet."""
        columns, _ = screen_size()
        height = live_height(self._buffer.text, self._prompt(), is_asking=self._controller.question is not None)
        messages = [
            f"you → {turn.po_name}: {text}" for turn in self._chat.environment.active_turns for text in turn.waiting
        ]
        unread: list[Line] = [[("class:status", render_text.fit(message, columns))] for message in messages]
        return [*self._scrollback.live(columns, max(height - len(unread), 1)), *unread, []]
