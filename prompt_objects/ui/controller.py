"""One conversation, as every user interface drives it: input, the foreground task, command results, questions."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import CommandResult, Confirm, Quit, Retry, Send, Switched, Watch
from prompt_objects.errors import NotFound, PromptObjectsError, Stopped, UsageError
from prompt_objects.runtime.interaction import ApprovalRequest, Decision, InputRequest
from prompt_objects.ui.render import text as render_text
from prompt_objects.ui.render.messages import recap
from prompt_objects.ui.render.results import draw_result
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.stopping import LastStop, works_for
from prompt_objects.ui.tasks import BackgroundTasks, ForegroundTask, TaskKind
from prompt_objects.ui.watcher import SessionWatcher
from prompt_objects.utils import waiting
from prompt_objects.utils.concurrency import run_in_daemon_thread
from prompt_objects.utils.resources import named_exhaustion
from prompt_objects.utils.text import valid_unicode
from prompt_objects.utils.user_folders import abbreviated

if TYPE_CHECKING:
    from prompt_objects.ui.question import Question

STILL_REPLYING = "still replying: Ctrl-C stops it"
CONFIRM_PROMPT = "[y/N] "
REDRAW_SECONDS = 1 / 30


class View(Protocol):
    """A user interface, as the controller uses it: plain output, the line interface, the full screen."""

    can_edit: bool
    """Whether the view has an input whose text can be replaced."""

    @property
    def width(self) -> int:
        """The columns of the terminal."""

    def show(self, lines: Sequence[Line]) -> None:
        """Show lines below everything shown so far."""

    def note(self, text: str) -> None:
        """Show a notice; while a question is open, after its answer."""

    def hint(self, text: str) -> None:
        """Show a short hint in place of the previous one; an empty text removes it."""

    def echo(self, text: str, prompt: str = "", *, once_saved: bool = False) -> None:
        """Show what the user typed at a prompt; with `once_saved`, a message as soon as it is saved."""

    def catch_up(self) -> None:
        """Show all events up to now, and the present state of the session."""

    def draft(self) -> str:
        """Return the text in the input."""

    def set_draft(self, text: str, *, remember: bool = False) -> None:
        """Replace the text in the input; `remember` keeps the old text in the history."""

    async def ask(self, question: "Question") -> None:
        """Show a question, open it once the user can have seen it, and wait until it is answered."""

    def close(self) -> None:
        """End the user interface."""


class Controller:
    """Handles what the user types, one foreground task at a time; nothing that was typed may be lost.

    `confirmation` is the open question of a command, `question` the open question of a prompt object.
    """

    def __init__(self, chat: Chat, view: View, tasks: BackgroundTasks) -> None:
        self.chat = chat
        render_text.Prose.max_width = chat.environment.config.prose_width
        self.confirmation: Confirm | None = None
        self.question: Question | None = None
        self.watcher = SessionWatcher(chat, view.show, lambda: view.width)
        self.task = ForegroundTask(tasks, self._task_ended, view.close)
        self._view = view
        self._tasks = tasks
        self._last_stop = LastStop()
        self._is_refused = False
        self._has_asked_to_leave = False
        self._shown: set[tuple[str, int]] = set()  # sessions whose end was shown, with the messages they had

    @property
    def open_question(self) -> "Question | None":
        """The question that the input answers now."""
        return self.question if self.question and self.question.is_open else None

    def prompt(self, width: int) -> str:
        if question := self.open_question:
            return question.prompt(width)
        return CONFIRM_PROMPT if self.confirmation else render_text.object_prompt(self.chat.po.name, width)

    @contextmanager
    def reporting_waits(self) -> Iterator[None]:
        """Tell the user what other processes the work in a block waits for."""
        loop = asyncio.get_running_loop()

        def report(text: str) -> None:  # in any thread, perhaps after the end
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._show_wait, text)

        with waiting.work(report):
            yield

    def _show_wait(self, text: str) -> None:
        if text:
            self._view.note(text)
        self._view.hint("Ctrl-C gives up, Ctrl-D leaves" if text else "")

    # Input

    def submit(self, text: str) -> None:
        text = valid_unicode(text)
        self._has_asked_to_leave = False
        question = None if _is_command(text) else self.question
        if question and question.is_early:
            self._view.hint("A question has just appeared: read it first.")
        elif question and question.is_open:
            self._answer(question, text)
        elif self.task.is_watching:
            self.task.stop()
        elif self.task.is_running:
            self._submit_meanwhile(text)
        elif self.confirmation:
            self._view.set_draft("")
            self._confirm(text)
        elif text.strip():
            self._view.set_draft("", remember=True)
            self._start(text)

    def interrupt(self) -> None:
        """Stop the answer; else clear the input; else say how to leave."""
        self._has_asked_to_leave = False
        if self.task.is_running:
            if not self._interrupt_one():
                self.task.stop()
        elif self.confirmation:
            self._confirm("")
        elif self._view.draft():
            self._view.set_draft("", remember=True)
        else:
            self._view.hint("Ctrl-D leaves")

    def leave(self) -> None:
        """Answer an open confirmation with no; else leave, but during a task only if the user repeats it."""
        if self.confirmation:
            self._confirm("")
        elif self._view.draft():
            self._view.hint("Ctrl-C clears the input; then Ctrl-D leaves")
        elif self.task.is_running and not self.task.is_watching and not self._has_asked_to_leave:
            self._has_asked_to_leave = True
            self._view.hint("Leave? Ctrl-D again stops what is running, and leaves")
        else:
            self.task.leave()

    def _start(self, text: str) -> None:
        self._is_refused = False
        self._view.echo(text)
        is_command, text = commands.parse_input(text)
        if is_command:
            self.task.start(self._run_command(partial(commands.run, self.chat, text)), TaskKind.COMMAND)
        elif question := commands.question_about(self.chat, text):
            self.task.start(self._run_command(lambda: question), TaskKind.COMMAND)
        else:
            self.chat.pending = text  # now, since Ctrl-C may come before the task begins
            self.task.start(self._run_turn(partial(self.chat.send, text)), TaskKind.MESSAGE)

    def _submit_meanwhile(self, text: str) -> None:
        """Steer the running turn, or run a command that is allowed during a turn."""
        if not self.task.is_answering or not text.strip():
            self._view.hint(STILL_REPLYING if self.task.is_answering else "still busy")
            return
        is_command, text = commands.parse_input(text)
        try:
            if not is_command and commands.question_about(self.chat, text):
                raise UsageError(f"Not now: {STILL_REPLYING}.")
            if not is_command:
                self.chat.steer(text)
            elif not commands.find(text)[0].anytime:
                raise UsageError(f"Not now: {STILL_REPLYING}.")
        except PromptObjectsError as error:
            self._view.hint(f"{error} {error.hint}".rstrip())
            return
        self._view.set_draft("", remember=True)
        if is_command:
            self._view.echo(text)
            self._tasks.spawn(self._run_meanwhile(text))

    def _interrupt_one(self) -> bool:
        """In a delegate's session, stop that turn only, or deny the question of another one; else return False."""
        turn = next((turn for turn in self.chat.turns() if len(turn.path) > 1), None)
        active_turns = self.chat.environment.active_turns
        question = self.open_question
        if turn and question and not works_for(active_turns, question.request.session_id, turn):
            question.dismiss()
        elif not turn or not self._last_stop.stop(turn):
            if not self._last_stop.is_repeat(self.chat.session.id, is_ending=turn is not None):
                return False
            self._view.hint("Ctrl-C again stops all")
        return True

    # Commands and turns

    async def _run_meanwhile(self, line: str) -> None:
        if isinstance(await self._result_of(partial(commands.run, self.chat, line)), Switched):
            await self.show_recap()
        await asyncio.sleep(REDRAW_SECONDS)  # the question of a turn that the command stopped disappears
        if self.question:
            self._view.show(self.question.shown)
        self._view.catch_up()

    async def _run_command(self, command: Callable[[], CommandResult]) -> None:
        match result := await self._result_of(command):
            case Confirm():
                self.confirmation = result
            case Switched():
                await self.show_recap()
            case Retry():
                await self._continue_as(TaskKind.ANSWER, self.chat.resume if result.resume else self.chat.retry)
            case Send():
                self.chat.pending = result.message
                self._view.echo(result.message, once_saved=True)
                await self._continue_as(TaskKind.MESSAGE, partial(self.chat.send, result.message, wait=None))
            case Watch():
                await self._continue_as(TaskKind.WATCH, partial(self.watcher.watch, result.session))
            case Quit():
                self.task.leave()

    async def _result_of(self, command: Callable[[], CommandResult]) -> CommandResult | None:
        try:
            with named_exhaustion():
                result = await asyncio.to_thread(command)
        except PromptObjectsError as error:
            self._view.show(render_text.error_lines(str(error), error.hint, self._view.width))
            return None
        self._view.show(draw_result(result, self._view.width))
        return result

    async def _continue_as(self, kind: TaskKind, turn: Callable[[], Awaitable[object]]) -> None:
        """Continue a command as a turn, unless the user has stopped it in the meantime."""
        self.task.become(kind)
        await asyncio.sleep(0)  # a stopped task ends here, before the turn begins
        await self._run_turn(turn)

    async def _run_turn(self, turn: Callable[[], Awaitable[object]]) -> None:
        try:
            with named_exhaustion():
                await turn()
        except Stopped:
            pass  # the view has shown it
        except PromptObjectsError as error:
            self._view.catch_up()
            hint = error.hint
            if self.chat.pending and self.task.kind.restores_input and self._view.can_edit:
                self._is_refused = True  # the input stays free for the command that solves the problem
                hint = f"{hint}\nUp puts your message back into the input.".lstrip()
            self._view.show([[], *render_text.error_lines(str(error), hint, self._view.width)])

    def _confirm(self, text: str) -> None:
        confirmation, self.confirmation = self.confirmation, None
        if confirmation:
            self._view.echo(text, CONFIRM_PROMPT)
            self.task.start(self._run_command(partial(commands.confirm, confirmation, text)), TaskKind.COMMAND)

    def _task_ended(self) -> None:
        """Show the remaining events and notices, and give back a message that was not sent."""
        self._has_asked_to_leave = False
        self._view.hint("")
        self._view.catch_up()
        self._view.echo("", once_saved=True)
        self.show_notices()
        if self.task.kind in {TaskKind.MESSAGE, TaskKind.ANSWER}:
            self._shown.add((self.chat.session.id, self.chat.session.message_count))
        is_unsent = self.chat.pending and not self._is_refused
        if is_unsent and self.task.kind.restores_input and self._view.can_edit:
            if not self._view.draft():
                self._view.set_draft(commands.escape(self.chat.pending))
            else:
                self._view.note("Your last message was not sent; Up restores it.")
        self._view.catch_up()

    def show_notices(self) -> None:
        """Show new notices about sessions."""
        for notice in self.chat.environment.take_notices():
            self._view.note(notice)

    def show_environment(self) -> None:
        """Show the folder of the environment, and how to get help."""
        text = f"{abbreviated(self.chat.environment.folder)} · /help lists the commands"
        self._view.show(render_text.paragraph(text, self._view.width, "class:hint"))

    async def show_recap(self, *, at_start: bool = False) -> None:
        """Show the last exchange of the session, unless it is on the screen already.

        It is not shown either if it has changed meanwhile, or the user was faster at start.
        """
        session = self.chat.session
        count = session.message_count
        if (session.id, count) in self._shown:
            return
        lines = await run_in_daemon_thread(partial(recap, self.chat.po.name, session, self._view.width))
        notice = await run_in_daemon_thread(partial(self.chat.po.change_notice, session))
        is_interrupted = await run_in_daemon_thread(self.chat.is_interrupted)
        is_busy = self.chat.is_pending_here or self.chat.turns() or (at_start and self.task.is_running)
        if lines and self.chat.session is session and session.message_count == count and not is_busy:
            self._shown.add((session.id, count))
            self._view.show([[], *lines])
            if notice:
                self._view.note(notice)
            if is_interrupted:
                self._view.note(
                    "The last turn was interrupted: /continue resumes it, /retry replies to the message again."
                )

    # The interaction handler

    async def approve(self, request: ApprovalRequest) -> Decision:
        return cast("Decision", await self._ask(request))

    async def ask(self, request: InputRequest) -> str:
        return str(await self._ask(request))

    async def _ask(self, request: ApprovalRequest | InputRequest) -> Any:
        from prompt_objects.ui.question import Question

        self.question = Question(request, editable=self._view.can_edit)
        self._view.catch_up()
        try:
            await self._view.ask(self.question)
            return self.question.answer.result()
        finally:
            self.question = None

    def _answer(self, question: "Question", text: str) -> None:
        was_editing = question.is_editing
        problem = question.answer_with(commands.parse_input(text)[1])
        if lines := question.take_opened():
            self._view.show(lines)
        if question.is_editing and not was_editing:
            self._view.set_draft(question.draft)
        elif not (question.is_editing and problem):  # wrong JSON stays, to be corrected
            self._view.set_draft("", remember=bool(problem))
        self._view.hint(problem)


def _is_command(text: str) -> bool:
    """Whether a line names an existing command; any other text that begins with a slash may be a path."""
    is_command, line = commands.parse_input(text)
    with suppress(NotFound):
        return is_command and bool(commands.find(line))
    return False
