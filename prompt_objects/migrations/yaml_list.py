"""A list under a key of a YAML text, removed from the text, with its elements read as data.

This loads yaml, so it is itself loaded only if there is something to remove.
"""

import re
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import yaml
from msgspec import Struct

from prompt_objects.config.yaml.edit import CannotEdit, remove_key, yaml_loaders
from prompt_objects.migrations.change import Fragment
from prompt_objects.sessions.stores.json_lines import decode_at
from prompt_objects.utils.time import timestamp

_MAX_VALUES = 100_000  # of one element; aliases count as often as they are used
_NULL = "tag:yaml.org,2002:null"
_LIST_LINE = re.compile(r"[ \t\r\n]|-(?:[ \t]|$)|#|$")
_NOT_BUILT = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


class RemovedList(Struct, frozen=True):
    """The text without the key, the source of the key's value, and the elements of the list that it is."""

    text: str
    source: str
    fragments: list[Fragment]


def remove_list(text: str, key: str) -> RemovedList | None:
    """Remove a key whose value is a list or null; None if there is no such key. Raises `CannotEdit`."""
    problem: Exception | None = None
    for loader in yaml_loaders():
        try:
            return _remove(text, key, loader)
        except (yaml.YAMLError, RecursionError) as error:
            problem = problem or error
    if salvaged := _salvage(text, key):
        return salvaged
    raise CannotEdit(f"It is not valid YAML: {_summary(problem)}.")


def _remove(text: str, key: str, loader: Any) -> RemovedList | None:
    removed = remove_key(text, key, loader)
    return RemovedList(*removed, _pieces(text, key, loader)) if removed else None


def _pieces(text: str, key: str, loader: Any) -> list[Fragment]:
    composer = loader(text)
    try:
        top = composer.get_single_node()
        value = next(value for name, value in top.value if name.value == key)
        if value.tag == _NULL:
            return []
        if not isinstance(value, yaml.SequenceNode):
            raise CannotEdit(f"`{key}` is not a list.")
        return [
            _piece(f"entry {number}", text[node.start_mark.index : node.end_mark.index].rstrip(), node, composer)
            for number, node in enumerate(value.value, 1)
        ]
    finally:
        composer.dispose()


def _piece(place: str, source: str, node: Any, composer: Any) -> Fragment:
    try:
        if "*" in source and _weight(node, {}) > _MAX_VALUES:
            return Fragment(place, source, problem="Its aliases expand to too many values.")
        found = decode_at(source, 0) if source.startswith('{"') else None
        if found and found[1] == len(source):  # as JSON, because YAML reads some numbers differently
            return Fragment(place, source, found[0])
        return Fragment(place, source, _plain(composer.construct_document(node)))
    except _NOT_BUILT as error:
        return Fragment(place, source, problem=f"It cannot be read: {_summary(error)}.")


def _weight(node: Any, known: dict[int, float]) -> float:
    """Count the values in a node, with aliases expanded; infinity if it contains itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = (each for child in children for each in (child if isinstance(child, tuple) else (child,)))
        known[id(node)] = 1 + sum(_weight(each, known) for each in flat)
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


def _summary(error: Exception | None) -> str:
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    return f"{problem} in line {mark.line + 1}" if mark else f"{problem}".rstrip(".")


# If the list is not valid YAML


def _salvage(text: str, key: str) -> RemovedList | None:
    """Remove the lines of the key, and read each element by itself; None if the rest is not valid YAML either."""
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if re.match(rf"{re.escape(key)}[ \t]*:[ \t]*(?:#|$)", line)]
    if len(starts) != 1:
        return None
    start = starts[0] + 1
    end = next((at for at in range(start, len(lines)) if not _LIST_LINE.match(lines[at])), len(lines))
    while end > start and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    shorter = "".join(lines[: start - 1] + lines[end:])
    if not _is_valid(shorter, key):
        return None
    source = "".join(lines[start:end])
    return RemovedList(shorter, source, [_read_alone(number, each) for number, each in enumerate(_split(source), 1)])


def _is_valid(text: str, key: str) -> bool:
    """Return whether a text is one YAML document without the key, and without aliases to what was removed."""
    try:
        yaml.compose(text, Loader=yaml_loaders()[0])
        return remove_key(text, key) is None
    except (yaml.YAMLError, CannotEdit):
        return False


def _split(source: str) -> list[str]:
    first = re.search(r"^([ \t]*)-(?:[ \t]|$)", source, re.MULTILINE)
    if first is None:
        return [source]
    starts = [each.start() for each in re.finditer(rf"^{first[1]}-(?:[ \t]|\r?$)", source, re.MULTILINE)]
    bounds = [0, *starts[1:], len(source)]
    return [source[start:stop] for start, stop in pairwise(bounds)]


def _read_alone(number: int, source: str) -> Fragment:
    place, problem = f"entry {number}", "It is not an element of a list."
    pieces: list[Fragment] = []
    try:
        pieces = _pieces(f"alone:\n{source}", "alone", yaml_loaders()[0])
    except (yaml.YAMLError, CannotEdit) as error:
        problem = f"It is not valid YAML: {_summary(error)}."
    if len(pieces) != 1:
        return Fragment(place, source.rstrip(), problem=problem)
    return Fragment(place, source.rstrip(), pieces[0].value, pieces[0].problem)
