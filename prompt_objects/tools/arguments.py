"""Arguments of a call in the form that the schema of a tool describes, if a model's meaning is plain.

Models send `null` for an optional argument, a JSON string in place of an object or an array, and numbers as text.
Each of these would cost another request.
"""

import json
from typing import Any

_KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def plain_arguments(given: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return arguments without `null` for optional ones, and with JSON texts replaced by what they stand for."""
    properties, required = schema.get("properties"), schema.get("required") or ()
    if not isinstance(properties, dict):
        return given
    plain = {}
    for name, value in given.items():
        kinds = _kinds(properties.get(name), schema)
        if value is None and kinds and "null" not in kinds and name not in required:
            continue
        plain[name] = _parsed(value, kinds) if isinstance(value, str) else value
    return plain


def _kinds(field: object, schema: dict[str, Any]) -> set[str]:
    """Return the JSON types that a property accepts; empty if the schema does not say it plainly."""
    if not isinstance(field, dict):
        return set()
    if isinstance(reference := field.get("$ref"), str):
        definitions = schema.get("$defs")
        target = reference.removeprefix("#/$defs/")
        return _kinds(definitions.get(target), {}) if isinstance(definitions, dict) else set()
    if isinstance(choices := field.get("anyOf", field.get("oneOf")), list):
        found = [_kinds(choice, schema) for choice in choices]
        return set().union(*found) if all(found) else set()
    kinds = field.get("type")
    if isinstance(kinds, list):
        return {kind for kind in kinds if isinstance(kind, str)}
    return {kinds} if isinstance(kinds, str) else set()


def _parsed(text: str, kinds: set[str]) -> Any:
    """Return what a text stands for if it is JSON of an accepted type, and a text is not accepted."""
    if not kinds or "string" in kinds:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    accepted = any(isinstance(value, _KINDS[kind]) for kind in kinds if kind in _KINDS)
    is_number_for_bool = isinstance(value, bool) and "boolean" not in kinds
    return value if accepted and not is_number_for_bool else text
