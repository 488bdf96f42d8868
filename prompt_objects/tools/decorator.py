"""`@tool`: a capability made from a typed Python function."""

import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, get_args, get_type_hints, overload

import msgspec
from msgspec import Struct

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Effect, Run, Tool
from prompt_objects.utils.concurrency import in_thread
from prompt_objects.utils.text import NAME

__all__ = [
    "checked",
    "schema_of",
    "tool",
]

T = TypeVar("T", bound=Struct)
_WHERE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(*, effect: Effect) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, effect: Effect = "read"
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a `Tool` of a function with types and a docstring: `@tool`, or `@tool(effect="write")`.

    The tool has the function's name; its description is the docstring's first paragraph. Its arguments are
    checked against the types before the function is called, and what a model reads of them is made of the types:
    `Annotated[int, Meta(ge=1, description="…")]`, with msgspec's `Meta`, says more than `int`. A parameter of type
    `Context` gets the context of the call, and is not shown. The function may be `async`; one that is not runs
    in a thread of its own. What it returns reaches the model as JSON, unless it is text; where it cannot do what it
    was asked it raises `ToolError`, in words for the model.

    Raises `TypeError` where the function leaves something unsaid.
    """
    if function is None:
        return lambda function: _made(function, effect)
    return _made(function, effect)


def _made(function: Callable[..., Any], effect: Effect) -> Tool:
    name = function.__name__
    if not re.fullmatch(NAME, name):
        raise TypeError(f"{name!r} cannot be a tool's name: a letter, then at most 63 letters, digits, _ or -.")
    description = " ".join((inspect.getdoc(function) or "").split("\n\n", 1)[0].split())
    if not description:
        raise TypeError(f"{name} needs a docstring: by it a model decides whether to use the tool.")
    hints = get_type_hints(function, include_extras=True)
    context_name = next((key for key, kind in hints.items() if key != "return" and _takes_context(kind)), None)
    arguments = _arguments(function, {key: kind for key, kind in hints.items() if key != context_name})
    return Tool(
        name=name,
        description=description,
        parameters=schema_of(arguments),
        run=_run(function, arguments, context_name),
        effect=effect,
    )


def _takes_context(kind: Any) -> bool:
    return kind is Context or Context in get_args(kind)


def _arguments(function: Callable[..., Any], hints: dict[str, Any]) -> type[Struct]:
    """Make the struct that a model's arguments must fit."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise TypeError(f"{function.__name__}: a model gives arguments by name, so {parameter} cannot be filled.")
        if parameter.name in hints:
            default = () if parameter.default is parameter.empty else (parameter.default,)
            fields.append((parameter.name, hints[parameter.name], *default))
        elif parameter.annotation is parameter.empty:
            raise TypeError(f"{function.__name__}: the parameter {parameter.name} needs a type.")
    return msgspec.defstruct(
        f"{function.__name__}_arguments", fields, kw_only=True, forbid_unknown_fields=True, module=function.__module__
    )


def schema_of(arguments: type[Struct]) -> dict[str, Any]:
    """Return the JSON Schema of arguments."""
    # msgspec learns what a struct looks like at its first use: that is to be now, when one thread knows of it, and
    # now it complains of types that it cannot tell apart.
    with suppress(msgspec.ValidationError):
        msgspec.convert({}, arguments)
    (reference,), components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    top = components.pop(reference["$ref"].removeprefix("#/$defs/"))
    schema = {key: value for key, value in top.items() if key != "title"}
    return {**schema, "$defs": components} if components else schema


def _run(function: Callable[..., Any], arguments: type[Struct], context_name: str | None) -> Run:
    async def run(given: dict[str, Any], context: Context) -> str:
        named = _named(given, arguments)
        if context_name is not None:
            named[context_name] = context
        if inspect.iscoroutinefunction(function):
            result = await _in_loop(function, named)
        else:
            result = await in_thread(function, named)
        return _as_text(result)

    return run


async def _in_loop(function: Callable[..., Any], named: dict[str, Any]) -> Any:
    """Call a coroutine function; what would end the loop it cannot have meant."""
    try:
        return await function(**named)
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"it raised {type(error).__name__}") from error


def _named(given: dict[str, Any], arguments: type[Struct]) -> dict[str, Any]:
    """Return the arguments by name, checked and with defaults; raises `ToolError`."""
    fitting = checked(given, arguments)
    return {name: getattr(fitting, name) for name in arguments.__struct_fields__}


def checked(given: dict[str, Any], arguments: type[T]) -> T:
    """Return what a model gave as arguments; raises `ToolError`, in words for it, where it does not fit."""
    try:
        return msgspec.convert(given, arguments)
    except msgspec.ValidationError as error:
        raise ToolError(f"{_in_words(str(error))} {_wanted(arguments)}") from None


def _in_words(problem: str) -> str:
    """Put what msgspec says into the words of somebody who gave arguments."""
    said, where = found.groups() if (found := _WHERE.fullmatch(problem)) else (problem, "")
    if missing := re.fullmatch(r"Object missing required field (`\w+`)", said):
        return f"{missing[1]} is missing{f' in `{where}`' if where else ''}."
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", said, re.DOTALL):
        return f"There is no argument {unknown[1][:60]!r}{f' in `{where}`' if where else ''}."
    return f"`{where}` does not fit: {said[:1].lower()}{said[1:]}." if where else f"{said}."


def _wanted(arguments: type[Struct]) -> str:
    fields = msgspec.structs.fields(arguments)
    needed = ", ".join(f"`{field.name}`" for field in fields if field.required)
    others = ", ".join(f"`{field.name}`" for field in fields if not field.required)
    return f"Needed: {needed or 'nothing'}; may be given: {others or 'nothing else'}."


def _as_text(result: Any) -> str:
    if isinstance(result, str):
        return result.encode(errors="replace").decode()  # names of files may hold what is no text, and cannot be kept
    try:
        return msgspec.json.encode(result).decode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(result).__name__
        raise ToolError(f"The tool is faulty: it returned {kind}, which cannot be written as JSON.") from error
