"""The command reference, docs/commands.md, written from what is declared.

`python -m prompt_objects.cli.reference > docs/commands.md` brings it up to date; a test holds that it is.
"""

import argparse
from collections.abc import Iterator

from prompt_objects.cli.parser import make_parser
from prompt_objects.commands import all_commands

__all__ = ["reference"]

_HEAD = """\
# Commands

Written from the program itself by `python -m prompt_objects.cli.reference`.

## In a chat

A line that begins with `/` is a command. Its last argument takes the rest of the line, so names with spaces
need no quotes. A line that begins with `//` is sent as a message that begins with `/`.
"""

_SHELL = """
## In the shell

Exit codes: 0 done, 1 an error, 2 wrong usage, 75 try again later (no network, rate limit), 130 interrupted.
Errors are one or two lines on standard error.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    return "\n".join([_HEAD, *_slash_commands(), _SHELL, *_shell_commands(make_parser())])


def _slash_commands() -> Iterator[str]:
    for command in all_commands().values():
        yield f"### `{command.usage}`\n\n{command.summary}\n"
        if command.help:
            yield f"{command.help}\n"


def _shell_commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    if not groups or parser.prog == "prompt-objects":
        yield f"### `{parser.prog}`\n\n{parser.description}\n"
        yield from _arguments(parser)
    for group in groups:
        for command in group.choices.values():
            yield from _shell_commands(command)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to look at it
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        names = ", ".join(action.option_strings) or action.metavar or action.dest
        value = f" {action.metavar}" if action.option_strings and action.metavar else ""
        choices = f": {', '.join(action.choices)}" if action.choices else ""
        yield f"- `{names}{value}` {action.help or ''}{choices}"
    yield ""


if __name__ == "__main__":
    print(reference(), end="")
