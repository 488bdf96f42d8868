"""The declaration of a slash command: a function with typed parameters and a docstring.

A parameter's type is one of the kinds below, or `Annotated[str, choices]`: the allowed words, or a function
that returns them.

Usage, help, completion and the generated reference come from the declaration; see `commands/sessions.py`.
"""

import inspect
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from msgspec import Struct

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import CommandResult
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import did_you_mean

Kind = Literal["text", "number", "session", "trashed", "object", "model", "command", "choice", "path"]
FreeText: TypeAlias = Annotated[str, "text"]
Number: TypeAlias = Annotated[int, "number"]
SessionKey: TypeAlias = Annotated[str, "session"]
TrashedKey: TypeAlias = Annotated[str, "trashed"]
ObjectName: TypeAlias = Annotated[str, "object"]
ModelName: TypeAlias = Annotated[str, "model"]
CommandName: TypeAlias = Annotated[str, "command"]
FilePath: TypeAlias = Annotated[str, "path"]
_MAX_DIGITS = 9


class Parameter(Struct, frozen=True):
    """A parameter of a command; the last one takes the rest of the line, including spaces."""

    name: str
    kind: Kind
    required: bool
    words: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words; empty if any is allowed."""
        return self.words() if callable(self.words) else self.words

    @property
    def usage(self) -> str:
        """The parameter in help texts: `<name>`, or `[name]` if it is optional."""
        word = "|".join(self.choices) or self.name
        return f"<{word}>" if self.required else f"[{word}]"

    def accepts(self, word: str) -> bool:
        """Return whether a word is a valid value."""
        if self.kind == "number":
            return word.isascii() and word.isdecimal() and len(word) <= _MAX_DIGITS
        return not self.choices or word in self.choices


class Command(Struct, frozen=True):
    """A declared command; one with `anytime` can also be used during an answer."""

    name: str
    parameters: tuple[Parameter, ...]
    summary: str
    help: str
    run: Callable[..., CommandResult]
    anytime: bool = False

    @property
    def usage(self) -> str:
        """The command line in help texts."""
        return " ".join((f"/{self.name}", *(parameter.usage for parameter in self.parameters)))

    def __call__(self, chat: Chat, arguments: str) -> CommandResult:
        """Run the command. Raises `UsageError` for wrong arguments, and the errors of the command."""
        return self.run(chat, **self._parse(arguments.strip()))

    def _parse(self, rest: str) -> dict[str, str | int]:
        values: dict[str, str | int] = {}
        for position, parameter in enumerate(self.parameters):
            is_last = position == len(self.parameters) - 1
            word = rest if is_last else rest.partition(" ")[0]
            if not word and parameter.required:
                noun = f"a number of {parameter.name}" if parameter.kind == "number" else f"a {parameter.name}"
                raise UsageError(f"/{self.name} needs {noun}.", hint=f"Usage: {self.usage}")
            if not word:
                continue
            if not parameter.accepts(word):
                hint = did_you_mean(word, parameter.choices)
                if not hint and not is_last and not parameter.required:
                    continue  # the word belongs to the next parameter
                choices = ", ".join(parameter.choices)
                problem = f"is not one of {choices}" if choices else "is not a whole number"
                raise UsageError(f"{word!r} {problem}.", hint=hint or f"Usage: {self.usage}")
            values[parameter.name] = int(word) if parameter.kind == "number" else word
            rest = rest[len(word) :].strip()
        if rest:
            raise UsageError(f"/{self.name} takes no arguments, not {rest!r}.", hint=f"Usage: {self.usage}")
        return values


def command(name: str, *, anytime: bool = False) -> Callable[[Callable[..., CommandResult]], Command]:
    """Declare a function as the command `name`. Its first parameter is the chat; the others have the kinds above.

    `anytime` is for commands that change nothing in the session of a running turn.
    """

    def declare(function: Callable[..., CommandResult]) -> Command:
        summary, _, more = inspect.cleandoc(function.__doc__ or "").partition("\n")
        hints = get_type_hints(function, include_extras=True)
        signature = list(inspect.signature(function).parameters.values())[1:]
        parameters = tuple(_parameter(each, hints[each.name]) for each in signature)
        return Command(name, parameters, summary, more.strip(), function, anytime)

    return declare


def _parameter(declared: inspect.Parameter, hint: Any) -> Parameter:
    required = declared.default is inspect.Parameter.empty
    options = [option for option in get_args(hint) if option is not NoneType]
    if get_origin(hint) is not Annotated and NoneType in get_args(hint):
        (hint,) = options  # X | None
    _, kind = get_args(hint)
    if isinstance(kind, tuple) or callable(kind):
        return Parameter(declared.name, "choice", required, kind)
    return Parameter(declared.name, kind, required)
