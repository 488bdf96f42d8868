"""What Enter, Ctrl-C and Ctrl-D do, depending on what is in progress."""

from time import monotonic

from prompt_toolkit.buffer import Buffer

from prompt_objects.chat import commands
from prompt_objects.errors import NotFound, PromptObjectsError, UsageError
from prompt_objects.runtime.active_turns import ActiveTurn, ActiveTurns
from prompt_objects.ui.line.conversation import Conversation
from prompt_objects.ui.line.dialogs import QuestionDialog
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.line.tasks import ForegroundTask
from prompt_objects.ui.line.texts import HOW_TO_LEAVE, STILL_ANSWERING, STILL_BUSY, STOPS_ALL, TOO_EARLY

__all__ = [
    "Actions",
    "LastStop",
    "is_at_work_for",
]


class Actions:
    """Hands what is typed to whom it is meant for; none of it may lose what was typed."""

    def __init__(
        self,
        conversation: Conversation,
        work: ForegroundTask,
        asking: QuestionDialog,
        buffer: Buffer,
        footer: StatusBar,
    ) -> None:
        self._conversation = conversation
        self._work = work
        self._asking = asking
        self._buffer = buffer
        self._footer = footer
        self._one_stopped = LastStop()

    def enter(self) -> None:
        """Send the line, carry out the command, or answer the question."""
        text = _as_unicode(self._buffer.text)
        is_answer = self._asking.is_posed and not _is_command(text)
        if is_answer and self._asking.is_early:
            self._footer.say(TOO_EARLY)
        elif is_answer and self._asking.is_open:
            self._footer.say(self._asking.take(commands.parse_input(text)[1]))
        elif self._work.is_watching:
            self._work.stop()
        elif self._work.is_under_way:
            self._meanwhile(text)
        elif self._conversation.question:
            self._buffer.reset()
            self._conversation.answer(text)
        elif text.strip():
            self._buffer.reset(append_to_history=True)
            self._conversation.take(text)

    def _meanwhile(self, text: str) -> None:
        """Take what is typed while an answer is under way: a word for whoever is at it, or a command."""
        if not self._work.is_answering or not text.strip():
            self._footer.say(STILL_ANSWERING if self._work.is_answering else STILL_BUSY)
            return
        is_command, meant = commands.parse_input(text)
        try:
            if not is_command:
                self._conversation.chat.steer(meant)
            elif not commands.find(meant)[0].anytime:
                raise UsageError(f"Not now: {STILL_ANSWERING}.")
        except PromptObjectsError as error:
            self._footer.say(f"{error} {error.hint}".rstrip())
            return
        self._buffer.reset(append_to_history=True)
        if is_command:
            self._conversation.take_aside(meant, self._asking.repeat)

    def interrupt(self) -> None:
        """Stop the reply; else clear the line, which Up brings back; else say how to leave."""
        if self._work.is_under_way:
            if not self._interrupt_one():
                self._work.stop()
        elif self._conversation.question:
            self._conversation.answer("")
        elif self._buffer.text:
            self._buffer.reset(append_to_history=True)
        else:
            self._footer.say(HOW_TO_LEAVE)

    def _interrupt_one(self) -> bool:
        """In the session of one that was asked, stop it alone, or say no to another one; False elsewhere."""
        chat = self._conversation.chat
        turn = next((turn for turn in chat.turns() if len(turn.path) > 1), None)
        running = chat.environment.active_turns
        if turn and self._asking.is_open and not is_at_work_for(running, self._asking.session_id, turn):
            self._asking.dismiss()
        elif not turn or not self._one_stopped.stop(turn):
            if not self._one_stopped.was_meant(chat.session.id, is_ending=turn is not None):
                return False
            self._footer.say(STOPS_ALL)
        return True

    def leave(self) -> None:
        """Leave once what is under way has stopped; a question is answered with no first."""
        if self._conversation.question:
            self._conversation.answer("")
        else:
            self._work.leave()


def _as_unicode(text: str) -> str:
    """Replace what is no text: a terminal can send it, but no message can hold it."""
    return text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")


def _is_command(text: str) -> bool:
    """Say whether a line names a command that there is; another one that begins with a slash may be a path."""
    is_command, meant = commands.parse_input(text)
    try:
        commands.find(meant)
    except NotFound:
        return False
    return is_command


AGAIN_SECONDS = 1.0
"""How long after the end of the one that was stopped a Ctrl-C may still be meant for it."""


class LastStop:
    """The turn that was last stopped by itself."""

    def __init__(self) -> None:
        self._turn: ActiveTurn | None = None
        self._at = 0.0
        self._is_told = False

    def stop(self, turn: ActiveTurn) -> bool:
        """Stop a turn, and it alone; False where that was done before."""
        if turn is self._turn:
            return False
        turn.stop()
        self._turn, self._at, self._is_told = turn, monotonic(), False
        return True

    def was_meant(self, session_id: str, *, is_ending: bool) -> bool:
        """Say, once, whether a Ctrl-C in a session may be meant for the one that was stopped there."""
        if self._turn is None or self._turn.session.id != session_id or self._is_told:
            return False
        self._is_told = is_ending or monotonic() - self._at < AGAIN_SECONDS
        return self._is_told


def is_at_work_for(running: ActiveTurns, session_id: str, turn: ActiveTurn) -> bool:
    """Say whether what is under way in a session is a turn, or was asked for by it, directly or through others."""
    at = running.in_session(session_id)
    for _ in range(len(at.path) - len(turn.path) if at else 0):
        parent = at.session.parent if at else None
        at = running.in_session(parent.session) if parent else None
    return at is turn
