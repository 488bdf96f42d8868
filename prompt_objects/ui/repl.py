"""The line interface: one input line at the lower end of the terminal's own scrollback.

What is finished is printed above the input and is the terminal's from then on; only what is not finished, the input
and the toolbar are drawn again and again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.utils import is_dumb_terminal

from prompt_objects import approval, commands
from prompt_objects.bus import Event, MessageSaved, Subscription
from prompt_objects.chat import Chat
from prompt_objects.commands.outcome import Again, Leave, Moved, Outcome, Question, Send, Watch
from prompt_objects.errors import Busy, NotFound, PromptObjectsError, Stopped, UsageError
from prompt_objects.person import Inquiry
from prompt_objects.ui import drawing, toolbar
from prompt_objects.ui.application import REDRAW_SECONDS, LineApplication
from prompt_objects.ui.asking import Asking
from prompt_objects.ui.beside import beside
from prompt_objects.ui.completer import CommandCompleter
from prompt_objects.ui.history import TypedHistory
from prompt_objects.ui.keys import make_bindings
from prompt_objects.ui.layout import entry_height, make_layout, screen_size
from prompt_objects.ui.news import headline
from prompt_objects.ui.onlooker import Onlooker
from prompt_objects.ui.outcome import draw
from prompt_objects.ui.recall import recalled
from prompt_objects.ui.rest import Rest
from prompt_objects.ui.screen import Screen
from prompt_objects.ui.stopping import OneStopped, is_at_work_for
from prompt_objects.ui.style import Line
from prompt_objects.ui.transcript import Transcript
from prompt_objects.ui.upkeep import keep_up

__all__ = ["run"]

LIVE_WHILE_ASKING = 4
"""What part of the screen what is live may take while a question is to be read: a fourth."""
STATUS_SECONDS = 1.0
LOOK_SECONDS = 1.0
STILL_ANSWERING = "still answering: Ctrl-C stops it"
HOW_TO_LEAVE = "Ctrl-D leaves"
NOT_SENT = "Your last message was not sent; Up brings it back."
STOPS_ALL = "Ctrl-C again stops all"
TOO_EARLY = "The question has only just come up: look at it first."
INTERRUPTED = "Interrupted before it was answered: /continue goes on from there, /retry answers the message anew."
CLEAR_FIRST = "Your message is back in the line; Ctrl-C clears it for that."


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
        self._work: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering = False
        self._watching = False
        self._sending = ""
        self._question: Question | None = None
        self._gives_back = False
        self._leaving = False
        self._hint = ""
        self._rest = Rest()
        self._one_stopped = OneStopped()
        self._facts = toolbar.facts(chat)
        self._painted = asyncio.Event()
        self.buffer = self._make_buffer()
        self.app = self._make_application()
        self._screen = Screen(self.app)
        self._asking = Asking(lambda: self.buffer, self._print, self._rest.taken)
        chat.environment.approvals.ask = self._ask
        chat.environment.person.ask = self._inquire
        self._onlooker = Onlooker(chat, self._print, lambda: self._screen.width)

    async def run(self) -> None:
        """Show the screen until the person leaves; what is under way then is stopped in good order."""
        try:
            await self.app.run_async(pre_run=self._begin)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self.buffer.text.strip():
                self.buffer.append_to_history()

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
        is_answer = self._asking.is_posed and not _is_command(text)
        if is_answer and self._asking.is_early:
            self._say_below(TOO_EARLY)
        elif is_answer and self._asking.is_open:
            self._say_below(self._asking.take(_as_unicode(commands.command_or_message(text)[1])))
        elif self._work and self._watching:
            self._stop(self._work)
        elif self._work:
            self._meanwhile(_as_unicode(text))
        elif self._question:
            self.buffer.reset()
            self._answer(self._question, text)
        elif text.strip():
            self.buffer.reset(append_to_history=True)
            self._print([[], *drawing.said(self._prompt(), text, self._screen.width)])
            self._take(_as_unicode(text))

    def interrupt(self) -> None:
        """Stop the reply; else clear the line, which Up brings back; else say how to leave."""
        if self._work and self._interrupt_one():
            return
        if self._work:
            self._stop(self._work)
        elif self._question:
            self._answer(self._question, "")
        elif self.buffer.text:
            self.buffer.reset(append_to_history=True)
        else:
            self._say_below(HOW_TO_LEAVE)

    def _interrupt_one(self) -> bool:
        """In the session of one that was asked, stop it alone, or say no to another one; False elsewhere."""
        running, session_id = self.chat.environment.running, self.chat.session.id
        turn = next((turn for turn in self.chat.turns() if len(turn.path) > 1), None)
        if turn and self._asking.is_open and not is_at_work_for(running, self._asking.session_id, turn):
            self._asking.dismiss()
        elif not turn or not self._one_stopped.stop(turn):
            if not self._one_stopped.was_meant(session_id, is_ending=turn is not None):
                return False
            self._say_below(STOPS_ALL)
        return True

    def leave(self) -> None:
        """Leave once what is under way has stopped."""
        if self._question:
            self._answer(self._question, "")
        elif self._work:
            self._leaving = True
            self._stop(self._work)
        else:
            self._exit()

    def _exit(self) -> None:
        self._screen.finish()
        self.app.exit()

    @property
    def is_asking(self) -> bool:
        """Say whether the person is asked something while a reply goes on."""
        return self._asking.is_open

    def dismiss(self) -> None:
        """Leave what is asked without an answer."""
        self._asking.dismiss()

    def edit(self) -> None:
        """Open the line in $EDITOR; what is printed meanwhile waits until it is closed."""

        async def editing() -> None:
            from prompt_objects.ui.editor import edited

            with self._screen.taken():
                try:
                    text = await edited(self.buffer.text)
                except PromptObjectsError as error:
                    self._say_below(str(error))
                else:
                    self.buffer.document = Document(text)

        self._spawn(editing())

    # Messages and commands

    def _take(self, text: str) -> None:
        is_command, meant = commands.command_or_message(text)
        if is_command:
            self._start(self._carry_out(partial(commands.run, self.chat, meant)), answering=False)
        else:
            self.chat.pending = meant  # already here: a Ctrl-C may come before anything else
            self._gives_back = True
            self._start(self._turn(partial(self.chat.say, meant)), answering=True)

    def _meanwhile(self, text: str) -> None:
        """Take what is typed while an answer is under way: a word for whoever is at it, or a command."""
        if not self._answering or not text.strip():
            self._say_below(STILL_ANSWERING if self._answering else "still busy")
            return
        is_command, meant = commands.command_or_message(text)
        try:
            if not is_command:
                self.chat.steer(meant)
            elif not commands.find(meant)[0].anytime:
                raise UsageError(f"Not now: {STILL_ANSWERING}.")
        except PromptObjectsError as error:
            self._say_below(f"{error} {error.hint}".rstrip())
            return
        self.buffer.reset(append_to_history=True)
        if is_command:
            at = drawing.prompt(self.chat.po.name, self._screen.width)  # also where something is asked
            self._print([[], *drawing.said(at, text, self._screen.width)])
            self._spawn(self._aside(meant))

    async def _aside(self, line: str) -> None:
        """Carry out a command while an answer is under way."""
        if isinstance(await self._outcome(partial(commands.run, self.chat, line)), Moved):
            await self._recall()
        self._note_facts()

    def _answer(self, question: Question, text: str) -> None:
        self._question = None
        self._print(drawing.said("[y/N] ", text, self._screen.width))
        self._start(self._carry_out(partial(commands.answer, question, text)), answering=False)

    async def _ask(self, question: approval.Question) -> approval.Answer:
        self._catch_up()
        try:
            return await self._asking.ask(question, self._screen.width, self._room())
        finally:
            self.app.invalidate()

    async def _inquire(self, inquiry: Inquiry) -> str:
        self._catch_up()
        try:
            return await self._asking.inquire(inquiry, self._screen.width, self._room())
        finally:
            self.app.invalidate()

    def _room(self) -> int:
        """Return the rows that a question may take so that all of it is on the screen together with what is live."""
        rows = self.app.output.get_size().rows
        return rows - rows // LIVE_WHILE_ASKING - 3

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
        self._work, self._answering, self._watching, self._sending, self._hint = None, False, False, "", ""
        self._catch_up()
        self._tell()
        if self._gives_back and not self.buffer.text:
            self.buffer.document = Document(commands.typed(self.chat.pending))  # not kept, and so not lost either
        elif self._gives_back and self.chat.pending:
            self._note(NOT_SENT)
        self._gives_back = False
        self._note_facts()
        self.app.invalidate()
        if self._leaving and self.app.is_running and not self.app.is_done:
            self._exit()

    async def _turn(self, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            await ask()
        except Stopped:
            pass  # which is on the screen already
        except PromptObjectsError as error:
            self._catch_up()
            is_back = isinstance(error, Busy) and self._gives_back
            hint = f"{error.hint}\n{CLEAR_FIRST}" if is_back else error.hint
            self._print([[], *drawing.error(str(error), hint, self._screen.width)])

    async def _outcome(self, command: Callable[[], Outcome]) -> Outcome | None:
        """Carry out a command, and draw what comes of it; None where it failed."""
        try:
            outcome = await asyncio.to_thread(command)
        except PromptObjectsError as error:
            self._print(drawing.error(str(error), error.hint, self._screen.width))
            return None
        self._print(draw(outcome, self._screen.width))
        return outcome

    async def _carry_out(self, command: Callable[[], Outcome]) -> None:
        match outcome := await self._outcome(command):
            case Question():
                self._question = outcome
            case Moved():
                await self._recall()
            case Again():
                self._answering = True
                await self._turn(self.chat.retry if outcome.anew else self.chat.resume)
            case Send():
                self._answering = self._gives_back = True
                self._sending = outcome.message
                await self._turn(partial(self.chat.say, outcome.message, wait=None))
            case Watch():
                self._answering = self._watching = self._gives_back = True
                await self._turn(partial(self._onlooker.watch, outcome.session))
            case Leave():
                self._leaving = True

    def _tell(self) -> None:
        for notice in self.chat.notices():
            self._note(notice)

    def _note(self, text: str) -> None:
        self._print(drawing.sentence(text, self._screen.width, "class:notice"))

    async def _recall(self) -> None:
        """Show where the session was left, unless it has gone on meanwhile."""
        session = self.chat.session
        known = session.message_count
        lines = await beside(partial(recalled, self.chat.po.name, session, self._screen.width))
        is_idle = not self.chat.pending and not self.chat.turns()
        if lines and self.chat.session is session and session.message_count == known and is_idle:
            self._print([[], *lines])
            if await beside(self.chat.is_interrupted):
                self._note(INTERRUPTED)

    # What is shown

    def _prompt(self) -> str:
        if self._asking.is_open:
            return self._asking.prompt(self._screen.width)
        if self._question:
            return "[y/N] "
        return drawing.prompt(self.chat.po.name, self._screen.width)

    def _live(self) -> list[Line]:
        columns, rows = screen_size()
        typed = entry_height(self.buffer.text, self._prompt())
        height = rows - typed - 3  # a blank line above the input, the toolbar below, the row that is scrolled in
        part = LIVE_WHILE_ASKING if self._asking.is_posed else 2
        height = min(height, rows // part)  # what a lower window pushes into the scrollback cannot be erased there
        words = [f"you → {turn.po_name}: {text}" for turn in self.chat.environment.running for text in turn.waiting]
        unread: list[Line] = [[("class:status", drawing.cut(word, columns))] for word in words]
        return [*self._transcript.live(columns, max(height - len(unread), 1)), *unread, []]

    def _toolbar(self) -> Line:
        columns, _ = screen_size()
        if self._hint:
            return [("class:toolbar.hint", drawing.cut(self._hint, columns))]
        return [("", toolbar.fitted(self._facts, columns))]

    def _note_facts(self) -> None:
        """Have the toolbar say what is so now."""
        before, self._facts = self._facts, toolbar.facts(self.chat, self._onlooker.trouble)
        if self._facts != before:
            self.app.invalidate()

    def _say_below(self, hint: str) -> None:
        self._hint = hint
        self.app.invalidate()

    def _print(self, lines: Sequence[Line]) -> None:
        """Print above the input, together with all else that waits to be printed."""
        self._screen.add(lines)
        self._transcript.separate()
        self._screen.flush()

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
        self._screen.flush()
        self.app.invalidate()

    def _show(self, event: Event) -> None:
        self.chat.hear(event)
        if isinstance(event, MessageSaved):
            self._note_facts()
            if self._sending and not self.chat.pending:  # it is not on the screen yet, or what came since is below it
                self._screen.add([[], *drawing.said(self._prompt(), self._sending, self._screen.width)])
                self._sending = ""
        self._screen.add(self._transcript.take(event, self._screen.width))
        if self.chat.news and (lines := headline(event, self._screen.width)):
            self._screen.add(lines)
            self._transcript.separate()

    async def _tick(self) -> None:
        """Let the seconds of the status run on."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            if self._transcript.busy:
                self.app.invalidate()

    async def _look_around(self) -> None:
        """Show what others add to the session, and who is at it, unless we are."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._transcript.busy or self._watching:
                continue
            await self._onlooker.look()
            self._note_facts()

    async def _warm_up(self) -> None:
        """Load what the first message needs, once the person can type."""
        await self._painted.wait()
        self._screen.flush()
        from prompt_objects.ui import markdown

        await asyncio.to_thread(markdown.warm_up)
        await self._recall()
        for told in await asyncio.to_thread(self.chat.warm_up):
            self._print(drawing.sentence(told, self._screen.width, "class:hint"))
        self._tell()
        self._note_facts()
        for work in (self._look_around(), keep_up(self.chat, self._note)):
            self._spawn(work)

    # How it is put together

    def _make_buffer(self) -> Buffer:
        return Buffer(
            name=DEFAULT_BUFFER,
            multiline=True,
            completer=ThreadedCompleter(CommandCompleter(self.chat)),
            complete_while_typing=True,
            history=TypedHistory(self.chat.environment.data_dir / "history"),
            on_text_changed=lambda _: self._say_below(""),
        )

    def _make_application(self) -> LineApplication:
        app = LineApplication(
            layout=make_layout(self.buffer, prompt=self._prompt, live=self._live, toolbar=self._toolbar),
            key_bindings=make_bindings(self),
            editing_mode=self.chat.environment.config.editing_mode,
        )
        app.key_processor.before_key_press += lambda _: self._rest.touch()
        app.after_render += lambda _: self._painted.set()
        return app


def _as_unicode(text: str) -> str:
    """Replace what is no text: a terminal can send it, but no message can hold it."""
    return text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")


def _is_command(text: str) -> bool:
    """Say whether a line names a command that there is; another one that begins with a slash may be a path."""
    is_command, meant = commands.command_or_message(text)
    try:
        commands.find(meant)
    except NotFound:
        return False
    return is_command
