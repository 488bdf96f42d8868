"""The declaration of a shell command: a function with a name, arguments, examples and a docstring.

Parsing, help and the generated reference come from it; see `commands/objects.py` for examples. Help reads all
declarations, so a command's module imports slow modules only inside its functions.
"""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

_MAX_DIGITS = 9


class Argument(NamedTuple):
    """An option or a positional argument: its names and settings, as `ArgumentParser.add_argument` takes them."""

    names: tuple[str, ...]
    settings: Mapping[str, Any]


def argument(*names: str, **settings: Any) -> Argument:
    """Declare an argument."""
    return Argument(names, settings)


def whole_number(text: str, minimum: int = 0) -> int:
    """Parse the value of an argument. Raises `ArgumentTypeError` if it is not a whole number from `minimum` on."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS) or int(text) < minimum:
        raise ArgumentTypeError(f"must be a whole number of at least {minimum}, not {text!r}")
    return int(text)


DEBUG = argument("--debug", action="store_true", help="show tracebacks")
COMMON = (
    argument("--env", metavar="DIR", help="the environment's folder"),
    argument("--trust", action="store_true", help="trust the environment, only this time"),
    argument("--store", metavar="URL", help="the store of the sessions; by default the one in environment.yaml"),
    DEBUG,
)
OBJECT = argument("--object", metavar="NAME", help="the prompt object; by default the last used one")
OBJECT_FILTER = argument("--object", metavar="NAME", help="only sessions of this prompt object")
KEY = argument("key", metavar="KEY", help="a session: its id, the start of its id, its name or its file")
LIMIT = argument("--limit", type=partial(whole_number, minimum=1), metavar="N", help="show at most this many")
YES = argument("--yes", action="store_true", help="do not ask for confirmation")
DRY_RUN = argument("--dry-run", action="store_true", help="only show what would change")

Run: TypeAlias = Callable[[Namespace], int | None]


class ShellCommand(NamedTuple):
    """A declared command.

    `run` returns the exit code, None for 0. `summary` is the first line of its docstring, `help` the rest.
    `output` is the type that `--json` prints: a struct or a list of structs, or its name, `module:name`.
    """

    name: str
    arguments: tuple[Argument, ...]
    run: Run
    summary: str
    help: str
    output: Any
    examples: tuple[str, ...]
    common: tuple[Argument, ...]


def shell_command(
    name: str,
    *arguments: Argument,
    output: Any = None,
    examples: tuple[str, ...] = (),
    common: tuple[Argument, ...] = COMMON,
) -> Callable[[Run], ShellCommand]:
    """Declare a function as the command `name`, of one or two words; `examples` leave out the program's name.

    A command with an `output` has the option `--json`.
    """
    options = (argument("--json", action="store_true", help="print JSON"),) if output else ()

    def declare(function: Run) -> ShellCommand:
        summary, *others = (line.strip() for line in (function.__doc__ or "").split("\n"))
        more = "\n".join(others).strip()
        return ShellCommand(name, (*arguments, *options), function, summary, more, output, examples, common)

    return declare
