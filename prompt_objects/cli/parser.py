"""What can be typed behind `prompt-objects`, and which function carries it out.

The functions are named, `module:function` within this package, and not imported, so that none waits for what only
another one needs; and only the parser of the command that was typed is built.
"""

import argparse
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from prompt_objects._version import __version__
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import did_you_mean

__all__ = [
    "COMMANDS",
    "COMMON",
    "Argument",
    "common_arguments",
    "make_parser",
    "parse",
]


class Argument(NamedTuple):
    """An option, or a value that stands by itself, as argparse takes it: its names and its settings."""

    names: tuple[str, ...]
    settings: Mapping[str, Any]


class Command(NamedTuple):
    """What a command does in a few words, the function that does it, and what the command takes."""

    summary: str
    run: str
    arguments: tuple[Argument, ...] = ()


def _argument(*names: str, **settings: Any) -> Argument:
    return Argument(names, settings)


def _count(text: str) -> int:
    return _number(text, least=1)


def _number(text: str, least: int = 0) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS) or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, not {text!r}")
    return int(text)


_MOST_DIGITS = 9
_ENV = _argument("--env", metavar="DIR", help="the environment's folder")
_DEBUG = _argument("--debug", action="store_true", help="show tracebacks")
_OBJECT = _argument("--object", metavar="NAME", help="the prompt object; by default the one last used")
_ONE_OBJECT = _argument("--object", metavar="NAME", help="only sessions of this prompt object")
_STORE = _argument("--store", metavar="URL", help="where sessions live; by default as environment.yaml says")
_YES = _argument("--yes", action="store_true", help="do not ask first")
_DRY_RUN = _argument("--dry-run", action="store_true", help="only say what would be done")
_JSON = _argument("--json", action="store_true", help="print JSON")
_KEY = _argument("key", metavar="KEY", help="a session: its id, the beginning of it, its name, or its file")
_LIMIT = _argument("--limit", type=_count, metavar="N", help="at most this many")
_TO_CHAT = (
    _argument("-p", "--prompt", metavar="TEXT", help="send one message, after what comes in, and print the answer"),
    _OBJECT,
    _argument("--session", metavar="KEY", help="a session: its id, the beginning of it, its name, or its file"),
    _argument("--model", metavar="NAME", help="a model for every prompt object; 'rehearsal' is none"),
    _argument("--json", action="store_true", help="print the answer as JSON"),
    _argument(
        "--wait",
        nargs="?",
        type=_number,
        default=0,
        metavar="SECONDS",
        help="where another is at the session, send the message when it is free; without a number, whenever that is",
    ),
    _argument(
        "--allow",
        action="append",
        metavar="TOOL",
        help="a tool that may run without a person being asked, unless it is forbidden; may be repeated",
    ),
    _argument("--branch", action="store_true", help="where another is at the session, send it in a copy of it"),
)
COMMON = (_ENV, _STORE, _DEBUG)
COMMANDS = {
    "": Command(
        "chat with prompt objects, and watch them message one another",
        "chat:run",
        (
            *_TO_CHAT,
            _argument("--list-sessions", action="store_true", help="the same as: sessions list"),
            _argument(
                "--version", action="version", version=f"prompt-objects {__version__}", help="show the version"
            ),
        ),
    ),
    "chat": Command(
        "chat in the terminal, or send a message",
        "chat:run",
        (_argument("po", nargs="?", metavar="OBJECT", help="the prompt object to talk to"), *_TO_CHAT),
    ),
    "sessions list": Command(
        "list sessions, the latest first",
        "sessions:list_",
        (
            _ONE_OBJECT,
            _LIMIT,
            _argument("--trash", action="store_true", help="those in the trash, the last deleted first"),
            _JSON,
        ),
    ),
    "sessions show": Command(
        "print a session, as Markdown or as JSON, the whole of it", "sessions:show", (_KEY, _ONE_OBJECT, _JSON)
    ),
    "sessions new": Command(
        "begin a session",
        "sessions:new",
        (_argument("name", nargs="?", metavar="NAME", help="by default Session 2 or the like"), _OBJECT, _JSON),
    ),
    "sessions watch": Command(
        "print each message of a session as it comes, until Ctrl-C", "watch:run", (_KEY, _ONE_OBJECT, _JSON)
    ),
    "sessions rename": Command(
        "give a session another name",
        "sessions:rename",
        (_KEY, _argument("name", metavar="NAME", help="the new name"), _ONE_OBJECT, _JSON),
    ),
    "sessions delete": Command("move a session to the trash", "sessions:delete", (_KEY, _ONE_OBJECT, _JSON)),
    "sessions restore": Command(
        "bring a session back from the trash",
        "sessions:restore",
        (
            _argument("key", nargs="?", metavar="KEY", help="id, its beginning, or name; else the last deleted"),
            _ONE_OBJECT,
            _JSON,
        ),
    ),
    "sessions duplicate": Command(
        "copy a session",
        "sessions:duplicate",
        (
            _KEY,
            _argument("name", nargs="?", metavar="NAME", help="of the copy; by default the old one and copy"),
            _ONE_OBJECT,
            _JSON,
        ),
    ),
    "sessions branch": Command(
        "begin a session with the first messages of another one",
        "sessions:branch",
        (
            _KEY,
            _argument("name", nargs="?", metavar="NAME", help="by default the old one and branch"),
            _argument("--at", type=_number, metavar="N", help="how many of its messages; by default all"),
            _ONE_OBJECT,
            _JSON,
        ),
    ),
    "sessions clear": Command(
        "drop all messages of a session; a copy of it goes to the trash",
        "sessions:clear",
        (_KEY, _ONE_OBJECT, _JSON),
    ),
    "sessions truncate": Command(
        "keep the first messages of a session; a copy of it goes to the trash",
        "sessions:truncate",
        (
            _KEY,
            _argument("count", type=_number, metavar="COUNT", help="how many messages are kept"),
            _ONE_OBJECT,
            _JSON,
        ),
    ),
    "sessions undo": Command(
        "undo what was last renamed, cleared, truncated or deleted",
        "sessions:undo",
        (_ONE_OBJECT, _JSON),
    ),
    "sessions archive": Command(
        "keep a session compressed until its next message", "sessions:archive", (_KEY, _ONE_OBJECT, _JSON)
    ),
    "sessions trash": Command(
        "list the sessions in the trash, the last deleted first", "sessions:trash", (_ONE_OBJECT, _LIMIT, _JSON)
    ),
    "sessions purge": Command(
        "remove a session from the trash for good, or all",
        "sessions:purge",
        (
            _argument("key", nargs="?", metavar="KEY", help="id, its beginning, or name; else all that is there"),
            _YES,
            _ONE_OBJECT,
            _JSON,
        ),
    ),
    "sessions backup": Command(
        "back up a session, or all that have changed",
        "maintenance:backup",
        (
            _argument("key", nargs="?", metavar="KEY", help="a session; by default all that have changed"),
            _ONE_OBJECT,
            _JSON,
        ),
    ),
    "sessions backups": Command(
        "list the backups, the last changed first",
        "maintenance:backups",
        (_argument("key", nargs="?", metavar="KEY", help="only those of this session"), _ONE_OBJECT, _LIMIT, _JSON),
    ),
    "sessions restore-backup": Command(
        "bring a session back from a backup; nothing is overwritten",
        "maintenance:restore_backup",
        (_argument("file", metavar="FILE", help="a backup: its path, or its name as it is listed"), _JSON),
    ),
    "sessions prune": Command(
        "remove what is old: empty sessions, trash, logs and backups", "maintenance:prune", (_DRY_RUN, _JSON)
    ),
    "sessions copy": Command(
        "copy all sessions from one store into another, and compare",
        "maintenance:copy",
        (
            _argument("--from", dest="source", metavar="URL", help="by default the environment's store"),
            _argument("--to", dest="target", required=True, metavar="URL", help="the store that gets them"),
            _JSON,
        ),
    ),
    "sessions export": Command(
        "write a session to a file or to standard output",
        "sessions:export",
        (
            _KEY,
            _argument(
                "--format",
                metavar="FORMAT",
                default="markdown",
                help="markdown (the default), json, or an added format",
            ),
            _argument("--output", metavar="FILE", help="a new file; by default standard output"),
            _ONE_OBJECT,
        ),
    ),
    "objects list": Command("list the prompt objects", "objects:list_", (_JSON,)),
    "objects show": Command(
        "print a prompt object's definition",
        "objects:show",
        (_argument("name", metavar="NAME", help="the prompt object"), _JSON),
    ),
    "trace": Command(
        "show what happened in a session: who asked whom, with which calls, how long it took and what it cost",
        "trace:run",
        (_KEY, _ONE_OBJECT, _JSON),
    ),
    "doctor": Command(
        "see whether all is well with the sessions and the definitions, and put right what is not",
        "doctor:run",
        (_argument("--repair", action="store_true", help="put right what is wrong; nothing is lost by it"), _JSON),
    ),
    "check": Command(
        "see who may ask whom and use what, what is missing, and what a message may cost",
        "check:run",
        (_JSON, _argument("--mermaid", action="store_true", help="print a drawing, in the words of Mermaid")),
    ),
    "trust": Command("let the environment's tools/*.py and its MCP servers run", "trust:run", (_YES,)),
    "migrate": Command(
        "bring an environment that an older version made up to date",
        "migrate:run",
        (_DRY_RUN, _JSON),
    ),
    "schema": Command("print the JSON Schema of a prompt object's file", "setup:schema"),
    "init": Command(
        "make an environment from the starter objects",
        "setup:init",
        (_argument("folder", nargs="?", default=".", metavar="DIR", help="where; by default here"),),
    ),
}
GROUPS = {"sessions": "list and manage sessions", "objects": "look at prompt objects"}
_ALIASES = {"--list-sessions": "sessions list"}
_WITHOUT_ENVIRONMENT = {"schema", "init"}
_WITH_VALUE = {
    name: argument.settings.get("nargs") != "?"  # else only a number that follows is one
    for command in COMMANDS.values()
    for argument in (*COMMON, *command.arguments)
    for name in argument.names
    if name.startswith("-") and argument.settings.get("action") in {None, "append"}
}


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong, and prints where every other output goes."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`, in place of leaving the process."""
        usage = " ".join(self.format_usage().split()).replace("usage:", "Usage:", 1)
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=usage)

    def _print_message(self, message: str, file: object = None) -> None:
        from prompt_objects.cli.streams import flush, print_out

        del file  # standard output: errors are raised
        print_out(message, end="")
        flush()


def parse(arguments: Sequence[str], options: argparse.Namespace) -> None:
    """Read the command line into `options`; its `run` is what carries it out.

    Options may stand before a command and behind it. Raises `UsageError`; leaves with 0 after printing help.
    """
    name, rest = _split(arguments)
    parser = make_parser(name)
    if name in GROUPS:
        parser.parse_known_args(rest)  # there may be a --help in it
        raise UsageError(f"What about {name}? There is no command behind it.", hint=_known(f"{name} "))
    parser.parse_args(rest, options)


def make_parser(name: str) -> argparse.ArgumentParser:
    """Make the parser of one command, or, for its --help, of a group."""
    command = COMMANDS.get(name) or Command(GROUPS[name], "")
    parser = _Parser(
        prog=f"prompt-objects {name}".rstrip(),
        description=f"{command.summary[:1].upper()}{command.summary[1:]}.",
        epilog=_overview(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for argument in (*command.arguments, *common_arguments(name)):
        parser.add_argument(*argument.names, **argument.settings)
    parser.set_defaults(run=command.run, po=None, model=None)  # where a command does not take them
    return parser


def common_arguments(name: str) -> tuple[Argument, ...]:
    """Return what a command takes as every other one does."""
    return (_DEBUG,) if name in _WITHOUT_ENVIRONMENT else COMMON


def _split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Take the words of the command out of the arguments, and put options before what stands by itself.

    Raises `UsageError` for a command that there is not.
    """
    name, options, values = "", list[str](), list[str]()
    words = deque(arguments)
    while words:
        word = words.popleft()
        if word == "--":
            values += words
            words.clear()
        elif word in _ALIASES and not name:
            name = _ALIASES[word]
        elif word.startswith("-"):
            options.append(word)
            if words and (_WITH_VALUE.get(word) or (word in _WITH_VALUE and words[0].isdecimal())):
                options.append(words.popleft())
        elif name and name not in GROUPS:
            values.append(word)
        elif (longer := f"{name} {word}".lstrip()) in COMMANDS or longer in GROUPS:
            name = longer
        else:
            prefix = f"{name} " if name else ""
            hint = did_you_mean(word, _words(prefix)) or _known(prefix)
            raise UsageError(f"There is no command {longer!r}.", hint=hint)
    return name, [*options, *(["--", *values] if values else [])]


def _known(prefix: str) -> str:
    return f"There are: {', '.join(_words(prefix))}."


def _words(prefix: str) -> dict[str, None]:
    """Return the words that may stand behind `prefix`, each once."""
    behind = (name.removeprefix(prefix) for name in COMMANDS if name and name.startswith(prefix))
    return dict.fromkeys(name.split()[0] for name in behind)


def _overview(name: str) -> str:
    """List what may stand behind `prompt-objects`, or behind a group's name."""
    if name and name not in GROUPS:
        return ""
    prefix = f"{name} " if name else ""
    rows = [(known, command.summary) for known, command in COMMANDS.items() if known and known.startswith(prefix)]
    width = max(len(known) for known, _ in rows)
    listed = "\n".join(f"  {known:{width}}  {summary}" for known, summary in rows)
    head = "" if name else "Without a command it opens the session last used, or sends what comes in.\n\n"
    return f"{head}commands:\n{listed}"
