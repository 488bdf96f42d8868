"""Commands about turns: those that are under way, and one that was interrupted."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.command import FreeText, command
from prompt_objects.chat.results import CommandResult, Retry, Table, Text
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import arrow_path, pluralize, time_ago


@command("running", anytime=True)
def running(chat: Chat) -> CommandResult:
    """List the turns under way in this program: who asked whom, in which session, since when.

    A message typed now is read by the one in the current session before it goes on; `@name message` goes to another.
    /session switch goes to its session, /stop stops it.
    """
    turns = list(chat.environment.active_turns)
    rows = [(arrow_path(turn.path), turn.session.name, time_ago(turn.since)) for turn in turns]
    here = [turn.session.id for turn in turns]
    mark = here.index(chat.session.id) if chat.session.id in here else None
    return Table("Under way", ("who", "session", "began"), rows, mark)


@command("stop", anytime=True)
def stop(chat: Chat, name: FreeText | None = None) -> CommandResult:
    """Stop what a prompt object is doing, and that alone: whoever asked it is told so, and goes on.

    The name is that of a prompt object or of a session; left out, it is the current session. What was said is kept.
    """
    turns = chat.turns(name)
    if not turns:
        raise UsageError(f"{name or chat.session.name} is not at work.", hint="/running lists who is.")
    for turn in turns:
        turn.stop()
    names = ", ".join(dict.fromkeys(turn.po_name for turn in turns))
    return Text(f"Stopped: {names}" + (f", {pluralize(len(turns), 'turn')}." if len(turns) > 1 else "."))


@command("continue")
def continue_(_chat: Chat) -> CommandResult:
    """Go on where the last turn was interrupted before it answered; what it had done counts.

    Calls whose result was lost are told to the model as of unknown outcome. /retry answers the message anew instead.
    """
    return Retry(anew=False)
