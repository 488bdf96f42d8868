"""Conversion of a YAML document to a typed struct, with errors at the position of the invalid value."""

import re
from collections.abc import Iterable, Iterator
from threading import Lock
from types import EllipsisType
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from prompt_objects.config.yaml.document import YamlDocument, quoted
from prompt_objects.errors import FileError
from prompt_objects.utils.text import did_you_mean

_EXPECTED = "expected"
# msgspec (0.22) inspects a struct at its first use, and crashes the process if two threads do so at the same time;
# see tests/config/yaml/test_convert.py.
_CONVERT_LOCK = Lock()
T = TypeVar("T")
_Steps: TypeAlias = tuple[str | int | EllipsisType, ...]  # `...` is a key that msgspec does not name
_ERROR_PATH = re.compile(r"(.*?)(?: - at `\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


def convert(document: YamlDocument, kind: type[T]) -> T:
    """Convert the document's data to `kind`; raises the document's error if it does not match."""
    try:
        with _CONVERT_LOCK:
            return msgspec.convert(document.data, type=kind)
    except msgspec.ValidationError as error:
        raise _conversion_error(document, kind, error) from None


def expected(description: str, **constraints: Any) -> Any:
    """Return the `Meta` of a type that errors describe in these words."""
    return msgspec.Meta(extra={_EXPECTED: description}, **constraints)


NonEmpty: TypeAlias = Annotated[str, expected("text that is not empty", pattern=r"\S")]


def label(path: Iterable[str | int]) -> str:
    """Return a path as users write it: `limits.requests`, `capabilities[0].po`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"`{text.removeprefix('.')}`" if len(text) <= 100 else f"`…{text[-99:]}`"  # noqa: PLR2004


def _conversion_error(document: YamlDocument, kind: type, error: msgspec.ValidationError) -> FileError:
    message, steps = _split_error(error)
    path = _full_path(document.data, kind, steps)
    value = _value_at(document.data, path)
    types = list(_types_at(kind, path))
    if message.startswith("Object contains unknown field"):
        return _unknown_key(document, path, value, types)
    if missing := _MISSING.fullmatch(message):
        owner = f"{label(path)} has no" if path else "There is no"
        return document.error_at(f"{owner} `{missing[1]}`.", document.position_of(*path))
    return _wrong_value(document, path, value, types)


def _split_error(error: msgspec.ValidationError) -> tuple[str, _Steps]:
    found = _ERROR_PATH.fullmatch(str(error))
    message, where = (found[1], found[2] or "") if found else (str(error), "")
    steps = (step[1] or (int(step[2]) if step[2] else ...) for step in _STEP.finditer(where))
    return message, tuple(steps)


def _unknown_key(document: YamlDocument, path: tuple[str | int, ...], value: Any, types: list[Any]) -> FileError:
    known = [field.encode_name for kind in types for field in getattr(kind, "fields", ())]
    key = next(key for key in value if key not in known)
    inside = f" in {label(path)}" if path else ""
    hint = did_you_mean(key, known) or f"It may be one of: {', '.join(known)}."
    at = document.position_of(*path, key, key=True)
    return document.error_at(f"Unknown key {quoted(key)}{inside}.", at, hint=hint)


def _wrong_value(document: YamlDocument, path: tuple[str | int, ...], value: Any, types: list[Any]) -> FileError:
    at, source = document.position_of(*path), document.source_of(*path)
    subject = label(path) if path else "The file"
    wanted = " or ".join(dict.fromkeys(_expected(kind) for kind in types))
    if value is None:
        return document.error_at(f"{subject} has no value; it must be {wanted}.", at)
    allowed = [str(word) for kind in types for word in getattr(kind, "values", ())]
    hint = did_you_mean(source, allowed)
    if isinstance(value, (bool, int, float)) and _accepts(types, source):
        hint = f'Quote it: "{source}"'
    found = "text" if not path and isinstance(value, str) else _describe(value, source)
    return document.error_at(f"{subject} must be {wanted}, not {found}.", at, hint=hint)


def _accepts(types: list[Any], text: str) -> bool:
    plain = {type(kind).__name__: kind for kind in (getattr(kind, "type", kind) for kind in types)}
    wanted = None if plain.keys() & {"IntType", "FloatType", "BoolType"} else plain.get("StrType")
    return wanted is not None and bool(re.search(wanted.pattern or "", text))


def _describe(value: Any, source: str) -> str:
    match value:
        case bool():
            return f"the yes/no value {source}"
        case int() | float():
            return f"the number {source}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return quoted(source)  # as written, since the value of a variable may be secret


def _expected(kind: Any) -> str:
    match type(kind).__name__:
        case "Metadata":
            description = str(kind.extra[_EXPECTED])
        case "IntType":
            description = "a whole number" + _bounds(kind)
        case "FloatType":
            description = "a number" + _bounds(kind)
        case "LiteralType":
            description = "one of " + ", ".join(f"`{word}`" for word in kind.values)
        case "BoolType":
            description = "true or false"
        case "StrType":
            description = "text"
        case "ListType" | "VarTupleType":
            description = "a list"
        case _:
            description = "a mapping of keys to values"
    return description


def _bounds(kind: Any) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    if kind.gt is not None:
        return f" above {kind.gt}"
    return f" of at least {kind.ge}" if kind.ge is not None else ""


def _types_at(kind: type, path: Iterable[str | int]) -> Iterator[Any]:
    from msgspec import inspect

    types = list(_alternatives(inspect.type_info(kind)))
    for step in path:
        types = [choice for each in types for inner in _inside(each, step) for choice in _alternatives(inner)]
    yield from types


def _alternatives(kind: Any) -> Iterator[Any]:
    match type(kind).__name__:
        case "Metadata" if not (kind.extra and _EXPECTED in kind.extra):
            yield from _alternatives(kind.type)
        case "UnionType":
            for each in kind.types:
                yield from _alternatives(each)
        case "NoneType":
            return
        case _:
            yield kind


def _inside(kind: Any, step: str | int) -> Iterator[Any]:
    match type(kind).__name__:
        case "StructType":
            yield from (field.type for field in kind.fields if field.encode_name == step)
        case "ListType" | "VarTupleType":
            yield kind.item_type
        case "DictType":
            yield kind.value_type


def _value_at(data: Any, path: Iterable[str | int]) -> Any:
    for step in path:
        data = data[step]
    return data


def _full_path(data: Any, kind: type, steps: _Steps) -> tuple[str | int, ...]:
    """Replace each `...` by the invalid key: msgspec does not name the keys of a mapping."""
    path: list[str | int] = []
    for step in steps:
        path.append(_invalid_key(data, kind, tuple(path)) if isinstance(step, EllipsisType) else step)
    return tuple(path)


def _invalid_key(data: Any, kind: type, path: tuple[str | int, ...]) -> str:
    """Bisect the mapping at `path` until one invalid entry is left."""
    mapping = _value_at(data, path)
    keys = list(mapping)
    while len(keys) > 1:
        half = keys[: len(keys) // 2]
        fits = _fits(_replaced(data, path, {key: mapping[key] for key in half}), kind, path)
        keys = keys[len(half) :] if fits else half
    return str(keys[0])


def _fits(data: Any, kind: type, path: tuple[str | int, ...]) -> bool:
    try:
        msgspec.convert(data, type=kind)
    except msgspec.ValidationError as error:
        _, steps = _split_error(error)
        return len(steps) <= len(path) or any(
            step not in (..., wanted) for step, wanted in zip(steps, path, strict=False)
        )
    return True


def _replaced(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy = data.copy()
    copy[path[0]] = _replaced(copy[path[0]], path[1:], value)
    return copy
