"""The slash commands: each module here declares some, and is found by being here."""

import pkgutil
from functools import cache
from importlib import import_module

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.command import Command
from prompt_objects.chat.results import CommandResult, Confirm, Text
from prompt_objects.errors import NotFound
from prompt_objects.utils.text import did_you_mean

__all__ = [
    "all_commands",
    "confirm",
    "escape",
    "find",
    "parse_input",
    "run",
]


@cache
def all_commands() -> dict[str, Command]:
    """Return every command by name, in alphabetical order."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    found = (item for module in modules for item in vars(module).values() if isinstance(item, Command))
    return {command.name: command for command in sorted(found, key=lambda command: command.name)}


def parse_input(text: str) -> tuple[bool, str]:
    """Tell whether what was typed is a command, and return it, or the message that it is instead.

    A message that is to begin with a slash is typed with two.
    """
    if text.startswith("//"):
        return False, text.removeprefix("/")
    return text.startswith("/"), text


def escape(message: str) -> str:
    """Return how a message is typed, so that it is none of the commands."""
    return f"/{message}" if message.startswith("/") else message


def find(line: str) -> tuple[Command, str]:
    """Return the command that a line names, by one word or by two, and what stands behind the name.

    Raises `NotFound`, naming the nearest.
    """
    commands = all_commands()
    first, _, rest = line.strip().removeprefix("/").partition(" ")
    second, _, rest_of_two = rest.strip().partition(" ")
    if f"{first} {second}" in commands:
        return commands[f"{first} {second}"], rest_of_two
    below = [name.partition(" ")[2] for name in commands if name.startswith(f"{first} ")]
    if first in commands and not (second and below):
        return commands[first], rest
    if below:
        hint = did_you_mean(second, below) or f"There are: {', '.join(f'/{first} {name}' for name in below)}."
        raise NotFound(f"There is no command /{first} {second}.", hint=hint)
    hint = did_you_mean(f"/{first}", [f"/{name}" for name in commands])
    hint = hint or "See /help; // sends a message that begins with /."
    raise NotFound(f"There is no command /{first}.", hint=hint)


def confirm(question: Confirm, typed: str) -> CommandResult:
    """Carry out what a question asks about, if the answer is a plain yes."""
    return question.yes() if typed.strip().casefold() in {"y", "yes"} else Text("Nothing was changed.")


def run(chat: Chat, line: str) -> CommandResult:
    """Carry out a line that begins with a slash; raises `PromptObjectsError`, and then nothing was done."""
    command, rest = find(line)
    return command(chat, rest)
