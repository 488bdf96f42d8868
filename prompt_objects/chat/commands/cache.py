"""The command that tells what a server could not take from its cache."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.command import SessionKey, command
from prompt_objects.chat.results import CommandResult, Table, Text
from prompt_objects.runtime.prompt_cache import CacheReport
from prompt_objects.utils.text import time_ago


@command("why-uncached", anytime=True)
def why_uncached(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Show which part of a session's last requests changed, so that the server had to read on from there.

    Without a session, it is the current one. Requests are remembered until the program ends. The tokens are those of
    the prompt, as the server reports them. Where nothing changed and little was cached all the same, the server has
    forgotten (most do within minutes), keeps only longer beginnings (OpenAI's from 1,024 tokens on), or is silent.
    """
    found = chat.find(session) if session else chat.session
    sent = chat.environment.prompt_cache.of(found.id)
    if not sent:
        return Text(f"Nothing was asked in {found.name} since this program began.")
    columns = ("asked", "tokens", "cached", "what changed")
    return Table(f"Requests of {found.name}", columns, [_row(each) for each in sent])


def _row(sent: CacheReport) -> tuple[str, ...]:
    if not sent.prompt_tokens:
        tokens = ("not told", "not told")
    else:
        tokens = (f"{sent.prompt_tokens:,}", f"{sent.cached_tokens:,}")
    change = "the first since this program began" if sent.change is None else sent.change or "nothing"
    return time_ago(sent.at), *tokens, change
