"""A list under a key of a YAML text, removed from the text, with its elements read as data.

This loads yaml, so it is itself loaded only if there is something to remove.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import yaml

from prompt_objects.config.yaml.edit import CannotEdit, InvalidYaml, remove_key, summary, with_loader
from prompt_objects.migrations.change import Fragment, OldList
from prompt_objects.sessions.stores.json_lines import decode_at
from prompt_objects.utils.time import timestamp

_MAX_VALUES = 100_000  # of one element; aliases count as often as they are used
_NULL = "tag:yaml.org,2002:null"
_YAML_ERRORS = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


def remove_list(text: str, key: str) -> tuple[str, OldList] | None:
    """Return the text without a key, and the list under it; None if there is no such key. Raises `CannotEdit`."""
    try:
        removed = remove_key(text, key)
        elements = _elements(text, key, removed.items) if removed else []
    except InvalidYaml:
        if salvaged := _salvage(text, key):
            return salvaged
        raise
    if elements is None:
        raise CannotEdit(f"`{key}` is not a list.")
    return removed and (removed.text, OldList(key, removed.source, elements))


def _elements(text: str, key: str, sources: Sequence[str] = ()) -> list[Fragment] | None:
    """Return the elements of the list under a key, whose `sources` may be known; None for another value."""
    values = [_json(source) for source in sources]
    if values and None not in values:  # much faster than YAML
        return [
            Fragment(f"entry {number}", *each) for number, each in enumerate(zip(sources, values, strict=True), 1)
        ]
    top: Any = with_loader(lambda loader: yaml.compose(text, Loader=loader))
    value = next(value for name, value in top.value if name.value == key)
    if value.tag == _NULL:
        return []
    if not isinstance(value, yaml.SequenceNode):
        return None
    construct = yaml.SafeLoader("").construct_document
    return [
        _element(f"entry {number}", text[node.start_mark.index : node.end_mark.index].rstrip(), node, construct)
        for number, node in enumerate(value.value, 1)
    ]


def _json(source: str) -> Any:
    """Decode a JSON object, because YAML reads some of its numbers differently; return None for another text."""
    found = decode_at(source, 0) if source.startswith('{"') else None
    return found[0] if found and found[1] == len(source) else None


def _element(place: str, source: str, node: yaml.Node, construct: Callable[[yaml.Node], Any]) -> Fragment:
    try:
        if "*" in source and _count_values(node, {}) > _MAX_VALUES:
            return Fragment(place, source, problem="Its aliases expand to too many values.")
        value = _json(source)
        return Fragment(place, source, _plain(construct(node)) if value is None else value)
    except _YAML_ERRORS as error:
        return Fragment(place, source, problem=f"It cannot be read: {summary(error)}.")


def _count_values(node: Any, known: dict[int, float]) -> float:
    """Count the values in a node, with aliases expanded; infinity if it contains itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = (each for child in children for each in (child if isinstance(child, tuple) else (child,)))
        known[id(node)] = 1 + sum(_count_values(each, known) for each in flat)
    return known[id(node)]


def _plain(value: Any) -> Any:
    """Convert dates to text; raises `ValueError` for a key that is not text."""
    if isinstance(value, dict):
        if strange := next((key for key in value if not isinstance(key, str)), None):
            raise ValueError(f"the key {strange!r:.60} is not text")
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return timestamp(value if value.tzinfo else value.replace(tzinfo=UTC))
    return value.isoformat() if isinstance(value, date) else value


# If the list is not valid YAML


def _salvage(text: str, key: str) -> tuple[str, OldList] | None:
    """Remove the lines of the key, and read each element by itself; None if the rest is not valid YAML either."""
    lines = rf"^{re.escape(key)}[ \t]*:[ \t]*(?:#.*|\r?)$\n?((?:^(?:[ \t]|-(?:[ \t]|\r?$)|#|\r?$).*\n?)*)"
    found = re.search(lines, text, re.MULTILINE)
    if found is None:
        return None
    source = re.sub(r"(?:^(?:[ \t\r]*|#.*)(?:\n|\Z))+\Z", "", found[1], flags=re.MULTILINE)
    try:
        removed = remove_key(text[: found.start(1)] + text[found.start(1) + len(source) :], key)
    except CannotEdit:
        return None
    elements = [_read_alone(f"entry {number}", each) for number, each in enumerate(_split(source), 1)]
    return removed and (removed.text, OldList(key, source, elements))


def _split(source: str) -> list[str]:
    dash = re.search(r"^[ \t]*-(?=[ \t]|\r?$)", source, re.MULTILINE)
    if dash is None:
        return [source]
    start, *elements = re.split(rf"^(?={dash[0]}(?:[ \t]|\r?$))", source, flags=re.MULTILINE)
    return [start + elements[0], *elements[1:]]


def _read_alone(place: str, source: str) -> Fragment:
    try:
        elements = _elements(f"alone:\n{source}", "alone") or []
    except InvalidYaml as error:
        return Fragment(place, source.rstrip(), problem=str(error))
    if len(elements) != 1:
        return Fragment(place, source.rstrip(), problem="It is not an element of a list.")
    return Fragment(place, source.rstrip(), elements[0].value, elements[0].problem)
