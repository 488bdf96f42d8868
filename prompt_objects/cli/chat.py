"""`prompt-objects`, `prompt-objects chat` and `prompt-objects -p`: talking, in whichever way there is."""

import sys
from argparse import Namespace

from prompt_objects.chat import Chat
from prompt_objects.cli import overview, send, sessions
from prompt_objects.cli.opening import open_conversation, open_environment
from prompt_objects.cli.running import run_to_the_end
from prompt_objects.errors import UsageError

__all__ = ["run"]


def run(options: Namespace) -> int | None:
    """Chat in a terminal; send one message where there is one; say what would be opened where there is neither."""
    if options.list_sessions:
        return sessions.list_(options)
    text = _message(options.prompt)
    if text is not None:
        return send.run(options, text)
    if sys.stdin and sys.stdin.isatty() and sys.stdout.isatty():
        return _interactive(options)
    return overview.run(options)


def _message(prompt: str | None) -> str | None:
    """Put together what to send: standard input, where it is not a terminal, before the text."""
    piped = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    parts = [part for part in (piped.strip("\n"), prompt) if part and part.strip()]
    if prompt is not None and not parts:
        raise UsageError("The message is empty.", hint="Usage: prompt-objects -p TEXT")
    return "\n\n".join(parts) if parts else None


def _interactive(options: Namespace) -> None:
    environment = open_environment(options)
    po, session = open_conversation(options, environment)
    chat = Chat(environment, po, session)
    from prompt_objects.ui.repl import run as run_repl

    run_to_the_end(run_repl(chat), environment)
