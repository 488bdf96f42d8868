"""The command reference, docs/commands.md, written from what is declared.

`python -m prompt_objects.cli.reference > docs/commands.md` brings it up to date; a test holds that it is.
"""

from collections.abc import Iterable, Iterator

from prompt_objects.chat.commands import all_commands
from prompt_objects.cli.json_output import MEANINGS
from prompt_objects.cli.parser import COMMANDS, COMMON, Argument, make_parser

__all__ = [
    "reference",
]

_HEAD = """\
# Commands

Written from the program itself by `python -m prompt_objects.cli.reference`.

## In a chat

A line that begins with `/` is a command. Its last argument takes the rest of the line, so names with spaces
need no quotes. A line that begins with `//` is sent as a message that begins with `/`.
"""
_SHELL = """
## In the shell

The answer is on standard output, all else on standard error. Options may stand before a command and behind it.
Standard input, where it is not a terminal, is the message, or comes before the text of `-p`; it must be UTF-8.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | an error: a model that refuses, a faulty definition, a disk that is full, a session that was left out |
| 2 | wrong usage: an option, a name, or a session that there is not |
| 75 | try again later: no network, a rate limit, a server that failed, a session that another is at |
| 130 | interrupted; what had been said is saved (`sessions watch` ends that way, and with 0) |

Errors are one or two lines on standard error. Where a key could mean several sessions, these follow, ten at most.

Every command but `init` and `schema` takes the first two of these, and every command the last:
"""
_JSON = """
## JSON

What `--json` prints is valid JSON, whatever the terminal's encoding. These keys stay; others may be added behind
them. `sessions list`, `trash`, `purge`, `backups` and `objects list` print a list of such objects, `sessions show`
the session's whole file as [session-files.md](session-files.md) describes it, and the other commands one object.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    return "\n".join([_HEAD, *_slash_commands(), _SHELL, *_arguments(COMMON), *_shell_commands(), _JSON, *_fields()])


def _slash_commands() -> Iterator[str]:
    for command in all_commands().values():
        yield f"### `{command.usage}`\n\n{command.summary}\n"
        if command.help:
            yield f"{command.help}\n"


def _shell_commands() -> Iterator[str]:
    for name, command in COMMANDS.items():
        parser = make_parser(name)
        yield f"### `{parser.prog}`\n\n{parser.description}\n"
        if command.arguments:
            yield from _arguments(command.arguments)


def _arguments(arguments: Iterable[Argument]) -> Iterator[str]:
    for names, settings in arguments:
        metavar = settings.get("metavar", "")
        usage = f"{', '.join(names)} {metavar}".rstrip() if names[0].startswith("-") else metavar
        yield f"- `{usage}` {settings['help']}"
    yield ""


def _fields() -> Iterator[str]:
    for title, fields in MEANINGS.items():
        rows = "\n".join(f"| `{key}` | {meaning} |" for key, meaning in fields.items())
        yield f"### {title}\n\n| key | value |\n|---|---|\n{rows}\n"


if __name__ == "__main__":
    print(reference(), end="")
