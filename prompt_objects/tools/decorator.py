"""`@tool`: makes a tool from a typed Python function."""

import inspect
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar, get_args, get_type_hints, overload

import msgspec
from msgspec import Struct

from prompt_objects.config.permissions import Effect
from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Preview, Tool
from prompt_objects.utils.concurrency import run_in_daemon_thread
from prompt_objects.utils.text import NAME_PATTERN, valid_unicode

R = TypeVar("R")
T = TypeVar("T", bound=Struct)
Function: TypeAlias = Callable[..., Any]
_JSON_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "object": "object"}
_PYTHON_TYPE = re.compile("`(" + "|".join(_JSON_TYPES) + ")`")
_FIELD = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


@overload
def tool(function: Function, /) -> Tool: ...
@overload
def tool(*, effect: Effect = "read", preview: Function | None = None) -> Callable[[Function], Tool]: ...
def tool(
    function: Function | None = None, /, *, effect: Effect = "read", preview: Function | None = None
) -> Tool | Callable[[Function], Tool]:
    """Make a `Tool` from a function with types and a docstring: `@tool`, or `@tool(effect="write")`.

    The tool has the function's name; its description is the first paragraph of the docstring. A model's arguments are
    checked against the types before the function is called. The JSON Schema that the model reads is made from the
    types too: `Annotated[int, Meta(ge=1, description="…")]`, with msgspec's `Meta`, says more than `int`. A parameter
    of type `Context` gets the context of the call and is not part of the schema. The function may be `async`; if it
    is not, it runs in a thread. A result that is not text reaches the model as JSON. If a call cannot be carried out,
    the function raises `ToolError`, with a message for the model.

    `preview` is a function with the same parameters. It returns what the user is shown before they approve a call: a
    unified diff, or a `Preview`.

    Raises `TypeError` if a docstring or a type is missing.
    """
    if function is None:
        return lambda function: _make_tool(function, effect, preview)
    return _make_tool(function, effect, preview)


def _make_tool(function: Function, effect: Effect, preview: Function | None) -> Tool:
    name = function.__name__
    if not re.fullmatch(NAME_PATTERN, name):
        raise TypeError(f"{name!r} cannot be a tool's name: a letter, then at most 63 letters, digits, _ or -.")
    description = " ".join((inspect.getdoc(function) or "").split("\n\n", 1)[0].split())
    if not description:
        raise TypeError(f"{name} needs a docstring: the model decides by it whether to use the tool.")
    hints = get_type_hints(function, include_extras=True)
    context_name = _context_name(hints)
    arguments = _arguments_struct(function, {key: kind for key, kind in hints.items() if key != context_name})
    return Tool(
        name=name,
        description=description,
        parameters=schema_of(arguments),
        run=_make_call(function, arguments, context_name, _as_text),
        effect=effect,
        preview=preview and _make_call(preview, arguments, _context_name(get_type_hints(preview)), _as_preview),
    )


def _context_name(hints: dict[str, Any]) -> str | None:
    return next(
        (key for key, kind in hints.items() if key != "return" and (kind is Context or Context in get_args(kind))),
        None,
    )


def _arguments_struct(function: Function, hints: dict[str, Any]) -> type[Struct]:
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
    # msgspec resolves a struct's types at its first use, which is not thread-safe; and it raises TypeError for types
    # that it cannot tell apart. Both should happen now.
    with suppress(msgspec.ValidationError):
        msgspec.convert({}, arguments)
    (reference,), components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    top = components.pop(reference["$ref"].removeprefix("#/$defs/"))
    schema = {key: value for key, value in top.items() if key != "title"}
    return {**schema, "$defs": components} if components else schema


def parse_arguments(given: dict[str, Any], arguments: type[T]) -> T:
    """Convert a model's arguments. Raises `ToolError`, with a message for the model, if they do not fit."""
    try:
        return msgspec.convert(given, arguments)
    except msgspec.ValidationError as error:
        raise ToolError(f"{_describe_error(str(error))} {_describe_arguments(arguments)}") from None


def _make_call(
    function: Function, arguments: type[Struct], context_name: str | None, convert: Callable[[Any], R]
) -> Callable[[dict[str, Any], Context], Awaitable[R]]:
    async def call(given: dict[str, Any], context: Context) -> R:
        parsed = parse_arguments(given, arguments)
        named = {name: getattr(parsed, name) for name in arguments.__struct_fields__}
        if context_name is not None:
            named[context_name] = context
        if not inspect.iscoroutinefunction(function):
            return convert(await run_in_daemon_thread(partial(function, **named)))
        try:
            return convert(await function(**named))
        except (SystemExit, KeyboardInterrupt) as error:  # these would end the event loop
            raise RuntimeError(f"it raised {type(error).__name__}") from error

    return call


def _describe_error(problem: str) -> str:
    problem = _PYTHON_TYPE.sub(lambda match: f"`{_JSON_TYPES[match[1]]}`", problem)
    text, field = match.groups() if (match := _FIELD.fullmatch(problem)) else (problem, "")
    if missing := re.fullmatch(r"Object missing required field (`\w+`)", text):
        return f"{missing[1]} is missing{f' in `{field}`' if field else ''}."
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", text, re.DOTALL):
        return f"There is no argument {unknown[1][:60]!r}{f' in `{field}`' if field else ''}."
    return f"`{field}` is invalid: {text[:1].lower()}{text[1:]}." if field else f"{text}."


def _describe_arguments(arguments: type[Struct]) -> str:
    fields = msgspec.structs.fields(arguments)
    required = ", ".join(f"`{field.name}`" for field in fields if field.required)
    optional = ", ".join(f"`{field.name}`" for field in fields if not field.required)
    return f"Required: {required or 'none'}; optional: {optional or 'none'}."


def _as_preview(result: Any) -> Preview:
    return result if isinstance(result, Preview) else Preview(str(result))


def _as_text(result: Any) -> str:
    if isinstance(result, str):
        return valid_unicode(result)  # file names may hold surrogates, which cannot be saved
    try:
        return msgspec.json.encode(result).decode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(result).__name__
        raise ToolError(f"The tool is faulty: it returned {kind}, which cannot be written as JSON.") from error
