"""What can be typed behind `prompt-objects`, and which function carries it out.

The functions are named, `module:function` within this package, and not imported, so that none waits for what only
another one needs.
"""

import argparse
from collections.abc import Sequence
from typing import TypeAlias

from prompt_objects import __version__

__all__ = ["make_parser", "parse"]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; `run` of the result carries it out. Leaves with 2 where it cannot be read."""
    return make_parser().parse_args(arguments)


def make_parser() -> argparse.ArgumentParser:
    """Declare the whole command line."""
    parser = argparse.ArgumentParser(
        prog="prompt-objects",
        description="Chat with prompt objects, and watch them message one another.",
        epilog="Without a command it opens the session last used, or sends what comes in on standard input.",
        parents=[_common(default=None)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"prompt-objects {__version__}")
    parser.add_argument("-p", "--prompt", metavar="TEXT", help="send one message and print the answer")
    parser.add_argument("--list-sessions", action="store_true", help="the same as: sessions list")
    parser.set_defaults(run="chat:run", po=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    opened = _command(commands, "chat", "chat in the terminal", "chat:run")
    opened.add_argument("po", nargs="?", metavar="OBJECT", help="the prompt object to talk to")
    _declare_sessions(_group(commands, "sessions", "list and manage sessions"))
    _declare_objects(_group(commands, "objects", "look at prompt objects"))
    _command(commands, "schema", "print the JSON Schema of a prompt object's file", "setup:schema")
    made = _command(commands, "init", "make an environment from the starter objects", "setup:init")
    made.add_argument("folder", nargs="?", default=".", metavar="DIR", help="where; by default here")
    return parser


def _common(*, default: object) -> argparse.ArgumentParser:
    """Declare what may stand before a command as well as behind it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=default)
    common.add_argument("--env", metavar="DIR", help="the environment's folder")
    common.add_argument("--object", metavar="NAME", help="the prompt object")
    common.add_argument("--session", metavar="KEY", help="a session: its id, the beginning of it, name or file")
    common.add_argument("--model", metavar="NAME", help="a model for every prompt object; 'rehearsal' is none")
    common.add_argument("--json", action="store_true", default=default or False, help="print JSON")
    common.add_argument("--debug", action="store_true", default=default or False, help="show tracebacks")
    return common


def _command(commands: Commands, name: str, summary: str, run: str) -> argparse.ArgumentParser:
    common = _common(default=argparse.SUPPRESS)
    parser = commands.add_parser(
        name, help=summary, description=summary.capitalize() + ".", parents=[common], allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


def _group(commands: Commands, name: str, summary: str) -> Commands:
    group = commands.add_parser(name, help=summary, description=summary.capitalize() + ".", allow_abbrev=False)
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _declare_sessions(group: Commands) -> None:
    listed = _command(group, "list", "list sessions, the latest first", "sessions:list_")
    listed.add_argument("--limit", type=int, metavar="N", help="at most this many")
    _with_key(_command(group, "show", "print a session", "sessions:show"))
    made = _command(group, "new", "begin a session", "sessions:new")
    made.add_argument("name", nargs="?", metavar="NAME")
    renamed = _with_key(_command(group, "rename", "give a session another name", "sessions:rename"))
    renamed.add_argument("name", metavar="NAME")
    _with_key(_command(group, "delete", "move a session to the trash", "sessions:delete"))
    restored = _command(group, "restore", "bring a session back from the trash", "sessions:restore")
    restored.add_argument("key", nargs="?", metavar="KEY", help="by default the last deleted one")
    copied = _with_key(_command(group, "duplicate", "copy a session", "sessions:duplicate"))
    copied.add_argument("name", nargs="?", metavar="NAME")
    exported = _with_key(_command(group, "export", "write a session as Markdown or JSON", "sessions:export"))
    exported.add_argument("--format", choices=["markdown", "json"], default="markdown")
    exported.add_argument("--output", metavar="FILE", help="a new file; by default standard output")


def _with_key(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("key", metavar="KEY", help="id, beginning of an id, or name")
    return parser


def _declare_objects(group: Commands) -> None:
    _command(group, "list", "list the prompt objects", "objects:list_")
    shown = _command(group, "show", "print a prompt object's definition", "objects:show")
    shown.add_argument("name", metavar="NAME")
