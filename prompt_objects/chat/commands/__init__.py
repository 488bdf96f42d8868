"""The slash commands: each module here, and each entry point of the group `GROUP`, declares some."""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import ModuleType

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.command import Command, Parameter
from prompt_objects.chat.results import CommandResult, Confirm, Text
from prompt_objects.errors import NotFound, UsageError
from prompt_objects.utils.text import did_you_mean

GROUP = "prompt_objects.commands"
"""Entry points of installed packages: each names a command, or a module that declares commands."""


@cache
def all_commands() -> dict[str, Command]:
    """Return every command by name, in alphabetical order; a built-in command cannot be replaced."""
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    built_in = {command.name: command for module in modules for command in _declared(module)}
    commands = {command.name: command for command in _installed()} | built_in
    return dict(sorted(commands.items()))


def _declared(source: object) -> list[Command]:
    values = vars(source).values() if isinstance(source, ModuleType) else [source]
    return [value for value in values if isinstance(value, Command)]


def _installed() -> Iterator[Command]:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            yield from _declared(entry.load())
        except Exception as error:  # noqa: BLE001 - a faulty package must not break the other commands
            yield _broken(entry.name, f"/{entry.name} cannot be loaded from {entry.value}: {error!r}")


def _broken(name: str, problem: str) -> Command:
    def fail(_chat: Chat, **_: str) -> CommandResult:
        raise UsageError(problem, hint="Update or uninstall the package that provides it.")

    return Command(name, (Parameter("arguments", "text", required=False),), "Cannot be loaded.", problem, fail)


def parse_input(text: str) -> tuple[bool, str]:
    """Return whether the typed text is a command, and the command or the message.

    A message that begins with a slash is typed with two slashes.
    """
    if text.startswith("//"):
        return False, text.removeprefix("/")
    return text.startswith("/"), text


def escape(message: str) -> str:
    """Return the text that has to be typed to send a message."""
    return f"/{message}" if message.startswith("/") else message


def find(line: str) -> tuple[Command, str]:
    """Return the command that a line names, by one word or by two, and its arguments.

    Raises `NotFound` with the nearest name as a hint.
    """
    commands = all_commands()
    first, _, rest = line.strip().removeprefix("/").partition(" ")
    second, _, rest_of_two = rest.strip().partition(" ")
    if f"{first} {second}" in commands:
        return commands[f"{first} {second}"], rest_of_two
    subcommands = [name.partition(" ")[2] for name in commands if name.startswith(f"{first} ")]
    if first in commands and not (second and subcommands):
        return commands[first], rest
    if subcommands:
        names = ", ".join(f"/{first} {name}" for name in subcommands)
        hint = did_you_mean(second, subcommands) or f"There are: {names}."
        problem = f"There is no command /{first} {second}." if second else f"/{first}: missing subcommand."
        raise NotFound(problem, hint=hint)
    hint = did_you_mean(f"/{first}", [f"/{name}" for name in commands])
    raise NotFound(f"There is no command /{first}.", hint=hint or "See /help; // sends a message that begins with /.")


def confirm(question: Confirm, answer: str) -> CommandResult:
    """Carry out the confirmed action if the answer is a plain yes."""
    return question.yes() if answer.strip().casefold() in {"y", "yes"} else Text("Nothing was changed.")


def run(chat: Chat, line: str) -> CommandResult:
    """Run a command line. Raises `PromptObjectsError`, and then nothing was changed."""
    command, arguments = find(line)
    return command(chat, arguments)
