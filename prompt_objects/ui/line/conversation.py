"""What the person says and commands, carried out."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import CommandResult, Confirm, Quit, Retry, Send, Switched, Watch
from prompt_objects.errors import Busy, PromptObjectsError, Stopped
from prompt_objects.ui.line.application import REDRAW_SECONDS
from prompt_objects.ui.line.background import show_recap
from prompt_objects.ui.line.scrollback import Scrollback
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.line.tasks import ForegroundTask, TaskKind
from prompt_objects.ui.line.texts import CLEAR_FIRST
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.results import draw
from prompt_objects.ui.watcher import SessionWatcher

__all__ = [
    "YES_OR_NO",
    "Conversation",
]

YES_OR_NO = "[y/N] "


class Conversation:
    """A chat in which one thing at a time is under way, and what comes of each is printed.

    `question` is what a command asks before it goes on, None where none does.
    """

    def __init__(
        self, chat: Chat, scrollback: Scrollback, footer: StatusBar, onlooker: SessionWatcher, work: ForegroundTask
    ) -> None:
        self.chat = chat
        self.question: Confirm | None = None
        self._scrollback = scrollback
        self._footer = footer
        self._onlooker = onlooker
        self._work = work

    def take(self, text: str) -> None:
        """Send a message, or carry out a command, while nothing is under way."""
        self._scrollback.say(text)
        is_command, meant = commands.parse_input(text)
        if is_command:
            self._work.start(self._carry_out(partial(commands.run, self.chat, meant)), TaskKind.COMMAND)
        else:
            self.chat.pending = meant  # already here: a Ctrl-C may come before anything else
            self._work.start(self._turn(partial(self.chat.send, meant)), TaskKind.MESSAGE)

    def take_aside(self, line: str, then: Callable[[], None]) -> None:
        """Carry out a command while an answer is under way, `then` do what is to be done below what comes of it."""
        self._scrollback.say(line)
        self._work.aside(self._aside(line, then))

    def answer(self, text: str) -> None:
        """Answer the question of a command; all but a plain yes is a no."""
        question, self.question = self.question, None
        if question:
            self._scrollback.print(drawing.user_message(YES_OR_NO, text, self._scrollback.width))
            self._work.start(self._carry_out(partial(commands.confirm, question, text)), TaskKind.COMMAND)

    async def _aside(self, line: str, then: Callable[[], None]) -> None:
        if isinstance(await self._outcome(partial(commands.run, self.chat, line)), Switched):
            await show_recap(self.chat, self._scrollback)
        await asyncio.sleep(REDRAW_SECONDS)  # in which a question goes that came of what was stopped just now
        then()
        self._footer.refresh()

    async def _carry_out(self, command: Callable[[], CommandResult]) -> None:
        match outcome := await self._outcome(command):
            case Confirm():
                self.question = outcome
            case Switched():
                await show_recap(self.chat, self._scrollback)
            case Retry():
                await self._turn_into(TaskKind.ANSWER, self.chat.retry if outcome.anew else self.chat.resume)
            case Send():
                self.chat.pending = outcome.message
                self._scrollback.say_once_saved(outcome.message)
                await self._turn_into(TaskKind.MESSAGE, partial(self.chat.send, outcome.message, wait=None))
            case Watch():
                await self._turn_into(TaskKind.WATCH, partial(self._onlooker.watch, outcome.session))
            case Quit():
                self._work.leave()

    async def _outcome(self, command: Callable[[], CommandResult]) -> CommandResult | None:
        """Carry out a command, and print what comes of it; None where it failed."""
        try:
            outcome = await asyncio.to_thread(command)
        except PromptObjectsError as error:
            self._scrollback.print(drawing.error(str(error), error.hint, self._scrollback.width))
            return None
        self._scrollback.print(draw(outcome, self._scrollback.width))
        return outcome

    async def _turn_into(self, kind: TaskKind, ask: Callable[[], Awaitable[object]]) -> None:
        """Have a command go on as a turn, unless the person has stopped it, or left, meanwhile."""
        self._work.become(kind)
        await asyncio.sleep(0)  # where it ends if it is stopped: nothing of the turn has begun
        await self._turn(ask)

    async def _turn(self, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            await ask()
        except Stopped:
            pass  # which is on the screen already
        except PromptObjectsError as error:
            self._scrollback.catch_up()
            is_back = isinstance(error, Busy) and self._work.kind.gives_back
            hint = f"{error.hint}\n{CLEAR_FIRST}" if is_back else error.hint
            self._scrollback.print([[], *drawing.error(str(error), hint, self._scrollback.width)])
