"""Conversion of a YAML document to a typed struct, with errors at the position of the invalid value."""

import re
from collections.abc import Iterable, Iterator
from threading import Lock
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
_Path: TypeAlias = tuple[str | int, ...]
_ERROR_PATH = re.compile(r" - at (?:`key` in )?`\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`\Z")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"Object contains unknown field|.* - at `key` in ", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")

_DESCRIPTIONS = {"BoolType": "true or false", "StrType": "text", "ListType": "a list", "VarTupleType": "a list"}


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
    from msgspec import inspect

    path = _path_of(error, document.data, kind)
    value = _value_at(document.data, path)
    types = list(_types_at(inspect.type_info(kind), path))
    if _UNKNOWN.match(str(error)):
        return _unknown_key(document, path, value, types)
    if missing := _MISSING.match(str(error)):
        owner = f"{label(path)} has no" if path else "There is no"
        return document.error_at(f"{owner} `{missing[1]}`.", document.position_of(*path))
    return _wrong_value(document, path, value, types)


def _unknown_key(document: YamlDocument, path: _Path, value: Any, types: list[Any]) -> FileError:
    known = [field.encode_name for kind in types for field in getattr(kind, "fields", ())]
    known += [key for kind in types for key in getattr(getattr(kind, "key_type", None), "values", ())]
    key = next(key for key in value if key not in known)
    inside = f" in {label(path)}" if path else ""
    hint = did_you_mean(key, known) or f"It may be one of: {', '.join(known)}."
    at = document.position_of(*path, key, key=True)
    return document.error_at(f"Unknown key {quoted(key)}{inside}.", at, hint=hint)


def _wrong_value(document: YamlDocument, path: _Path, value: Any, types: list[Any]) -> FileError:
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
            return str(kind.extra[_EXPECTED])
        case "IntType":
            return "a whole number" + _bounds(kind)
        case "FloatType":
            return "a number" + _bounds(kind)
        case "LiteralType":
            return "one of " + ", ".join(f"`{word}`" for word in kind.values)
        case name:
            return _DESCRIPTIONS.get(name, "a mapping of keys to values")


def _bounds(kind: Any) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    if kind.gt is not None:
        return f" above {kind.gt}"
    return f" of at least {kind.ge}" if kind.ge is not None else ""


def _types_at(kind: Any, path: _Path) -> Iterator[Any]:
    """Yield the alternatives of the type at `path`, without null."""
    inner: Any = ()
    rest = path[1:]
    match type(kind).__name__:
        case "UnionType":
            inner, rest = kind.types, path
        case "Metadata" if path or not (kind.extra and _EXPECTED in kind.extra):
            inner, rest = (kind.type,), path
        case "StructType" if path:
            inner = [field.type for field in kind.fields if field.encode_name == path[0]]
        case "ListType" | "VarTupleType" if path:
            inner = (kind.item_type,)
        case "DictType" if path:
            inner = (kind.value_type,)
        case name if name != "NoneType" and not path:
            yield kind
    for each in inner:
        yield from _types_at(each, rest)


def _value_at(data: Any, path: _Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _path_of(error: msgspec.ValidationError, data: Any, kind: type) -> _Path:
    """Return the path of an error; the keys of mappings, which msgspec does not name, are found by bisection."""
    path: _Path = ()
    found = _ERROR_PATH.search(str(error))
    for name, index in _STEP.findall(found[1] if found else ""):
        step = name or (int(index) if index else None)
        if step is None:
            entries = list(_value_at(data, path).items())
            while len(entries) > 1:
                half = entries[: len(entries) // 2]
                is_cause = _error_in(_replaced(data, path, dict(half)), kind) == str(error)
                entries = half if is_cause else entries[len(half) :]
            data = _replaced(data, path, dict(entries))
            step = entries[0][0]
        path = (*path, step)
    return path


def _error_in(data: Any, kind: type) -> str:
    try:
        msgspec.convert(data, type=kind)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _replaced(data: Any, path: _Path, value: Any) -> Any:
    if not path:
        return value
    copy = data.copy()
    copy[path[0]] = _replaced(copy[path[0]], path[1:], value)
    return copy
