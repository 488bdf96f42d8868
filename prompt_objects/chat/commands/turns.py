"""Commands about turns: running, stopped, interrupted and answered ones."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import FreeText, command
from prompt_objects.chat.results import CommandResult, Retry, Table, Text
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import arrow_path, pluralize, time_ago


@command("running", anytime=True)
def running(chat: Chat) -> CommandResult:
    """List the running turns of this program: the path of prompt objects, the session, the start.

    A message typed now goes to the turn in the current session, which reads it before its next step; `@name message`
    goes to another one. /session switch switches to the session of a turn, /stop stops it.
    """
    turns = list(chat.environment.active_turns)
    rows = [(arrow_path(turn.path), turn.session.name, time_ago(turn.since)) for turn in turns]
    here = [turn.session.id for turn in turns]
    mark = here.index(chat.session.id) if chat.session.id in here else None
    return Table("Running turns", ("path", "session", "started"), rows, mark)


@command("stop", anytime=True)
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


@command("continue")
def continue_(_chat: Chat) -> CommandResult:
    """Resume the last turn if it was interrupted before its answer; its results so far are kept.

    The model is told which calls have an unknown outcome. /retry answers the message again instead.
    """
    return Retry(resume=True)


@command("retry")
def retry(_chat: Chat) -> CommandResult:
    """Answer the last message again.

    The old answer stays in the session's file, but is no longer part of the conversation.
    """
    return Retry(resume=False)
