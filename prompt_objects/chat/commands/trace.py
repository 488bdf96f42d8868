"""Commands that show what turns did: traces, events, cached prompts, notes."""

import json
from typing import TYPE_CHECKING, Annotated, TypeAlias

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import FreeText, Number, SessionKey, slash_command
from prompt_objects.chat.results import CommandResult, Document, ShowTrace, Table, Text
from prompt_objects.errors import NotFound
from prompt_objects.sessions.tree import descendants, stored_descendants
from prompt_objects.trace.log import saved_at
from prompt_objects.utils.text import did_you_mean, quoted
from prompt_objects.utils.time import time_ago

if TYPE_CHECKING:
    from prompt_objects.sessions.info import SessionInfo
    from prompt_objects.sessions.prompt_cache import CacheReport
    from prompt_objects.sessions.session import Session
    from prompt_objects.sessions.stores.base import Store

TITLE = "What happened"
_MAX_REPORTS = 10  # of each session
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


@slash_command("request", anytime=True)
def request(chat: Chat, answer: Number | None = None) -> CommandResult:
    """Show the request that led to an answer, as it was sent; by default to the last answer.

    Answers are counted from 1. `sessions show --request` prints the exact bytes, and compares two requests.
    """
    from prompt_objects.sessions.formats.markdown import fenced
    from prompt_objects.sessions.requests import NOT_EXACT, answer_indexes

    number = len(answer_indexes(chat.session.history)) if answer is None else answer
    found = chat.session.request(number)
    body = json.dumps(json.loads(found.body), ensure_ascii=False, indent=2)
    inexact = "" if found.is_exact else f"\n\n{NOT_EXACT}"
    return Document(f"Request for answer {number} of {chat.session.name}:\n\n{fenced(body, 'json')}{inexact}")


@slash_command("why-uncached", anytime=True)
def why_uncached(chat: Chat, session: SessionKey | None = None, *, answer: Number | None = None) -> CommandResult:
    """Show why the server could not use its cache for the prompts of a session, by default of the current one.

    For each of the last answers, or for one: what changed since the request before, how many tokens of that request
    were read from the cache, and what the others cost more. The sessions of delegates follow. If nothing changed and
    much was lost, the server has forgotten the prompt (most do within minutes), caches only longer prompts (OpenAI
    from 1,024 tokens), or does not report what it cached.
    """
    found = chat.find(session) if session else chat.session
    reports = [(found, report) for report in _reports(found, answer)]
    manager = chat.environment.session_manager
    for info in _delegated(found, answer, manager.store):
        child = manager.get(info.id)
        reports += [(child, report) for report in _reports(child, None)]
    if not reports:
        return Text(f"{found.name} has no answers yet.")
    sessions = [each for each, _ in reports]
    sections = {
        n: f"{each.name} of {each.po_name}" for n, each in enumerate(sessions) if n and each is not sessions[n - 1]
    }
    columns = ("answer", "asked", "tokens", "cached", "lost", "what changed")
    rows = [_row(report) for _, report in reports]
    lost = sum(report.lost_tokens or 0 for _, report in reports)
    costs = [report.lost_cost for _, report in reports if report.lost_tokens]
    cost = None if not costs or None in costs else sum(each or 0.0 for each in costs)
    rows.append(("", "", "", "", _lost(lost, cost), "in all"))
    return Table(f"Requests of {found.name}", columns, rows, sections=sections)


def _delegated(session: "Session", answer: int | None, store: "Store") -> "list[SessionInfo]":
    """Return the sessions that the calls of an answer, or of all, have started, with those below them."""
    from prompt_objects.message import calls_of
    from prompt_objects.sessions.requests import find_answer

    infos = stored_descendants(session.id, store)
    if answer is None:
        return infos
    started = {call["id"] for call in calls_of(session.history[find_answer(session.history, answer)])}
    tops = [
        each for each in infos if each.parent and each.parent.session == session.id and each.parent.call in started
    ]
    return [*tops, *(each for top in tops for each in descendants(top.id, infos))]


def _reports(session: "Session", answer: int | None) -> "list[CacheReport]":
    from prompt_objects.sessions.prompt_cache import cache_reports
    from prompt_objects.sessions.requests import answer_indexes

    count = len(answer_indexes(session.history))
    return cache_reports(session, range(max(0, count - _MAX_REPORTS) + 1, count + 1) if answer is None else [answer])


def _row(report: "CacheReport") -> tuple[str, ...]:
    usage, unknown = report.usage, "not reported"
    asked = time_ago(saved) if (saved := saved_at({"at": report.at})) else ""
    tokens = (f"{usage.prompt:,}", f"{usage.cached:,}") if usage.prompt else (unknown, unknown)
    lost = "" if report.lost_tokens is None else _lost(report.lost_tokens, report.lost_cost)
    return str(report.answer), asked, *tokens, lost, report.change or "nothing"


def _lost(tokens: int, cost: float | None) -> str:
    return f"{tokens:,}" if cost is None else f"{tokens:,} (${cost:.4f})"
