"""The slash commands: how one is declared, how all are found, and how a typed line runs one.

A command is a function with typed parameters and a docstring, in a module here or in an entry point of the group
`GROUP`. A parameter's type is `str`, `int`, one of the kinds below, or `Annotated[str, choices]`: the allowed words,
or a function that returns them. A keyword-only parameter is an option, `--name VALUE`. Usage, help, completion and
the generated reference come from the declaration; see `sessions.py`. The help lists the commands of a module under
its `TITLE`.
"""

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module
from types import ModuleType, NoneType
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from msgspec import Struct

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import CommandResult, Confirm, Send, Text
from prompt_objects.errors import NotFound, UsageError
from prompt_objects.utils.text import did_you_mean, quoted

GROUP = "prompt_objects.commands"
"""Entry points of installed packages: each names a command, or a module that declares commands."""

Kind = Literal["text", "number", "session", "trashed", "object", "model", "command", "choice", "path"]
FreeText: TypeAlias = Annotated[str, "text"]
Number: TypeAlias = Annotated[int, "number"]
SessionKey: TypeAlias = Annotated[str, "session"]
TrashedKey: TypeAlias = Annotated[str, "trashed"]
ObjectName: TypeAlias = Annotated[str, "object"]
ModelName: TypeAlias = Annotated[str, "model"]
CommandName: TypeAlias = Annotated[str, "command"]
FilePath: TypeAlias = Annotated[str, "path"]
_PLAIN_TYPES = {str: FreeText, int: Number}
_MAX_DIGITS = 9


class Parameter(Struct, frozen=True):
    """A parameter of a command; the last one takes the rest of the line, including spaces."""

    name: str
    kind: Kind
    required: bool
    words: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()
    is_option: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words; empty if any is allowed."""
        return self.words() if callable(self.words) else self.words

    @property
    def usage(self) -> str:
        """The parameter in help texts: `<name>`, or `[name]` if it is optional; an option is `[--name <name>]`."""
        if self.is_option:
            return f"[--{self.name} <{self.kind}>]"
        word = "|".join(self.choices) or self.name
        return f"<{word}>" if self.required else f"[{word}]"

    def accepts(self, word: str) -> bool:
        """Return whether a word is a valid value."""
        if self.kind == "number":
            return word.isascii() and word.isdecimal() and len(word) <= _MAX_DIGITS
        return not self.choices or word in self.choices

    def parse(self, word: str, usage: str) -> str | int:
        """Return the value of a word. Raises `UsageError`."""
        if not self.accepts(word):
            choices = ", ".join(self.choices)
            problem = f"is not one of {choices}" if choices else "is not a whole number"
            hint = did_you_mean(word, self.choices) or f"Usage: {usage}"
            raise UsageError(f"{quoted(word)} {problem}.", hint=hint)
        return int(word) if self.kind == "number" else word


class SlashCommand(Struct, frozen=True):
    """A declared command.

    - `anytime`: it can also be used during an answer.
    - `is_common`: the help lists it first.
    - `aliases`: other words for it, which users of other programs type.
    - `suggested_for`: words that may mean it; as commands they are errors that name it.
    - `bare_words`: messages that may mean it; the user is asked.
    - `title`: the part of the help that lists it.
    """

    name: str
    parameters: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    summary: str
    help: str
    run: Callable[..., CommandResult]
    anytime: bool = False
    is_common: bool = False
    aliases: tuple[str, ...] = ()
    suggested_for: tuple[str, ...] = ()
    bare_words: tuple[str, ...] = ()
    title: str = "Other commands"

    @property
    def usage(self) -> str:
        return " ".join((f"/{self.name}", *(each.usage for each in (*self.parameters, *self.options))))

    def parse(self, arguments: str) -> dict[str, str | int]:
        """Return the arguments by name. Raises `UsageError`."""
        values, rest = self._parse_options(arguments.strip())
        for position, parameter in enumerate(self.parameters):
            is_last = position == len(self.parameters) - 1
            word = rest if is_last else rest.partition(" ")[0]
            if not word and parameter.required:
                noun = f"a number of {parameter.name}" if parameter.kind == "number" else f"a {parameter.name}"
                raise UsageError(f"/{self.name} needs {noun}.", hint=f"Usage: {self.usage}")
            if not word:
                continue
            is_optional = not is_last and not parameter.required
            if is_optional and not parameter.accepts(word) and not did_you_mean(word, parameter.choices):
                continue  # the word belongs to the next parameter
            values[parameter.name] = parameter.parse(word, self.usage)
            rest = rest[len(word) :].strip()
        if rest:
            raise UsageError(f"/{self.name} takes no arguments.", hint=f"Usage: {self.usage}")
        return values

    def _parse_options(self, arguments: str) -> tuple[dict[str, str | int], str]:
        """Return the values of options, and the rest of the arguments."""
        values: dict[str, str | int] = {}
        for option in self.options:
            if found := re.search(rf"(?:^|\s)--{option.name}(?:[\s=]+(\S+))?(?=\s|$)", arguments):
                if not found[1]:
                    raise UsageError(f"--{option.name} needs a {option.kind}.", hint=f"Usage: {self.usage}")
                values[option.name] = option.parse(found[1], self.usage)
                arguments = f"{arguments[: found.start()]} {arguments[found.end() :]}".strip()
        return values, arguments


def slash_command(  # noqa: PLR0913 - all but the name are keyword arguments
    name: str,
    *,
    anytime: bool = False,
    is_common: bool = False,
    aliases: tuple[str, ...] = (),
    suggested_for: tuple[str, ...] = (),
    bare_words: tuple[str, ...] = (),
) -> Callable[[Callable[..., CommandResult]], SlashCommand]:
    """Declare a function as the command `name`. Its first parameter is the chat; the others have the kinds above.

    `anytime` is for commands that change nothing in the session of a running turn; see `SlashCommand` for the rest.
    """

    def declare(function: Callable[..., CommandResult]) -> SlashCommand:
        summary, _, more = inspect.cleandoc(function.__doc__ or "").partition("\n")
        hints = get_type_hints(function, include_extras=True)
        signature = list(inspect.signature(function).parameters.values())[1:]
        declared = [_parameter(each, hints.get(each.name, str)) for each in signature]
        return SlashCommand(
            name,
            tuple(each for each in declared if not each.is_option),
            tuple(each for each in declared if each.is_option),
            summary,
            more.strip(),
            function,
            anytime,
            is_common,
            aliases,
            suggested_for,
            bare_words,
            function.__globals__.get("TITLE", "Other commands"),
        )

    return declare


def _parameter(declared: inspect.Parameter, hint: Any) -> Parameter:
    required, is_option = declared.default is declared.empty, declared.kind is declared.KEYWORD_ONLY
    if get_origin(hint) is not Annotated and NoneType in get_args(hint):
        (hint,) = (option for option in get_args(hint) if option is not NoneType)  # X | None
    hint = _PLAIN_TYPES.get(hint, hint)
    if get_origin(hint) is not Annotated:
        raise TypeError(f"The parameter {declared.name} is neither str nor int nor one of the kinds in {__name__}.")
    kind = get_args(hint)[1]
    if isinstance(kind, tuple) or callable(kind):
        return Parameter(declared.name, "choice", required, kind, is_option)
    return Parameter(declared.name, kind, required, is_option=is_option)


@cache
def all_commands() -> dict[str, SlashCommand]:
    """Return every command by name, in alphabetical order; a built-in command cannot be replaced."""
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    built_in = {command.name: command for module in modules for command in _declared(module)}
    commands = {command.name: command for command in _installed()} | built_in
    return dict(sorted(commands.items()))


@cache
def _by_alias() -> dict[str, SlashCommand]:
    aliases = {alias: command for command in all_commands().values() for alias in command.aliases}
    return {alias: command for alias, command in aliases.items() if alias not in all_commands()}


def _declared(source: object) -> list[SlashCommand]:
    values = vars(source).values() if isinstance(source, ModuleType) else [source]
    return [value for value in values if isinstance(value, SlashCommand)]


def _installed() -> Iterator[SlashCommand]:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            yield from _declared(entry.load())
        except Exception as error:  # noqa: BLE001 - a faulty package must not break the other commands
            yield _broken(entry.name, f"/{entry.name} cannot be loaded from {entry.value}: {error!r}")


def _broken(name: str, problem: str) -> SlashCommand:
    def fail(_chat: Chat, **_: str) -> CommandResult:
        raise UsageError(problem, hint="Update or uninstall the package that provides it.")

    rest = (Parameter("arguments", "text", required=False),)
    return SlashCommand(name, rest, (), "Cannot be loaded.", problem, fail)


def parse_input(text: str) -> tuple[bool, str]:
    """Return whether a text is a command, and the command or message; `//` begins a message that begins with /."""
    if text.startswith("//"):
        return False, text.removeprefix("/")
    return text.startswith("/"), text


def escape(message: str) -> str:
    """Return the text that has to be typed to send a message."""
    return f"/{message}" if message.startswith("/") else message


def find(line: str) -> tuple[SlashCommand, str]:
    """Return the command that a line names by one or two words, by none `/help`, and its arguments; or `NotFound`."""
    commands = all_commands()
    first, _, rest = (line.strip().removeprefix("/") or "help").partition(" ")
    second, _, rest_of_two = rest.strip().partition(" ")
    if f"{first} {second}" in commands:
        return commands[f"{first} {second}"], rest_of_two
    if first in _by_alias():
        return _by_alias()[first], rest
    subcommands = [name.partition(" ")[2] for name in commands if name.startswith(f"{first} ")]
    if first in commands and not (second and subcommands):
        return commands[first], rest
    if subcommands:
        names = ", ".join(f"/{first} {name}" for name in subcommands)
        hint = did_you_mean(second, subcommands) or f"Available: {names}."
        problem = f"There is no command /{first} {second}." if second else f"/{first}: missing subcommand."
        raise NotFound(problem, hint=hint)
    meant = [f"{command.usage}: {command.summary}" for command in commands.values() if first in command.suggested_for]
    hint = "\n".join(meant) or did_you_mean(f"/{first}", [f"/{name}" for name in (*commands, *_by_alias())])
    raise NotFound(f"There is no command /{first}.", hint=hint or "See /help; // sends a message that begins with /.")


def subcommands_of(name: str) -> list[SlashCommand]:
    """Return the commands whose first word is `name`; none if there is only one."""
    found = [command for known, command in all_commands().items() if known.partition(" ")[0] == name]
    return found if len(found) > 1 else []


def question_about(chat: Chat, message: str) -> Confirm | None:
    """Return the question whether a message is meant as a command, if it may be: `exit`, or `.help` as in aichat."""
    word = message.strip().casefold()
    command = next((each for each in all_commands().values() if word in each.bare_words), None)
    if command is None and word.startswith("."):
        command = all_commands().get(word[1:]) or _by_alias().get(word[1:])
    if command is None:
        return None
    text = f"Do you mean {command.usage}? y runs it, n sends your message, Enter does neither."
    return Confirm(text, partial(run, chat, f"/{command.name}"), partial(Send, "", message))


def confirm(question: Confirm, answer: str) -> CommandResult:
    """Carry out the confirmed action if the answer is a plain yes, or the alternative if it is a plain no."""
    match answer.strip().casefold():
        case "y" | "yes":
            return question.on_yes()
        case "n" | "no" if question.on_no:
            return question.on_no()
        case _:
            return Text("Nothing was changed.")


def run(chat: Chat, line: str) -> CommandResult:
    """Run a command line. Raises `PromptObjectsError`, and then nothing was changed."""
    command, arguments = find(line)
    return command.run(chat, **command.parse(arguments))
