"""Taking a key out of the top mapping of a YAML text, with every other byte left as it was.

This loads yaml, so it is itself loaded only where there is something to take out.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, TypeAlias

import yaml
from msgspec import Struct

from prompt_objects.migrations.change import Fragment
from prompt_objects.sessions.stores.json_lines import decode_at
from prompt_objects.utils.time import timestamp

__all__ = [
    "Irremovable",
    "Taken",
    "take_list",
]

_DEEPEST = 200
_MOST_VALUES = 100_000  # of one element, aliases counted as often as they are used
_LOADERS: tuple[Any, ...] = (getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"
_BREAK = r"(?:\r\n|\r|\n)"
_REST_OF_LINE = re.compile(rf"[^\r\n]*{_BREAK}?")
_BEFORE_KEY = re.compile(r"[ ]*(?:\?[ \t]+)?")
_BLANK_OR_INDENTED = re.compile(rf"(?:[ \t]*{_BREAK}|[ \t]+#[^\r\n]*{_BREAK}?)*")
_TO_COMMA = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*,")
_REGION_GOES_ON = re.compile(r"[ \t\r\n]|-(?:[ \t]|$)|#|$")
_NOT_BUILT = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
Signature: TypeAlias = tuple[object, ...]


class Irremovable(Exception):
    """The key cannot be taken out without harm; says why, in a sentence."""


class Taken(Struct, frozen=True):
    """The text without the key, the key's value as it stood, and the elements of the list that it is."""

    text: str
    source: str
    pieces: list[Fragment]


def take_list(text: str, key: str) -> Taken | None:
    """Take out a key whose value is a list, or nothing; None where the top mapping has no such key.

    Where only elements of the list are no YAML, the others are still read. Raises `Irremovable`.
    """
    problem: Exception | None = None
    for loader in _LOADERS:  # the second, slower one, reads some escapes that the first one refuses
        try:
            return _take(text, key, loader)
        except (yaml.YAMLError, RecursionError) as error:
            problem = problem or error
    if salvaged := _salvaged(text, key):
        return salvaged
    raise Irremovable(f"It is no YAML that can be read: {_in_short(problem)}.")


def _take(text: str, key: str, loader: Any) -> Taken | None:
    survey = _surveyed(text, key, loader)
    if not survey.found:
        return None
    pieces = list(_pieces(text, survey, loader))
    shorter = next((each for each in _without(text, survey) if _says(each, survey, loader)), None)
    if shorter is None:
        raise Irremovable(f"`{key}` cannot be taken out without changing what the rest means.")
    return Taken(shorter, text[survey.key_end : survey.value_end].lstrip(": \t\r\n"), pieces)


# Where the key is


class _Survey:
    """Where a key and its value stand, as offsets into the text, and what the parser says of all else."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.found = False
        self.problem = ""
        self.in_braces = False
        self.key_start = self.key_end = self.value_end = self.before_end = 0
        self.has_aliases = False
        self.outside: list[Signature] = []
        self._keys: set[str] = set()
        self._inner_anchors: set[str] = set()
        self._depth = self._documents = self._end = 0
        self._in_mapping = self._at_key = self._inside = False

    def take(self, event: Any) -> None:
        """Go on with the parser's next event."""
        if isinstance(event, yaml.CollectionEndEvent):
            self._depth -= 1
            self._inside = self._inside and self._depth > 0
        elif self._depth == 0:
            self._begin(event)
        elif self._depth == 1 and self._in_mapping:
            self._enter(event)
        self._note(event)
        if isinstance(event, yaml.CollectionStartEvent):
            self._depth += 1
            self._object_if(self._depth > _DEEPEST, f"It is nested more than {_DEEPEST} deep.")

    def _begin(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            self._object_if(self._documents > 1, "It holds more than one YAML document.")
        if isinstance(event, yaml.MappingStartEvent):
            self._in_mapping, self._at_key = True, False
            self.in_braces = bool(event.flow_style)
        else:
            self._in_mapping = False

    def _enter(self, event: Any) -> None:
        """Note a key of the top mapping, or its value."""
        self._at_key = not self._at_key
        if not self._at_key:
            return
        name = event.value if isinstance(event, yaml.ScalarEvent) else None
        self._inside = name == self.key
        if name is not None:
            self._object_if(name in self._keys, f"The key `{name}` is given twice.")
            self._keys.add(name)
        if self._inside and not self.found:
            self.found = True
            self.key_start, self.key_end = event.start_mark.index, event.end_mark.index
            self.before_end = self._end

    def _note(self, event: Any) -> None:
        """Note what an event says, and where something that can be seen ends."""
        is_seen = (
            isinstance(event, yaml.ScalarEvent | yaml.AliasEvent) or event.end_mark.index > event.start_mark.index
        )
        if is_seen:
            self._end = event.end_mark.index
        anchor = getattr(event, "anchor", None)
        is_alias = isinstance(event, yaml.AliasEvent)
        self.has_aliases |= is_alias
        if self._inside:
            self.value_end = self._end
            if anchor and not is_alias:
                self._inner_anchors.add(anchor)
            return
        if is_alias:
            self._object_if(anchor in self._inner_anchors, f"*{anchor} repeats something in `{self.key}`.")
        else:
            self._inner_anchors.discard(anchor)
        self.outside.append(_signature(event))

    def _object_if(self, condition: object, problem: str) -> None:  # the first problem counts
        if condition and not self.problem:
            self.problem = problem


def _surveyed(text: str, key: str, loader: Any) -> _Survey:
    """Look for a key. Raises `Irremovable` where it is there and had better stay, and yaml's errors."""
    survey = _Survey(key)
    for event in yaml.parse(text, Loader=loader):
        survey.take(event)
    if survey.found and survey.problem:
        raise Irremovable(survey.problem)
    return survey


def _signature(event: Any) -> Signature:
    return (type(event), *(getattr(event, name, None) for name in ("anchor", "tag", "implicit", "value")))


# Taking it out


def _without(text: str, survey: _Survey) -> Iterator[str]:
    """Yield the text without the key's lines, then also without blank lines and indented comments behind it."""
    end = len(text[: survey.value_end].rstrip(" \t\r\n"))
    if survey.in_braces:
        yield _without_flow(text, survey, end)
        return
    start = _line_start(text, survey.key_start)
    if not _BEFORE_KEY.fullmatch(text, start, survey.key_start):
        return
    end = _matched(_REST_OF_LINE, text, end)
    yield text[:start] + text[end:]
    yield text[:start] + text[_matched(_BLANK_OR_INDENTED, text, end) :]


def _without_flow(text: str, survey: _Survey, end: int) -> str:
    """Take out the comma behind it or, where it is last, the one before it."""
    start = survey.key_start
    if comma := _TO_COMMA.match(text, end):
        end = comma.end()
        while text[end : end + 1] in {" ", "\t"}:
            end += 1
        line = _line_start(text, start)
        if text[end : end + 1] in {"\r", "\n"} and not text[line:start].strip():
            start, end = line, _matched(_REST_OF_LINE, text, end)
    elif comma := _TO_COMMA.match(text, survey.before_end):
        start = comma.end() - 1
    return text[:start] + text[end:]


def _says(text: str, survey: _Survey, loader: Any) -> bool:
    """Tell whether a text says just what the old one said outside the key."""
    try:
        return [_signature(event) for event in yaml.parse(text, Loader=loader)] == survey.outside
    except yaml.YAMLError:
        return False


def _line_start(text: str, position: int) -> int:
    return max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1


def _matched(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


# What it holds


def _pieces(text: str, survey: _Survey, loader: Any) -> Iterator[Fragment]:
    composer = loader(text)
    try:
        top = composer.get_single_node()
        value = next(value for name, value in top.value if name.value == survey.key)
        if value.tag == _NULL:
            return
        if not isinstance(value, yaml.SequenceNode):
            raise Irremovable(f"`{survey.key}` is no list.")
        for number, node in enumerate(value.value, 1):
            source = text[node.start_mark.index : node.end_mark.index].rstrip()
            yield _piece(f"entry {number}", source, node, composer, has_aliases=survey.has_aliases)
    finally:
        composer.dispose()


def _piece(place: str, source: str, node: Any, composer: Any, *, has_aliases: bool) -> Fragment:
    try:
        if has_aliases and _weight(node, {}) > _MOST_VALUES:
            return Fragment(place, source, problem="Its aliases repeat too much.")
        if as_json := _as_json(source):
            return Fragment(place, source, as_json)
        return Fragment(place, source, _plain(composer.construct_document(node)))
    except _NOT_BUILT as error:
        return Fragment(place, source, problem=f"It cannot be read: {_in_short(error)}.")


def _as_json(source: str) -> dict[str, Any] | None:
    """Read an element that is JSON as JSON, which writes some numbers as YAML does not."""
    found = decode_at(source, 0) if source.startswith('{"') else None
    return found[0] if found and found[1] == len(source) else None


def _weight(node: Any, known: dict[int, float]) -> float:
    """Count the values in a node, which may repeat others, and itself: that is infinitely many."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = (each for child in children for each in (child if isinstance(child, tuple) else (child,)))
        known[id(node)] = 1 + sum(_weight(each, known) for each in flat)
    return known[id(node)]


def _plain(value: Any) -> Any:
    """Turn YAML's moments into text; raises `ValueError` for a key that is no text."""
    if isinstance(value, dict):
        if strange := next((key for key in value if not isinstance(key, str)), None):
            raise ValueError(f"the key {strange!r:.60} is no text")
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return timestamp(value if value.tzinfo else value.replace(tzinfo=UTC))
    return value.isoformat() if isinstance(value, date) else value


def _in_short(error: Exception | None) -> str:
    said = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    return f"{said} in line {mark.line + 1}" if mark else f"{said}".rstrip(".")


# Where it is no YAML


def _salvaged(text: str, key: str) -> Taken | None:
    """Take the lines of the key out, and read each element by itself; None where all else is no YAML either."""
    lines = text.splitlines(keepends=True)
    begins = [number for number, line in enumerate(lines) if re.match(rf"{re.escape(key)}[ \t]*:[ \t]*(?:#|$)", line)]
    if len(begins) != 1:
        return None
    begin = begins[0] + 1
    end = next((at for at in range(begin, len(lines)) if not _REGION_GOES_ON.match(lines[at])), len(lines))
    while end > begin and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    shorter = "".join(lines[: begin - 1] + lines[end:])
    if not _is_sound(shorter, key):
        return None
    source = "".join(lines[begin:end])
    return Taken(shorter, source, [_read_alone(number, each) for number, each in enumerate(_split(source), 1)])


def _is_sound(text: str, key: str) -> bool:
    """Tell whether a text is one YAML document without the key, and without aliases to what is gone."""
    survey = _Survey(key)
    try:
        for event in yaml.parse(text, Loader=_LOADERS[0]):
            survey.take(event)
        if not survey.problem:
            yaml.compose(text, Loader=_LOADERS[0])
    except yaml.YAMLError:
        return False
    return not survey.found and not survey.problem


def _split(source: str) -> list[str]:
    """Split a block list before each line that begins an element: those with a dash as far left as the first."""
    first = re.search(r"^([ \t]*)-(?:[ \t]|$)", source, re.MULTILINE)
    if first is None:
        return [source]
    starts = [each.start() for each in re.finditer(rf"^{first[1]}-(?:[ \t]|\r?$)", source, re.MULTILINE)]
    bounds = [0, *starts[1:], len(source)]
    return [source[start:stop] for start, stop in pairwise(bounds)]


def _read_alone(number: int, source: str) -> Fragment:
    place, text, loader = f"entry {number}", f"alone:\n{source}", _LOADERS[0]
    problem = "It is no element of a list."
    try:
        pieces = list(_pieces(text, _surveyed(text, "alone", loader), loader))
    except (yaml.YAMLError, Irremovable) as error:
        pieces, problem = [], f"It is no YAML that can be read: {_in_short(error)}."
    if len(pieces) != 1:
        return Fragment(place, source.rstrip(), problem=problem)
    return Fragment(place, source.rstrip(), pieces[0].value, pieces[0].problem)
