"""Edits of single keys in a YAML text that the user wrote; every byte outside the edit stays unchanged.

Positions come from the parser's events. `remove_key` and `rename_key` check that the rest of the text keeps its
meaning. Callers of the other functions must parse the result and check it: edits of unusual texts, such as lists
with several items per line, may be wrong.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import yaml

T = TypeVar("T")
_MAX_DEPTH = 200
_TOO_DEEP = f"It is nested more than {_MAX_DEPTH} levels deep."
_MAX_LINE_LENGTH = 100
_PLAIN = re.compile(r"[A-Za-z][\w ./()'-]*[\w.)]|[A-Za-z]")
_KEYWORDS = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n")
_BLOCK_HEAD = re.compile(r"[|>][-+0-9]*([ \t]+#[^\r\n]*)?")
_BREAK = r"(?:\r\n|\r|\n)"
_REST_OF_LINE = re.compile(r"[^\r\n]*")
_REST_AND_BREAK = re.compile(rf"[^\r\n]*{_BREAK}?")
_BEFORE_KEY = re.compile(r"[ ]*(?:\?[ \t]+)?")
_BLANK_OR_INDENTED = re.compile(rf"(?:[ \t]*{_BREAK}|[ \t]+#[^\r\n]*{_BREAK}?)*")
_TO_COMMA = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*(,)[ \t]*")


class CannotEdit(Exception):
    """The text cannot be edited at this key; the message gives the reason in a sentence."""


class InvalidYaml(CannotEdit):
    """The text is not valid YAML."""


class _Node:
    """A value in the text, with its keys and values or its items; the nodes inside it come next, up to `after`."""

    __slots__ = ("after", "children", "end", "form", "index", "is_flow", "kind", "start", "style", "value")

    def __init__(self, event: Any, index: int, depth: int) -> None:
        self.kind = type(event)
        self.value: str | None = getattr(event, "value", None)
        self.form = (depth, event.anchor, getattr(event, "tag", None), getattr(event, "implicit", None))
        self.style: str | None = getattr(event, "style", None)
        self.is_flow: bool = getattr(event, "flow_style", False)
        self.start: int = event.start_mark.index
        self.end: int = event.end_mark.index
        self.index, self.after = index, index + 1
        self.children: list[_Node] = []

    @property
    def meaning(self) -> tuple[object, ...]:
        return self.kind, self.value, self.form

    @property
    def entries(self) -> "list[_Entry]":
        is_mapping = self.kind is yaml.MappingStartEvent
        return list(map(_Entry, self.children[::2], self.children[1::2])) if is_mapping else []


class _Entry(NamedTuple):
    key: _Node
    value: _Node


class _Tree:
    """The nodes of a YAML text, in its order. Raises yaml's errors, and `CannotEdit` if it is nested too deeply."""

    def __init__(self, text: str, loader: Any) -> None:
        self.text = text
        self.nodes: list[_Node] = []
        self._roots: list[_Node] = []
        parents: list[_Node] = []
        event: Any
        for event in yaml.parse(text, Loader=loader):
            start, end = event.start_mark.index, event.end_mark.index
            if isinstance(event, yaml.NodeEvent):
                node = _Node(event, len(self.nodes), len(parents))
                self.nodes.append(node)
                (parents[-1].children if parents else self._roots).append(node)
                if isinstance(event, yaml.CollectionStartEvent):
                    parents.append(node)
                    if len(parents) > _MAX_DEPTH:  # the pure Python parser takes quadratic time for deep texts
                        raise CannotEdit(_TOO_DEEP)
            elif isinstance(event, yaml.CollectionEndEvent):
                node = parents.pop()
                node.after = len(self.nodes)
                node.end = end if end > start else node.children[-1].end  # a block's event is after comments, too
        self.is_flow = bool(self._roots) and self._roots[0].is_flow

    @property
    def top(self) -> list[_Entry]:
        """The entries of the top mapping."""
        return self._roots[0].entries if self._roots else []

    def find_entry(self, key: str) -> _Entry | None:
        """Return the entry of a key; raises `CannotEdit` if the text cannot be edited safely."""
        entry = next((entry for entry in self.top if entry.key.value == key), None)
        if entry:
            names = (other.key.value for other in self.top if other.key.value is not None)
            name, count = Counter(names).most_common(1)[0]
            if count > 1:
                raise CannotEdit(f"The key `{name}` is given twice.")
            if len(self._roots) > 1:
                raise CannotEdit("It contains more than one YAML document.")
        return entry

    def end(self, node: _Node) -> int:
        """Return the end of a node without the line breaks after a block of text."""
        return len(self.text[: node.end].rstrip(" \t\r\n"))

    def is_meaning_of(self, text: str) -> bool:
        """Return whether a text has the same nodes, except for their positions."""
        try:
            return [node.meaning for node in _parse(text).nodes] == [node.meaning for node in self.nodes]
        except InvalidYaml:
            return False

    def check_aliases(self, key: str, entry: _Entry) -> None:
        """Raise `CannotEdit` if an alias elsewhere refers to part of the entry, or to nothing."""
        anchors: dict[str, bool] = {}  # whether the value is inside the entry
        for node in self.nodes if "*" in self.text else ():
            is_inside = entry.key.index <= node.index < entry.value.after
            anchor = node.form[1]
            if node.kind is not yaml.AliasEvent:
                anchors[anchor] = is_inside
            elif not is_inside and anchor not in anchors:
                raise InvalidYaml(f"It is not valid YAML: *{anchor} has no anchor before it.")
            elif not is_inside and anchors[anchor]:
                raise CannotEdit(f"The alias *{anchor} refers to a value inside `{key}`.")


def with_loader(read: Callable[[Any], T]) -> T:
    """Call `read` with yaml's fast loader or, if that rejects the text, with the other one, which knows more escapes.

    Raises `InvalidYaml` if both reject it.
    """
    try:
        return read(getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        if "maximum nesting depth" in str(error):  # of libyaml, which reads ahead
            raise CannotEdit(_TOO_DEEP) from error
        try:
            return read(yaml.SafeLoader)
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
            raise InvalidYaml(f"It is not valid YAML: {summary(error)}.") from error


def summary(error: Exception) -> str:
    """Return the problem that an error of yaml reports, with its line."""
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    return f"{problem} in line {mark.line + 1}" if mark else problem.rstrip(".")


def _parse(text: str) -> _Tree:
    return with_loader(lambda loader: _Tree(text, loader))


def _match_end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _line_start(text: str, position: int) -> int:
    return max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1


# Removing and renaming a key


class RemovedKey(NamedTuple):
    """The text without the key, and the sources of its value and of the items if that is a list."""

    text: str
    source: str
    items: list[str]


def remove_key(text: str, key: str) -> RemovedKey | None:
    """Remove a key of the top mapping; None if there is no such key."""
    tree = _parse(text)
    entry = tree.find_entry(key)
    if entry is None:
        return None
    tree.check_aliases(key, entry)
    candidates = list(_without_flow(tree, entry) if tree.is_flow else _without_lines(tree, entry))
    del tree.nodes[entry.key.index : entry.value.after]
    shorter = next(filter(tree.is_meaning_of, candidates), None)
    if shorter is None:
        raise CannotEdit(f"`{key}` cannot be removed without changing the meaning of the rest.")
    items = entry.value.children if entry.value.kind is yaml.SequenceStartEvent else []
    source = text[entry.key.end : entry.value.end].lstrip(": \t\r\n")
    return RemovedKey(shorter, source, [text[item.start : item.end].rstrip() for item in items])


def _without_lines(tree: _Tree, entry: _Entry) -> Iterator[str]:
    """Yield the text without the lines of the key, then also without blank lines and indented comments after it."""
    text, start = tree.text, _line_start(tree.text, entry.key.start)
    if _BEFORE_KEY.fullmatch(text, start, entry.key.start):
        end = _match_end(_REST_AND_BREAK, text, tree.end(entry.value))
        yield text[:start] + text[end:]
        yield text[:start] + text[_match_end(_BLANK_OR_INDENTED, text, end) :]


def _without_flow(tree: _Tree, entry: _Entry) -> Iterator[str]:
    text, start, end = tree.text, entry.key.start, tree.end(entry.value)
    if comma := _TO_COMMA.match(text, end):
        end, line = comma.end(), _line_start(text, start)
        if text[end : end + 1] in {"\r", "\n"} and not text[line:start].strip():
            start, end = line, _match_end(_REST_AND_BREAK, text, end)
    elif (index := tree.top.index(entry)) and (comma := _TO_COMMA.match(text, tree.top[index - 1].value.end)):
        start = comma.start(1)
    yield text[:start] + text[end:]


def rename_key(text: str, parent: str, old: str, new: str) -> str:
    """Return the text with a key of the mapping under `parent` renamed; unchanged if there is no such key."""
    tree = _parse(text)
    outer = tree.find_entry(parent)
    if outer and outer.value.kind is yaml.AliasEvent:
        raise CannotEdit(f"`{parent}` is an alias.")
    keys = {entry.key.value: entry.key for entry in outer.value.entries} if outer else {}
    if old not in keys:
        return text
    if new in keys:
        raise CannotEdit(f"`{parent}` has both `{new}` and `{old}`.")
    end = keys[old].end - (text[keys[old].end - 1] in "\"'")
    after = text[: end - len(old)] + new + text[end:]
    keys[old].value = new
    if not tree.is_meaning_of(after):
        raise CannotEdit(f"`{old}` cannot be renamed without changing the meaning of the rest.")
    return after


# Setting a text, adding and removing items of a list


def set_text(text: str, key: str, value: str, *, before: str) -> str:
    """Return the text with `key` set to the text `value`; a new key is inserted ahead of the key `before`."""
    tree = _parse(text)
    entry = tree.find_entry(key)
    is_short = "\n" not in value and len(value) <= _MAX_LINE_LENGTH
    written = _scalar(value) if is_short or tree.is_flow else _literal(text, value)
    if entry:
        tree.check_aliases(key, entry)
        if entry.value.style in {"|", ">"}:
            written = _literal(text, value, text[entry.value.start : tree.end(entry.value)])
    return _set_value(tree, key, written, before)


def append_items(text: str, key: str, items: Sequence[Any], *, before: str) -> str:
    """Return the text with more items, texts and mappings, at the end of the list under `key`; see `set_text`."""
    tree, written = _parse(text), [_flow(item) for item in items]
    entry = tree.find_entry(key)
    current = entry.value.children if entry else []
    if entry and entry.value.kind is not yaml.SequenceStartEvent and entry.value.end > entry.value.start:
        raise CannotEdit(f"`{key}` is not a list.")
    if entry is None or not current:
        is_flow = tree.is_flow or (entry is not None and entry.value.is_flow)
        return _set_value(tree, key, f"[{', '.join(written)}]" if is_flow else _lines(text, written, "  "), before)
    end = tree.end(current[-1])
    if entry.value.is_flow:
        return text[:end] + "".join(f", {item}" for item in written) + text[end:]
    dash, end = _dash(text, current[-1]), _match_end(_REST_OF_LINE, text, end)
    return text[:end] + _lines(text, written, text[_line_start(text, dash) : dash]) + text[end:]


def remove_item(text: str, key: str, index: int) -> str:
    """Return the text without one item of the list under `key`."""
    tree = _parse(text)
    entry = tree.find_entry(key)
    items = entry.value.children if entry and entry.value.kind is yaml.SequenceStartEvent else []
    if entry is None or not items:
        raise CannotEdit(f"`{key}` is not a list.")
    end = tree.end(items[index])
    if len(items) == 1:
        return text[: text.index(":", entry.key.end) + 1] + " []" + text[tree.end(entry.value) :]
    if not entry.value.is_flow:
        return text[: _line_start(text, _dash(text, items[index]))] + text[_match_end(_REST_AND_BREAK, text, end) :]
    if index + 1 < len(items):
        return text[: items[index].start] + text[items[index + 1].start :]
    return text[: items[index - 1].end] + text[end:]


def _set_value(tree: _Tree, key: str, written: str, before: str) -> str:
    text, entries, entry = tree.text, tree.top, tree.find_entry(key)
    space = "" if written.startswith(("\r", "\n")) else " "
    if entry:
        start = entry.value.start
        return text[:start] + space * (not text[start - 1].isspace()) + written + text[tree.end(entry.value) :]
    if not entries:
        raise CannotEdit("It has no keys.")
    new = f"{key}:{space}{written}"
    index = next((number for number, entry in enumerate(entries) if entry.key.value == before), len(entries))
    if tree.is_flow and index == len(entries):
        new, at = f", {new}", entries[-1].value.end
    elif tree.is_flow:
        new, at = f"{new}, ", entries[index].key.start
    elif index == 0:
        new, at = f"{new}{_break(text)}", _line_start(text, entries[0].key.start)
    else:
        new, at = f"{_break(text)}{new}", _match_end(_REST_OF_LINE, text, tree.end(entries[index - 1].value))
    return text[:at] + new + text[at:]


def _dash(text: str, item: _Node) -> int:
    dash = text.rfind("-", 0, item.start)
    if text[_line_start(text, dash) : dash].strip():
        raise CannotEdit("The list does not have one item per line.")
    return dash


def _literal(text: str, value: str, old: str = "") -> str:
    """Write a text as a block, with the comment and the indentation of the old one."""
    head = _BLOCK_HEAD.match(old)
    indented = (line for line in old.splitlines()[1:] if line.strip())
    indentation = next((len(line) - len(line.lstrip(" ")) for line in indented), 2)
    lines = (f"{' ' * indentation}{line}" if line else "" for line in value.split("\n"))
    return _break(text).join([f"|{(head and head[1]) or ''}", *lines])


def _lines(text: str, items: Iterable[str], indent: str) -> str:
    return "".join(f"{_break(text)}{indent}- {item}" for item in items)


def _break(text: str) -> str:
    return "\r\n" if 0 < text.count("\r\n") == text.count("\n") else "\n"


def _scalar(value: str) -> str:
    """Write a text in one line, quoted unless it is safe without quotes."""
    if _PLAIN.fullmatch(value) and not _KEYWORDS.fullmatch(value) and value.isascii():
        return value
    return json.dumps(value, ensure_ascii=False)


def _flow(value: Any) -> str:
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)
