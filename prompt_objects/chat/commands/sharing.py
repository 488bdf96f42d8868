"""Commands for when somebody else is at a session."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.command import FreeText, SessionKey, command
from prompt_objects.chat.results import CommandResult, Send, Switched, Text, Watch
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import pluralize


@command("wait")
def wait(chat: Chat, message: FreeText | None = None) -> CommandResult:
    """Send a message, by default the one that was refused, as soon as nobody else is at the session.

    Ctrl-C stops waiting, and the message is back in the line.
    """
    text = message or chat.pending
    if not text:
        raise UsageError("There is no message that waits to be sent.", hint="Usage: /wait [message]")
    return Send(f"To be sent as soon as nobody else is at {chat.session.name}; Ctrl-C stops waiting.", text)


@command("branch")
def branch(chat: Chat, message: FreeText | None = None) -> CommandResult:
    """Go on in a copy of the session, and send a message there, by default the one that was refused.

    What somebody else is having answered at this moment is left out of the copy.
    """
    text = message or chat.pending
    chat.branch()
    told = f"Session {chat.session.name}, a branch with {pluralize(chat.session.message_count, 'message')}."
    return Send(told, text) if text else Switched(told)


@command("watch")
def watch(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Look on while somebody else is at a session, by default the current one.

    Each message is shown as it comes, until the session is free; Enter or Ctrl-C ends it before. A session in which
    one prompt object asks another at this moment can be looked at, too.
    """
    found = chat.find(session) if session else chat.session
    holder = chat.holder_of(found)
    if holder is None:
        return Text(f"Nobody else is at {found.name}.")
    return Watch(f"Looking on at {found.name}, in use by {holder}. Enter or Ctrl-C ends it.", found)
