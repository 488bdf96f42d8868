"""What Enter, Ctrl-C and Ctrl-D do, which depends on what is under way and on what is asked."""

from prompt_toolkit.buffer import Buffer

from prompt_objects import commands
from prompt_objects.errors import NotFound, PromptObjectsError, UsageError
from prompt_objects.ui.asking import Asking
from prompt_objects.ui.conversation import Conversation
from prompt_objects.ui.footer import Footer
from prompt_objects.ui.sentences import HOW_TO_LEAVE, STILL_ANSWERING, STILL_BUSY, STOPS_ALL, TOO_EARLY
from prompt_objects.ui.stopping import OneStopped, is_at_work_for
from prompt_objects.ui.work import Work

__all__ = ["Actions"]


class Actions:
    """Hands what is typed to whom it is meant for; none of it may lose what was typed."""

    def __init__(
        self, conversation: Conversation, work: Work, asking: Asking, buffer: Buffer, footer: Footer
    ) -> None:
        self._conversation = conversation
        self._work = work
        self._asking = asking
        self._buffer = buffer
        self._footer = footer
        self._one_stopped = OneStopped()

    def enter(self) -> None:
        """Send the line, carry out the command, or answer the question."""
        text = _as_unicode(self._buffer.text)
        is_answer = self._asking.is_posed and not _is_command(text)
        if is_answer and self._asking.is_early:
            self._footer.say(TOO_EARLY)
        elif is_answer and self._asking.is_open:
            self._footer.say(self._asking.take(commands.command_or_message(text)[1]))
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
        is_command, meant = commands.command_or_message(text)
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
        running = chat.environment.running
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
    is_command, meant = commands.command_or_message(text)
    try:
        commands.find(meant)
    except NotFound:
        return False
    return is_command
