"""The command that explains which part of a prompt the server could not take from its cache."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import SessionKey, command
from prompt_objects.chat.results import CommandResult, Table, Text
from prompt_objects.runtime.prompt_cache import CacheReport
from prompt_objects.utils.text import time_ago


@command("why-uncached", anytime=True)
def why_uncached(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Show which part of the last prompts of a session changed, so that the server had to read on from there.

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
