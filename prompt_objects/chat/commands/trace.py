"""Commands about what happens, and what happened."""

from typing import Annotated, TypeAlias

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.command import SessionKey, command
from prompt_objects.chat.results import CommandResult, ShowTrace, Text

Switch: TypeAlias = Annotated[str, ("on", "off")]


@command("trace", anytime=True)
def trace(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Show what happened in a session, by default the current one: messages, calls, times, tokens and cost.

    What prompt objects that were asked did stands below the calls by which they were.
    """
    found = chat.find(session) if session else chat.session
    return ShowTrace(chat.environment.storage.trace(found.id))


@command("bus", anytime=True)
def bus(chat: Chat, switch: Switch | None = None) -> CommandResult:
    """Tell everything that happens in the environment, in all sessions of this program, a line each; or stop that."""
    chat.news = not chat.news if switch is None else switch == "on"
    if chat.news:
        return Text("Everything that happens is told from now on; /bus off stops that.")
    return Text("Not everything that happens is told any more.")
