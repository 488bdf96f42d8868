"""Commands for sessions that another process uses."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import FreeText, SessionKey, command
from prompt_objects.chat.results import CommandResult, Send, Switched, Text, Watch
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import pluralize


@command("wait")
def wait(chat: Chat, message: FreeText | None = None) -> CommandResult:
    """Send a message, by default the refused one, as soon as no other process uses the session.

    Ctrl-C stops waiting and puts the message back into the input.
    """
    text = message or chat.pending
    if not text:
        raise UsageError("There is no message to send.", hint="Usage: /wait [message]")
    return Send(f"Waiting until {chat.session.name} is free; Ctrl-C stops waiting.", text)


@command("branch")
def branch(chat: Chat, message: FreeText | None = None) -> CommandResult:
    """Switch to a copy of the session, and send a message there, by default the refused one.

    A message that another process is answering at this moment is left out of the copy.
    """
    text = message or chat.pending
    chat.branch()
    summary = f"Session {chat.session.name}, a branch with {pluralize(chat.session.message_count, 'message')}."
    return Send(summary, text) if text else Switched(summary)


@command("watch")
def watch(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Show the messages of a session, by default the current one, while another process uses it.

    Each message is shown as it comes, until the session is free; Enter or Ctrl-C stops watching. The session of a
    running delegation can be watched, too.
    """
    found = chat.find(session) if session else chat.session
    holder = chat.holder_of(found)
    if holder is None:
        return Text(f"No other process uses {found.name}.")
    return Watch(f"Watching {found.name}, in use by {holder}. Enter or Ctrl-C stops watching.", found)
