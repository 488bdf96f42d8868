"""Commands about events and traces."""

from typing import Annotated, TypeAlias

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import SessionKey, command
from prompt_objects.chat.results import CommandResult, ShowTrace, Text

Switch: TypeAlias = Annotated[str, ("on", "off")]


@command("trace", anytime=True)
def trace(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Show the trace of a session, by default the current one: messages, calls, times, tokens and cost.

    The turns of delegates are below the calls that started them.
    """
    found = chat.find(session) if session else chat.session
    return ShowTrace(chat.environment.storage.trace(found.id))


@command("bus", anytime=True)
def bus(chat: Chat, switch: Switch | None = None) -> CommandResult:
    """Show every event of the environment as a line, in all sessions of this program; or stop that."""
    chat.shows_events = not chat.shows_events if switch is None else switch == "on"
    return Text("Events are shown now; /bus off hides them." if chat.shows_events else "Events are hidden now.")
