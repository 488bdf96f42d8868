"""The kind of a tool's argument: a path, a URL, a command or other text."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Literal, TypeAlias

ArgumentKind: TypeAlias = Literal["path", "url", "command", "text"]
"""The kind of an argument of a tool, for the patterns that allow it and for the question that shows it."""
_FORMATS: Mapping[str, ArgumentKind] = {
    "path": "path",
    "file-path": "path",
    "directory-path": "path",
    "uri": "url",
    "url": "url",
    "iri": "url",
    "command": "command",
}
_NAMES: Mapping[str, ArgumentKind] = {
    **dict.fromkeys(("path", "paths", "filepath", "file", "files", "filename", "folder", "directory"), "path"),
    **dict.fromkeys(("source", "destination"), "path"),
    **dict.fromkeys(("url", "urls", "uri", "uris"), "url"),
    **dict.fromkeys(("command", "commands", "cmd"), "command"),
}
_MAX_LEVELS = 5
"""Levels of a schema that are searched for a `format`; references may form a cycle."""
_LAST_WORD = re.compile(r"[a-z]+$|[A-Z][a-z]+$|[A-Z]+$")


def kind_of(name: str, parameters: Mapping[str, Any]) -> ArgumentKind:
    """Return what an argument is, by its `format` in the JSON Schema, otherwise by the last word of its name."""
    properties = parameters.get("properties")
    for each in _parts(properties.get(name) if isinstance(properties, dict) else None, parameters):
        if kind := _FORMATS.get(str(each.get("format"))):
            return kind
    word = _LAST_WORD.search(name)
    return _NAMES.get(word[0].lower(), "text") if word else "text"


def _parts(schema: object, root: Mapping[str, Any], levels: int = _MAX_LEVELS) -> Iterator[Mapping[str, Any]]:
    """Yield a schema, the one that it refers to, and those of its alternatives and items; it may be anything."""
    if isinstance(schema, dict) and levels:
        yield schema
        alternatives = [each for key in ("anyOf", "oneOf", "allOf") if isinstance(each := schema.get(key), list)]
        for inner in (_referenced(schema.get("$ref"), root), schema.get("items"), *chain.from_iterable(alternatives)):
            yield from _parts(inner, root, levels - 1)


def _referenced(reference: object, root: Mapping[str, Any]) -> object:
    """Return the schema that a reference within the root means, None if there is none."""
    schema: object = root if isinstance(reference, str) and reference.startswith("#/") else None
    for step in str(reference).split("/")[1:]:
        schema = schema.get(step) if isinstance(schema, dict) else None
    return schema
