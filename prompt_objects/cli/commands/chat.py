"""`prompt-objects`, `prompt-objects chat` and `prompt-objects -p`: talking, in whichever way there is.

Each way imports what it needs, and nothing that only another one needs.
"""

import os
import sys
from argparse import Namespace

from prompt_objects.cli.streams import read_input
from prompt_objects.errors import UsageError

__all__ = [
    "run",
]


def run(options: Namespace) -> None:
    """Chat in a terminal; send one message where there is one; say what would be opened where there is neither."""
    if (text := _message(options.prompt)) is not None:
        from prompt_objects.cli.commands import send

        send.run(options, text)
    elif options.branch or options.wait != 0:
        raise UsageError("--wait and --branch go with a message.", hint="Usage: prompt-objects -p TEXT --wait")
    elif sys.stdin.isatty() and sys.stdout.isatty():
        _interactive(options)
    else:
        from prompt_objects.cli.commands import overview

        overview.run(options)


def _message(prompt: str | None) -> str | None:
    """Put together what to send: standard input, where it is not a terminal, before the text."""
    piped = "" if sys.stdin.isatty() else read_input()
    parts = [part for part in (piped.strip("\n"), _typed(prompt)) if part.strip()]
    if prompt is not None and not parts:
        raise UsageError("The message is empty.", hint="Usage: prompt-objects -p TEXT")
    return "\n\n".join(parts) if parts else None


def _typed(prompt: str | None) -> str:
    """Decode the argument as UTF-8, whatever the locale has made of it."""
    try:
        return os.fsencode(prompt or "").decode()
    except UnicodeError as error:
        raise UsageError("The message is not UTF-8 text.", hint="Nothing was sent.") from error


def _interactive(options: Namespace) -> None:
    from prompt_objects.chat.chat import Chat
    from prompt_objects.cli.event_loop import run_uninterrupted
    from prompt_objects.cli.targets import open_conversation, open_environment
    from prompt_objects.ui.line.repl import run as run_repl

    environment = open_environment(options)
    po, session = open_conversation(options, environment)
    run_uninterrupted(run_repl(Chat(environment, po, session)), environment)
