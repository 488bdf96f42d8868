"""The line interface: one input line at the lower end of the terminal's own scrollback.

What is finished is printed above the input and is the terminal's from then on; only what is not finished, the input
and the toolbar are drawn again and again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from prompt_toolkit.application import Application, get_app_session
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.utils import is_dumb_terminal

from prompt_objects import commands
from prompt_objects.bus import Event, MessageSaved, Subscription
from prompt_objects.chat import Chat
from prompt_objects.commands.outcome import Again, Leave, Moved, Outcome, Question, Said
from prompt_objects.errors import PromptObjectsError
from prompt_objects.ui import drawing, toolbar
from prompt_objects.ui.completer import CommandCompleter
from prompt_objects.ui.history import TypedHistory
from prompt_objects.ui.keys import make_bindings
from prompt_objects.ui.layout import entry_height, make_layout, screen_size
from prompt_objects.ui.outcome import LOOKED_BACK, draw, last_exchange
from prompt_objects.ui.style import STYLE, Line
from prompt_objects.ui.transcript import Transcript

__all__ = ["run"]

REDRAW_SECONDS = 1 / 30
ESCAPE_SECONDS = 0.05
"""How long a key that begins with Escape, such as an arrow, may take to arrive."""
PREFIX_SECONDS = 1.0
STATUS_SECONDS = 1.0
STILL_ANSWERING = "still answering: Ctrl-C stops it"
HOW_TO_LEAVE = "Ctrl-D leaves"
UNCHANGED = "Nothing was changed."
_BEGIN_UPDATE, _END_UPDATE = "\x1b[?2026h", "\x1b[?2026l"


async def run(chat: Chat) -> None:
    """Chat until the person leaves; a terminal that cannot move its cursor gets the plain interface."""
    if is_dumb_terminal():
        from prompt_objects.ui.plain import run_plain

        await run_plain(chat)
        return
    with chat.environment.bus.subscribe() as news:
        await Repl(chat, news).run()


class Repl:
    """The state of the screen, and what the keys set off."""

    def __init__(self, chat: Chat, news: Subscription) -> None:
        self.chat = chat
        self._news = news
        self._transcript = Transcript()
        self._pending: list[Line] = []
        self._work: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering = False
        self._question: Question | None = None
        self._unsaved = ""
        self._leaving = False
        self._elsewhere = False
        self._hint = ""
        self._facts = toolbar.facts(chat)
        self._painted = asyncio.Event()
        self.buffer = self._make_buffer()
        self.app = self._make_application()

    async def run(self) -> None:
        """Show the screen until the person leaves; what is under way then is stopped in good order."""
        try:
            await self.app.run_async(pre_run=self._begin)
        finally:
            if self.buffer.text.strip():
                self.buffer.append_to_history()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self) -> None:
        for work in (self._follow(), self._tick(), self._warm_up()):
            self._spawn(work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something go on beside the screen; a defect in it ends the program instead of passing unseen."""

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) and self.app.is_running:
                self.app.exit(exception=error)

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)
        return task

    # What the keys set off

    def enter(self) -> None:
        """Send the line, carry out the command, or answer the question."""
        text = self.buffer.text
        if self._work:
            self._say_below(STILL_ANSWERING if self._answering else "still busy")
        elif self._question:
            self.buffer.reset()
            self._answer(self._question, text)
        elif text.strip():
            self.buffer.reset(append_to_history=True)
            self._print(["", *drawing.said(self._prompt(), text, self._width)])
            self._take(_as_unicode(text))

    def interrupt(self) -> None:
        """Stop the reply; else clear the line, which Up brings back; else say how to leave."""
        if self._work:
            self._stop(self._work)
        elif self._question:
            self._answer(self._question, "")
        elif self.buffer.text:
            self.buffer.reset(append_to_history=True)
        else:
            self._say_below(HOW_TO_LEAVE)

    def leave(self) -> None:
        """Leave once what is under way has stopped."""
        if self._question:
            self._answer(self._question, "")
        elif self._work:
            self._leaving = True
            self._stop(self._work)
        else:
            self.app.exit()

    def edit(self) -> None:
        """Open the line in $EDITOR; what is printed meanwhile waits until it is closed."""

        async def editing() -> None:
            self._elsewhere = True
            try:
                await self.buffer.open_in_editor()
            finally:
                self._elsewhere = False
                self._flush()

        self._spawn(editing())

    # Messages and commands

    def _take(self, text: str) -> None:
        is_command, meant = commands.command_or_message(text)
        if is_command:
            self._start(self._carry_out(lambda: commands.run(self.chat, meant)), answering=False)
        else:
            self._unsaved = text
            self._start(self._turn(lambda: self.chat.say(meant)), answering=True)

    def _answer(self, question: Question, text: str) -> None:
        self._question = None
        agreed = text.strip().casefold() in {"y", "yes"}
        self._print(drawing.said("[y/N] ", text, self._width))
        self._start(self._carry_out(question.yes if agreed else lambda: Said(UNCHANGED)), answering=False)

    def _start(self, work: Coroutine[Any, Any, None], *, answering: bool) -> None:
        self._answering = answering
        self._work = self._spawn(work)
        self._work.add_done_callback(lambda _: self._idle())

    def _stop(self, work: asyncio.Task[None]) -> None:
        """Stop a reply, once; a command is too short to be stopped, and would be left half done."""
        if self._answering:
            self._answering = False
            work.cancel()

    def _idle(self) -> None:
        self._work, self._answering, self._hint = None, False, ""
        self._catch_up()
        self._tell()
        if self._unsaved and not self.buffer.text:
            self.buffer.document = Document(self._unsaved)  # it was not kept, so it is not lost either
        self._unsaved = ""
        self._facts = toolbar.facts(self.chat)
        self.app.invalidate()
        if self._leaving and self.app.is_running and not self.app.is_done:
            self.app.exit()

    async def _turn(self, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            await ask()
        except PromptObjectsError as error:
            self._catch_up()
            self._print(["", *drawing.error(str(error), error.hint, self._width)])

    async def _carry_out(self, command: Callable[[], Outcome]) -> None:
        try:
            outcome = await asyncio.to_thread(command)
        except PromptObjectsError as error:
            self._print(drawing.error(str(error), error.hint, self._width))
            return
        self._print(draw(outcome, self._width))
        match outcome:
            case Question():
                self._question = outcome
            case Moved():
                await self._recall()
            case Again():
                self._answering = True
                await self._turn(self.chat.retry)
            case Leave():
                self._leaving = True

    def _tell(self) -> None:
        for notice in self.chat.notices():
            self._print(drawing.sentence(notice, self._width, "class:notice"))

    async def _recall(self) -> None:
        """Show where the session was left, unless it has gone on meanwhile."""
        session = self.chat.session
        known = session.message_count
        messages = await asyncio.to_thread(session.tail, LOOKED_BACK)
        lines = await asyncio.to_thread(last_exchange, self.chat.po.name, messages, self._width)
        if lines and self.chat.session is session and session.message_count == known and not self._answering:
            self._print(["", *lines])

    # What is shown

    @property
    def _width(self) -> int:
        return self.app.output.get_size().columns

    def _prompt(self) -> str:
        if self._question:
            return "[y/N] "
        return drawing.prompt(self.chat.po.name, self._width)

    def _live(self) -> list[Line]:
        columns, rows = screen_size()
        typed = entry_height(self.buffer.text, self._prompt())
        height = rows - typed - 3  # a blank line above the input, the toolbar below, the row that is scrolled in
        return [*self._transcript.live(columns, max(height, 1)), []]

    def _toolbar(self) -> Line:
        columns, _ = screen_size()
        if self._hint:
            return [("class:toolbar.hint", drawing.cut(self._hint, columns))]
        return [("", toolbar.fitted(self._facts, columns))]

    def _say_below(self, hint: str) -> None:
        self._hint = hint
        self.app.invalidate()

    def _forget_hint(self) -> None:
        self._hint = ""

    def _print(self, lines: Sequence[Line | str]) -> None:
        """Print above the input, together with all else that waits to be printed."""
        self._pending += [[("", line)] if isinstance(line, str) else line for line in lines]
        self._transcript.separate()
        self._flush()

    def _flush(self) -> None:
        if self._elsewhere or not self._pending or not self.app.is_running:
            return
        lines, self._pending = self._pending, []
        with_breaks = [piece for line in lines for piece in (*line, ("", "\n"))]
        renderer, output = self.app.renderer, self.app.output
        output.write_raw(_BEGIN_UPDATE)
        renderer.erase()
        print_formatted_text(output, FormattedText(with_breaks), renderer.style, color_depth=self.app.color_depth)
        renderer.render(self.app, self.app.layout)
        output.write_raw(_END_UPDATE)
        output.flush()

    # What goes on by itself

    async def _follow(self) -> None:
        """Show what happens, at most so many times a second."""
        async for event in self._news:
            self._show(event)
            self._catch_up()
            await asyncio.sleep(REDRAW_SECONDS)

    def _catch_up(self) -> None:
        for event in self._news.drain():
            self._show(event)
        self._flush()
        self.app.invalidate()

    def _show(self, event: Event) -> None:
        if isinstance(event, MessageSaved):
            self._facts = toolbar.facts(self.chat)
            if event.depth == 0 and event.message.get("role") == "user":
                self._unsaved = ""
        self._pending += self._transcript.take(event, self._width)

    async def _tick(self) -> None:
        """Let the seconds of the status run on."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            if self._transcript.busy:
                self.app.invalidate()

    async def _warm_up(self) -> None:
        """Load what the first message needs, once the person can type."""
        await self._painted.wait()
        self._flush()
        from prompt_objects.ui import markdown

        await asyncio.to_thread(markdown.warm_up)
        await self._recall()
        for told in await asyncio.to_thread(self.chat.warm_up):
            self._print(drawing.sentence(told, self._width, "class:hint"))
        self._tell()
        self._facts = toolbar.facts(self.chat)
        self.app.invalidate()

    # How it is put together

    def _make_buffer(self) -> Buffer:
        return Buffer(
            name=DEFAULT_BUFFER,
            multiline=True,
            completer=ThreadedCompleter(CommandCompleter(self.chat)),
            complete_while_typing=True,
            history=TypedHistory(self.chat.environment.data_dir / "history"),
            on_text_changed=lambda _: self._forget_hint(),
            tempfile_suffix=".md",
        )

    def _make_application(self) -> Application[None]:
        modes = {"emacs": EditingMode.EMACS, "vi": EditingMode.VI}
        app: Application[None] = Application(
            layout=make_layout(self.buffer, prompt=self._prompt, live=self._live, toolbar=self._toolbar),
            style=STYLE,
            include_default_pygments_style=False,
            key_bindings=make_bindings(self),
            editing_mode=modes[self.chat.environment.config.editing_mode],
            min_redraw_interval=REDRAW_SECONDS,
            erase_when_done=True,
            reverse_vi_search_direction=True,
            output=_silent_output(),
        )
        app.ttimeoutlen = ESCAPE_SECONDS
        app.key_processor.after_key_press += lambda _: self._set_patience()
        app.after_render += lambda _: self._painted.set()
        return app

    def _set_patience(self) -> None:
        """Wait for a second key only briefly where the first is Escape, which may be meant by itself."""
        waiting = self.app.key_processor.key_buffer
        escape = bool(waiting) and waiting[0].key == Keys.Escape
        self.app.timeoutlen = ESCAPE_SECONDS if escape else PREFIX_SECONDS


def _silent_output() -> Output:
    """Return the terminal, not to be asked where its cursor is: each answer would cost a round trip."""
    output = get_app_session().output
    if hasattr(output, "enable_cpr"):
        output.enable_cpr = False
    return output


def _as_unicode(text: str) -> str:
    """Replace what is no text: a terminal can send it, but no message can hold it."""
    return text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")
