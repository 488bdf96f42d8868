"""Parsing of the command line. Only the parser of the command that was typed is built."""

import argparse
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from prompt_objects.cli.command import ShellCommand
from prompt_objects.cli.commands import all_commands, commands_in_group, find, is_group
from prompt_objects.errors import UsageError

PROGRAM = "prompt-objects"
_ALIASES = {"--list-sessions": "sessions list"}
_MESSAGE = {"-p", "--prompt"}


class _Parser(argparse.ArgumentParser):
    """Parses the arguments of a command; without one, it prints the help of a group of commands."""

    def __init__(self, name: str, command: ShellCommand | None) -> None:
        super().__init__(
            prog=f"{PROGRAM} {name}".rstrip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._name, self._command = name, command
        for each in (*command.arguments, *command.common) if command else ():
            self.add_argument(*each.names, **each.settings)

    def format_help(self) -> str:
        if command := self._command:
            self.description = _wrapped(f"{command.summary}\n\n{command.help}".rstrip())
        self.epilog = _epilog(self._name, self._command)  # only now, since it reads all commands
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split()).replace("usage:", "Usage:", 1)
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=usage)

    def _print_message(self, message: str, file: object = None) -> None:
        from prompt_objects.cli.streams import flush, print_out

        del file  # always standard output: `error` raises
        print_out(message, end="")
        flush()


def parse(arguments: Sequence[str], options: argparse.Namespace) -> ShellCommand:
    """Parse the command line into `options`, and return the command. Raises `UsageError`; help exits with 0."""
    name, rest = _split(arguments)
    command = None if is_group(name) else find(name)
    parser = _Parser(name, command)
    if command is None:
        parser.parse_known_args(rest)  # prints help if it was asked for
        raise UsageError(f"{name}: missing subcommand.", hint=_list_words(f"{name} "))
    parser.parse_args(rest, options)
    return command


def _split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the name of the command, and the other arguments, options first. Raises `UsageError`."""
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
            options += _take_option(word, words, name)
        elif name and not is_group(name):
            values.append(word)
        elif is_group(longer := f"{name} {word}".lstrip()) or find(longer):
            name = longer
        else:
            raise _unknown_command(name, word)
    return name, [*options, *(["--", *values] if values else [])]


def _take_option(option: str, words: deque[str], name: str) -> list[str]:
    """Take the values of an option from the words that follow it. The text of `-p` may follow other options."""
    taken = list[str]()
    while option in _MESSAGE and words and words[0] != "--" and _is_option(words[0], name):
        taken += _take_option(words.popleft(), words, name)
    taken.append(option)
    for _ in range(_number_of_values(option, name)):
        if not words or not _takes_value(option, words[0], name):
            break
        value = words.popleft()
        if value.startswith("-") and not _is_option(value, name):
            taken[-1] += f"={value}"  # otherwise argparse takes it for an option
        else:
            taken.append(value)
    return taken


def _is_option(word: str, name: str) -> bool:
    return word in {"--", "-h", "--help"} or _declaration(word.partition("=")[0], name) is not None


def _declaration(option: str, name: str) -> Mapping[str, Any] | None:
    arguments = (each for command in _candidates(name) for each in (*command.arguments, *command.common))
    return next((settings for names, settings in arguments if option in names), None)


def _number_of_values(option: str, name: str) -> int:
    number = (_declaration(option, name) or {}).get("nargs")
    return number if isinstance(number, int) else 1


def _takes_value(option: str, word: str, name: str) -> bool:
    """Return whether `word` is the value of an option that may stand before the rest of the command's name."""
    settings = None if "=" in option else _declaration(option, name)
    if settings is None or settings.get("action") not in {None, "append"}:
        return False
    return settings.get("nargs") != "?" or word.isdecimal()


def _candidates(name: str) -> Iterator[ShellCommand]:
    """Yield the commands that start with `name`, then all, whose options count if those have no such option."""
    yield from (
        command for known, command in commands_in_group(name.partition(" ")[0]).items() if known.startswith(name)
    )
    yield from all_commands().values()


def _unknown_command(group: str, word: str) -> UsageError:
    import shlex

    from prompt_objects.utils.text import did_you_mean, quoted

    prefix = f"{group} " if group else ""
    hint = did_you_mean(word, _words(prefix)) or _list_words(prefix)
    if not group:
        hint += f"\nTo send a message: {PROGRAM} -p {shlex.quote(word)}"
    return UsageError(f"There is no command {quoted(prefix + word)}.", hint=hint)


def _list_words(prefix: str) -> str:
    return f"Available: {', '.join(_words(prefix))}."


def _words(prefix: str) -> dict[str, None]:
    """Return the words that may follow `prefix`, each once."""
    following = (name.removeprefix(prefix) for name in all_commands() if name and name.startswith(prefix))
    return dict.fromkeys(name.split()[0] for name in following)


def _wrapped(text: str) -> str:
    """Wrap a text to the screen, at words."""
    from prompt_objects.cli.streams import screen_width
    from prompt_objects.ui.render.text import word_wrap

    return "\n".join(word_wrap(text, screen_width()))


def _command_rows(prefix: str) -> Iterator[str]:
    """Yield the commands whose names begin with `prefix`, wrapped to the screen."""
    from prompt_objects.cli.streams import screen_width
    from prompt_objects.ui.render.table import layout

    indent = "  "
    rows = [(known, each.summary) for known, each in all_commands().items() if known.startswith(prefix) and known]
    for lines in layout(rows, screen_width() - len(indent)):
        yield from (f"{indent}{line}" for line in lines)


def _epilog(name: str, command: ShellCommand | None) -> str:
    """List the examples of a command, and the commands of a group or of the program."""
    parts = []
    if command and command.examples:
        parts.append("\n".join(["examples:", *(f"  {PROGRAM} {example}" for example in command.examples)]))
    if not name or not command:
        parts.append("\n".join(["commands:", *_command_rows(name)]))
    return "\n\n".join(parts)
