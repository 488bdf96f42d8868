"""The shell commands. Every module in this folder declares commands, and is found automatically.

Installed packages add commands by entry points of the group `prompt_objects.cli_commands`, which name a command or a
module with commands. The first word of a command is the name of its module, so that running it loads no other.
"""

import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType

from prompt_objects.cli.command import ShellCommand

GROUP = "prompt_objects.cli_commands"


def find(name: str) -> ShellCommand | None:
    """Return the command of this name, "" for the one without a name."""
    return commands_in_group(name.partition(" ")[0]).get(name) or all_commands().get(name)


def is_group(name: str) -> bool:
    """Return whether this is a group of commands, such as `sessions`, and not itself a command."""
    return any(known.startswith(f"{name} ") for known in commands_in_group(name.partition(" ")[0])) if name else False


@cache
def commands_in_group(word: str) -> dict[str, ShellCommand]:
    """Return the commands whose first word is `word`, loading only the module of that name if there is one."""
    module = word.replace("-", "_") or "chat"
    path = f"{__name__}.{module}"
    if module.isidentifier() and PathFinder.find_spec(path, __path__):  # `pkgutil` takes a quarter of a start
        commands = {command.name: command for command in _declared(import_module(path))}
    else:
        commands = all_commands()
    return {name: command for name, command in commands.items() if name.partition(" ")[0] == word}


@cache
def all_commands() -> dict[str, ShellCommand]:
    """Return every command by name, in alphabetical order; built-in ones take precedence over installed ones."""
    commands = (*_installed(), *_declared(sys.modules[__name__]))
    return dict(sorted((command.name, command) for command in commands))


def _declared(module: ModuleType) -> Iterator[ShellCommand]:
    """Yield the commands of a module, and of the modules in it if it is a package."""
    import pkgutil

    yield from (value for value in vars(module).values() if isinstance(value, ShellCommand))
    for inner in pkgutil.iter_modules(getattr(module, "__path__", ())):
        yield from _declared(import_module(f"{module.__name__}.{inner.name}"))


def _installed() -> Iterator[ShellCommand]:
    """Yield the commands of installed packages; one that cannot be loaded is reported and left out."""
    from importlib.metadata import entry_points

    from prompt_objects.cli.streams import print_err

    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            loaded = entry.load()
            yield from [loaded] if isinstance(loaded, ShellCommand) else _declared(loaded)
        except Exception as error:  # noqa: BLE001 - a broken package must not stop the other commands
            package = entry.dist.name if entry.dist else entry.value
            print_err(f"The command {entry.name!r} of the package {package} was not loaded: {error}")
