"""The line interface: one input line at the lower end of the terminal's own scrollback.

What is finished is printed above the input and is the terminal's from then on; only what is not finished, the input
and the toolbar are drawn again and again.
"""

import asyncio

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.utils import is_dumb_terminal

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.runtime.events import Subscription
from prompt_objects.ui.line.actions import Actions
from prompt_objects.ui.line.application import LineApplication
from prompt_objects.ui.line.background import warm_up, watch_session
from prompt_objects.ui.line.completer import CommandCompleter
from prompt_objects.ui.line.conversation import Conversation
from prompt_objects.ui.line.dialogs import DialogPresenter, QuestionDialog, TypingPause
from prompt_objects.ui.line.editor import edit
from prompt_objects.ui.line.history import TypedHistory
from prompt_objects.ui.line.keys import make_bindings
from prompt_objects.ui.line.layout import make_layout
from prompt_objects.ui.line.printer import Printer
from prompt_objects.ui.line.scrollback import Scrollback
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.line.tasks import BackgroundTasks, ForegroundTask
from prompt_objects.ui.line.texts import NOT_SENT
from prompt_objects.ui.line.view import View
from prompt_objects.ui.watcher import SessionWatcher, keep_up

__all__ = [
    "run",
]


async def run(chat: Chat) -> None:
    """Chat until the person leaves; a terminal that cannot move its cursor gets the plain interface."""
    if is_dumb_terminal():
        from prompt_objects.ui.plain import run_plain

        await run_plain(chat)
        return
    with chat.environment.bus.subscribe() as news:
        await Repl(chat, news).run()


class Repl:
    """The parts of the line interface, put together, and what holds for all: its beginning, its pauses, its end."""

    def __init__(self, chat: Chat, news: Subscription) -> None:
        self._chat = chat
        self._rest = TypingPause()
        self._painted = asyncio.Event()
        self._tasks = BackgroundTasks(self._fail)
        self._work = ForegroundTask(self._tasks, self._pause, self._exit)
        self._app = self._make_application()
        self._screen = Printer(self._app)
        self._footer = StatusBar(chat, self._app.invalidate)
        self._buffer = self._make_buffer()
        self._scrollback = Scrollback(self._screen, chat, news, self._footer, self._app.invalidate)
        self._onlooker = SessionWatcher(chat, self._scrollback.print, lambda: self._screen.width)
        self._asking = QuestionDialog(lambda: self._buffer, self._scrollback.print, self._rest.taken)
        self._furnish(Conversation(chat, self._scrollback, self._footer, self._onlooker, self._work))

    def _make_application(self) -> LineApplication:
        """Make what the parts print with, as yet without what is drawn and without keys, which are made of them."""
        app = LineApplication(editing_mode=self._chat.environment.config.editing_mode)
        app.key_processor.before_key_press += lambda _: self._rest.touch()
        app.after_render += lambda _: self._painted.set()
        return app

    def _make_buffer(self) -> Buffer:
        return Buffer(
            name=DEFAULT_BUFFER,
            multiline=True,
            completer=ThreadedCompleter(CommandCompleter(self._chat)),
            complete_while_typing=True,
            history=TypedHistory(self._chat.environment.data_dir / "history"),
            on_text_changed=lambda _: self._footer.say(""),
        )

    def _furnish(self, conversation: Conversation) -> None:
        """Have the conversation drawn, the keys work on it, and the person asked in it."""
        view = View(conversation, self._scrollback, self._asking, self._buffer)
        actions = Actions(conversation, self._work, self._asking, self._buffer, self._footer)
        self._app.layout = make_layout(self._buffer, prompt=view.prompt, live=view.live, toolbar=self._footer.line)
        self._app.key_bindings = make_bindings(actions, self._asking, self._edit)
        presenter = DialogPresenter(self._asking, self._scrollback, self._app)
        self._chat.environment.interaction.handler = presenter

    async def run(self) -> None:
        """Show the screen until the person leaves; what is under way then is stopped in good order."""
        try:
            await self._app.run_async(pre_run=self._begin)
        finally:
            await self._tasks.cancel()
            if self._buffer.text.strip():
                self._buffer.append_to_history()

    def _begin(self) -> None:
        for work in (self._scrollback.follow(), self._scrollback.tick(), self._go_on()):
            self._tasks.spawn(work)

    async def _go_on(self) -> None:
        """Begin with what the person need not wait for, once they can type."""
        await self._painted.wait()
        self._screen.flush()
        await warm_up(self._chat, self._scrollback, self._footer)
        looking = watch_session(self._onlooker, self._footer, self._is_ours)
        for work in (looking, keep_up(self._chat, self._scrollback.note)):
            self._tasks.spawn(work)

    def _is_ours(self) -> bool:
        """Say whether what comes to the session now is seen anyway."""
        return self._scrollback.is_growing or self._work.is_watching

    def _edit(self) -> None:
        self._tasks.spawn(edit(self._buffer, self._screen, self._footer.say))

    def _pause(self) -> None:
        """Tell all there is to tell when something has ended, and give back a message that was not sent."""
        self._footer.say("")
        self._scrollback.catch_up()
        self._scrollback.say_once_saved("")
        self._scrollback.note_all()
        if self._work.kind.gives_back and not self._buffer.text:
            self._buffer.document = Document(commands.escape(self._chat.pending))  # not kept, and so not lost either
        elif self._work.kind.gives_back and self._chat.pending:
            self._scrollback.note(NOT_SENT)
        self._footer.refresh()

    def _exit(self) -> None:
        if self._app.is_running and not self._app.is_done:
            self._screen.finish()
            self._app.exit()

    def _fail(self, defect: BaseException) -> None:
        """End the program rather than have a defect pass unseen."""
        if self._app.is_running:
            self._app.exit(exception=defect)
