"""Commands about turns: running, interrupted and answered ones, and those of other processes."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import FreeText, SessionKey, slash_command
from prompt_objects.chat.results import CommandResult, Retry, Send, Switched, Table, Text, Watch
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import arrow_path, pluralize
from prompt_objects.utils.time import time_ago

TITLE = "Turns"


@slash_command("running", anytime=True, aliases=("ps", "tasks"))
def running(chat: Chat) -> CommandResult:
    """List the running turns of this program: the path of prompt objects, the session, the start.

    A message typed now goes to the turn in the current session, which reads it before its next step; `@name message`
    goes to another one. /po switches to a prompt object and the session of its turn, /stop stops a turn.
    """
    turns = list(chat.environment.active_turns)
    rows = [(arrow_path(turn.path), turn.session.name, time_ago(turn.since)) for turn in turns]
    here = [turn.session.id for turn in turns]
    mark = here.index(chat.session.id) if chat.session.id in here else None
    return Table("Running turns", ("path", "session", "started"), rows, mark)


@slash_command("stop", anytime=True, is_common=True, aliases=("cancel", "abort"))
def stop(chat: Chat, name: FreeText | None = None) -> CommandResult:
    """Stop the running turns of a prompt object or a session, by default of the current session.

    Only these turns stop: a caller gets an error as the result and continues. The text written so far is kept.
    """
    turns = chat.turns(name)
    if not turns:
        target = name or chat.session.name
        raise UsageError(f"{target} has no turn running.", hint="/running lists the running turns.")
    for turn in turns:
        turn.stop()
    names = ", ".join(dict.fromkeys(turn.po_name for turn in turns))
    return Text(f"Stopped: {names}" + (f", {pluralize(len(turns), 'turn')}." if len(turns) > 1 else "."))


@slash_command("continue", suggested_for=("resume",))
def continue_(_chat: Chat) -> CommandResult:
    """Resume the last turn if it was interrupted before its answer; its results so far are kept.

    If the outcome of a call is unknown, its result says so. /retry replies to the message again instead.
    """
    return Retry(resume=True)


@slash_command("retry", is_common=True, aliases=("regenerate", "redo"))
def retry(_chat: Chat) -> CommandResult:
    """Answer the last message again.

    The old answer stays in the session's file, but is no longer part of the conversation.
    """
    return Retry(resume=False)


# Sessions that another process uses


@slash_command("wait")
def wait(chat: Chat, message: FreeText | None = None) -> CommandResult:
    """Send a message, by default the refused one, as soon as no other process uses the session.

    Ctrl-C stops waiting and puts the message back into the input.
    """
    text = message or chat.pending
    if not text:
        raise UsageError("There is no message to send.", hint="Usage: /wait [message]")
    return Send(f"Waiting until {chat.session.name} is free; Ctrl-C stops waiting.", text)


@slash_command("branch")
def branch(chat: Chat, message: FreeText | None = None) -> CommandResult:
    """Switch to a copy of the session, and send a message there, by default the refused one.

    A message that another process is answering at this moment is left out of the copy.
    """
    text = message or chat.pending
    chat.branch()
    summary = f"Session {chat.session.name}, a branch with {pluralize(chat.session.message_count, 'message')}."
    return Send(summary, text) if text else Switched(summary)


@slash_command("watch")
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
