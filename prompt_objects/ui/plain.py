"""Drawing without moving the cursor: a whole conversation on a dumb terminal, and notes beside a shell's output."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Self

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import CommandResult, Confirm, Quit, Retry, Send, Switched, Watch
from prompt_objects.errors import PromptObjectsError
from prompt_objects.runtime.events import (
    Event,
    MessageSaved,
    Subscription,
    TextDelta,
    TurnEnded,
)
from prompt_objects.runtime.interaction import ApprovalRequest, Decision, InputRequest
from prompt_objects.ui.render import questions
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.events import headline
from prompt_objects.ui.render.progress import WIDTH
from prompt_objects.ui.render.questions import REST_SECONDS
from prompt_objects.ui.render.recap import recap
from prompt_objects.ui.render.results import draw
from prompt_objects.ui.render.sanitize import clean
from prompt_objects.ui.render.style import Line, plain
from prompt_objects.ui.render.transcript import Transcript
from prompt_objects.ui.watcher import SessionWatcher, keep_up

__all__ = [
    "run_plain",
]

HEIGHT = 22


async def run_plain(chat: Chat) -> None:
    """Chat line by line until the person leaves; what comes of a reply is written as it comes."""
    with chat.environment.bus.subscribe() as news, _Lines() as lines:
        await _Conversation(chat, news, lines).run()


class _Interrupted(Exception):
    """Ctrl-C was pressed instead of a line."""


class _Lines:
    """The lines that are typed, read without holding up the event loop.

    Ctrl-C calls `stop` where there is something to stop; else it interrupts the line.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._typed = b""
        self._ended = False
        self._arrived = asyncio.Event()
        self._interrupted = False
        self.stop: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self._loop.add_reader(sys.stdin.fileno(), self._read)
        self._loop.add_signal_handler(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_signal_handler(signal.SIGINT)
        self._loop.remove_reader(sys.stdin.fileno())

    def _interrupt(self) -> None:
        if self.stop:
            self.stop()
        else:
            self._interrupted = True
            self._arrived.set()

    def _read(self) -> None:
        piece = os.read(sys.stdin.fileno(), 65536)
        self._typed += piece
        if not piece:
            self._ended = True
            self._loop.remove_reader(sys.stdin.fileno())
        self._arrived.set()

    async def fresh(self, prompt: str) -> str | None:
        """Return what is typed from now on; lines that were typed before it was asked for are left for later."""
        _write(prompt)
        earlier, self._typed = self._typed, b""
        try:
            return await self.next()
        finally:
            self._typed = earlier + self._typed

    async def next(self) -> str | None:
        """Return the next line, None once there are no more; raises `_Interrupted`."""
        self._interrupted = False
        while b"\n" not in self._typed and not self._ended:
            self._arrived.clear()
            await self._arrived.wait()
            if self._interrupted:
                raise _Interrupted
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode("utf-8", errors="replace") if line or not self._ended else None


class _Conversation:
    """A chat without a screen."""

    def __init__(self, chat: Chat, news: Subscription, lines: _Lines) -> None:
        self._chat = chat
        self._news = news
        self._lines = lines
        self._transcript = Transcript(lambda: chat.po.name)
        self._onlooker = SessionWatcher(chat, self._show_lines, lambda: WIDTH)
        self._speaking = False
        self._done = False

    async def run(self) -> None:
        """Take line after line."""
        self._recall()
        self._tell()
        upkeep = asyncio.create_task(keep_up(self._chat, lambda told: _print(f"\n{told}")))
        if sys.stdin.isatty():  # where nobody types, nobody is asked
            self._chat.environment.interaction.handler = self
        try:
            await self._converse()
        finally:
            upkeep.cancel()

    async def _converse(self) -> None:
        while not self._done:
            await self._onlooker.look()
            try:
                text = await self._ask(drawing.prompt(self._chat.po.name, WIDTH))
            except _Interrupted:
                _print("\nCtrl-D leaves.")
                continue
            if text is None:
                _print("")
                return
            is_command, meant = commands.parse_input(text)
            if is_command:
                await self._carry_out(partial(commands.run, self._chat, meant))
            elif meant.strip():
                await self._turn(self._chat.send(meant))
            self._tell()

    async def _ask(self, prompt: str) -> str | None:
        """Read a message, or None at the end; a line that ends in a backslash goes on in the next one."""
        parts: list[str] = []
        while True:
            _write(prompt)
            line = await self._lines.next()
            if line is None or not line.endswith("\\"):
                return "\n".join([*parts, line or ""]) if parts or line is not None else None
            parts.append(line[:-1])
            prompt = "… "

    async def _turn(self, work: Awaitable[object]) -> None:
        turn = asyncio.ensure_future(work)
        self._lines.stop = turn.cancel
        following = asyncio.create_task(self._follow())
        try:
            await asyncio.wait([turn])
        finally:
            self._lines.stop = None
            turn.cancel()
            following.cancel()
            await asyncio.gather(turn, following, return_exceptions=True)
            self._catch_up()
        if not turn.cancelled() and (error := turn.exception()):
            self._fail(error)

    async def _carry_out(self, command: Callable[[], CommandResult]) -> None:
        try:
            outcome = await asyncio.to_thread(command)
        except PromptObjectsError as error:
            self._fail(error)
            return
        self._show_lines(draw(outcome, WIDTH))
        match outcome:
            case Confirm():
                await self._carry_out(partial(commands.confirm, outcome, await self._agreement()))
            case Switched():
                self._recall()
            case Send():
                await self._turn(self._chat.send(outcome.message, wait=None))
            case Watch():
                await self._turn(self._onlooker.watch(outcome.session))
            case Retry():
                await self._turn(self._chat.retry() if outcome.anew else self._chat.resume())
            case Quit():
                self._done = True

    async def _agreement(self) -> str:
        try:
            return await self._ask("[y/N] ") or ""
        except _Interrupted:
            _print("")
            return ""

    async def approve(self, request: ApprovalRequest) -> Decision:  # arguments are not edited here
        meaning = questions.approval_hint(request, editable=False)
        await self._begin_asking(questions.approval_lines(request, WIDTH, HEIGHT), meaning)
        prompt = questions.subject(request, WIDTH // 2) + questions.FREE_PROMPT
        while True:
            answer = questions.answer_for(request, await self._lines.fresh(prompt) or "")
            if answer is not None:
                return answer
            _print("One of: y, s, n, never." if request.for_session else "One of: y, n, never.")

    async def ask(self, request: InputRequest) -> str:
        await self._begin_asking(questions.input_lines(request, WIDTH, HEIGHT), questions.input_hint(request))
        return await self._lines.fresh(questions.FREE_PROMPT) or ""

    async def _begin_asking(self, lines: list[Line], meaning: str) -> None:
        """Show a question, and let a line that is just being sent go where it was meant to go."""
        self._catch_up()
        if self._speaking:
            self._speaking = False
            _print("")
        self._show_lines(lines)
        await asyncio.sleep(REST_SECONDS)
        self._show_lines(drawing.paragraph(meaning, WIDTH))

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, PromptObjectsError):
            raise error
        self._show_lines(drawing.error(str(error), error.hint, WIDTH))

    def _tell(self) -> None:
        for notice in self._chat.notices():
            self._show_lines(drawing.paragraph(notice, WIDTH))

    def _recall(self) -> None:
        self._show_lines(recap(self._chat.po.name, self._chat.session, WIDTH))

    async def _follow(self) -> None:
        async for event in self._news:
            self._show(event)

    def _catch_up(self) -> None:
        for event in self._news.drain():
            self._show(event)

    def _show(self, event: Event) -> None:
        """Write the answer as it comes, and all else in whole blocks."""
        self._chat.handle(event)
        if event.depth == 0 and isinstance(event, TextDelta):
            if not self._speaking and event.po_name != self._chat.po.name:
                self._show_lines([[("class:speaker", event.po_name)]])
            _write(event.text)
            self._speaking = True
            return
        is_end = isinstance(event, (MessageSaved, TurnEnded)) and event.depth == 0
        if self._speaking and (is_end or self._chat.news):
            self._speaking = False
            _print("")
        if self._chat.news:
            self._show_lines(headline(event, WIDTH))
        if event.depth == 0 and isinstance(event, MessageSaved):
            return
        self._show_lines(self._transcript.take(event, WIDTH))

    def _show_lines(self, lines: list[Line]) -> None:
        if lines:
            _print(plain(lines))


def _print(text: str) -> None:
    _write(f"{text}\n")


def _write(text: str) -> None:
    sys.stdout.write(clean(text))
    sys.stdout.flush()
