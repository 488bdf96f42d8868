"""The line interface: one input line at the lower end of the terminal's own scrollback.

Finished lines are printed above the input and belong to the terminal from then on. Only unfinished lines, the input
and the status bar are redrawn.
"""

import asyncio
from typing import Any

from prompt_toolkit.utils import is_dumb_terminal

from prompt_objects.chat.chat import Chat
from prompt_objects.runtime.events import Subscription
from prompt_objects.ui.controller import Controller
from prompt_objects.ui.line.application import LineApplication
from prompt_objects.ui.line.input_line import edit_in_editor, make_buffer
from prompt_objects.ui.line.keys import make_bindings
from prompt_objects.ui.line.layout import live_height, make_layout, screen_size
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.line.view import LineView
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import fit, paragraph
from prompt_objects.ui.tasks import BackgroundTasks
from prompt_objects.ui.watcher import run_maintenance
from prompt_objects.utils.secrets import hide_secrets

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
    """Puts the parts of the line interface together, and runs its background tasks."""

    def __init__(self, chat: Chat, events: Subscription) -> None:
        self._chat = chat
        self._tasks = BackgroundTasks(self._fail)
        self._painted = asyncio.Event()
        self._app = LineApplication(editing_mode=chat.environment.config.editing_mode)
        self._app.after_render += lambda _: self._painted.set()
        self._status_bar = StatusBar(chat, self._app.invalidate)
        self._buffer = make_buffer(chat, changed=lambda: self._status_bar.set_hint(""))
        self._view = LineView(chat, events, self._app, self._buffer, self._status_bar)
        self._controller = Controller(chat, self._view, self._tasks)
        self._app.layout = make_layout(
            self._buffer, prompt=self._prompt, live=self._live, status_bar=self._status_bar.line
        )
        self._app.key_bindings = make_bindings(
            self._controller,
            self._buffer,
            lambda: self._tasks.spawn(edit_in_editor(self._buffer, self._view.printer, self._view.hint)),
        )
        chat.environment.interaction.handler = self._controller

    def _note_unhandled(self, _: asyncio.AbstractEventLoop, unhandled: dict[str, Any]) -> None:
        cause = unhandled.get("exception") or unhandled.get("message")
        self._view.note(hide_secrets(f"Unexpected error: {cause!r}"))

    async def run(self) -> None:
        """Show the interface until the user leaves; running tasks are stopped in good order."""
        try:
            with self._controller.reporting_waits(), self._app.reading():
                await self._app.run_async(pre_run=self._begin, set_exception_handler=False)
        finally:
            await self._tasks.cancel()
            if self._buffer.text.strip():
                self._buffer.append_to_history()

    def _begin(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._note_unhandled)
        for work in (self._view.follow(), self._view.tick(), self._warm_up()):
            self._tasks.spawn(work)

    async def _warm_up(self) -> None:
        """Load what the first message needs, and begin the background work, once the user can type."""
        await self._painted.wait()
        self._controller.show_environment()
        await self._controller.show_recap(at_start=True)
        from prompt_objects.ui.render import markdown

        await asyncio.to_thread(markdown.warm_up)
        for text in await asyncio.to_thread(self._chat.warm_up):
            self._view.show(paragraph(text, self._view.width, "class:hint"))
        self._controller.show_notices()
        self._status_bar.refresh()
        for work in (self._watch(), run_maintenance(self._chat, self._view.note)):
            self._tasks.spawn(work)

    async def _watch(self) -> None:
        """Show what other processes do in the session, unless the user sees it anyway."""
        watcher = self._controller.watcher
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not self._view.is_growing and not self._controller.task.is_watching:
                await watcher.poll()
                self._status_bar.refresh(watcher.problem)

    def _fail(self, defect: BaseException) -> None:
        if self._app.is_running:
            self._app.exit(exception=defect)

    def _prompt(self) -> str:
        return self._controller.prompt(self._view.width)

    def _live(self) -> list[Line]:
        """Draw the running turns, and the messages that they have not read yet."""
        columns, _ = screen_size()
        height = live_height(self._buffer, self._prompt(), is_asking=self._controller.question is not None)
        turns = self._chat.environment.active_turns
        messages = [f"you → {turn.po_name}: {text}" for turn in turns for text in turn.waiting]
        unread: list[Line] = [[("class:status", fit(message, columns))] for message in messages]
        return [*self._view.live(columns, max(height - len(unread), 1)), *unread, []]
