"""Commands that show what turns did: traces, events, cached prompts, notes."""

from typing import Annotated, TypeAlias

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import FreeText, SessionKey, slash_command
from prompt_objects.chat.results import CommandResult, ShowTrace, Table, Text
from prompt_objects.errors import NotFound
from prompt_objects.runtime.prompt_cache import CacheReport
from prompt_objects.utils.text import did_you_mean, quoted
from prompt_objects.utils.time import time_ago

TITLE = "What happened"
Switch: TypeAlias = Annotated[str, ("on", "off")]


@slash_command(
    "trace",
    anytime=True,
    is_common=True,
    aliases=("cost", "usage", "tokens", "context"),
    suggested_for=("history", "log"),
)
def trace(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Show the trace of a session, by default the current one: messages, calls, times, tokens and cost.

    The turns of delegates are below the calls that started them.
    """
    found = chat.find(session) if session else chat.session
    return ShowTrace(chat.environment.storage.trace(found.id))


@slash_command("bus", anytime=True)
def bus(chat: Chat, switch: Switch | None = None) -> CommandResult:
    """Show or hide the events of all sessions of this program, one per line."""
    chat.shows_events = not chat.shows_events if switch is None else switch == "on"
    return Text("Events are shown now; /bus off hides them." if chat.shows_events else "Events are hidden now.")


@slash_command("notes", anytime=True)
def notes(chat: Chat, name: FreeText | None = None) -> CommandResult:
    """List the notes that prompt objects keep for this conversation, or show one.

    All sessions that its calls started share the notes.
    """
    from prompt_objects.tools.builtin.notes import read_notes

    known = {note.name: note for note in read_notes(chat.workspace)}
    if name is None:
        rows = [(note.name, note.writer, time_ago(note.at), note.text) for note in known.values()]
        return Table("Notes", ("name", "by", "when", "text"), rows)
    if name not in known:
        hint = did_you_mean(name, known) or f"Available: {', '.join(known) or 'none'}."
        raise NotFound(f"There is no note {quoted(name)}.", hint=hint)
    return Text(f"{known[name].writer}, {time_ago(known[name].at)}:\n{known[name].text}")


@slash_command("why-uncached", anytime=True)
def why_uncached(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Show what changed between the last prompts of a session, which is why the server could not use its cache.

    Without a session, it is the current one. Requests are remembered until the program ends. The tokens are those of
    the prompt, as the server reports them. If nothing changed and little was cached, the server has forgotten the
    prompt (most do within minutes), caches only longer prompts (OpenAI from 1,024 tokens), or does not report it.
    """
    found = chat.find(session) if session else chat.session
    reports = chat.environment.prompt_cache.of(found.id)
    if not reports:
        return Text(f"No requests in {found.name} since the program started.")
    columns = ("asked", "tokens", "cached", "what changed")
    return Table(f"Requests of {found.name}", columns, [_row(report) for report in reports])


def _row(report: CacheReport) -> tuple[str, ...]:
    if not report.prompt_tokens:
        tokens = ("not reported", "not reported")
    else:
        tokens = (f"{report.prompt_tokens:,}", f"{report.cached_tokens:,}")
    change = "first since the program started" if report.change is None else report.change or "nothing"
    return time_ago(report.at), *tokens, change
