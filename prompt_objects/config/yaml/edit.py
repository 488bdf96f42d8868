"""Edits of single keys in a YAML text that the user wrote; every byte outside the edit stays unchanged.

Positions come from the parser's events. `remove_key` and `rename_key` check that the rest of the text keeps its
meaning. Callers of the other functions must parse the result and check it: edits of unusual texts, such as lists
with several items per line, may be wrong.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_MAX_DEPTH = 200
_MAX_LINE_LENGTH = 100
_PLAIN = re.compile(r"[A-Za-z][\w ./()'-]*[\w.)]|[A-Za-z]")
_KEYWORDS = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n")
_BLOCK_HEAD = re.compile(r"[|>][-+0-9]*([ \t]+#[^\r\n]*)?(?=\r?\n)")
_BREAK = r"(?:\r\n|\r|\n)"
_REST_OF_LINE = re.compile(rf"[^\r\n]*{_BREAK}?")
_BEFORE_KEY = re.compile(r"[ ]*(?:\?[ \t]+)?")
_BLANK_OR_INDENTED = re.compile(rf"(?:[ \t]*{_BREAK}|[ \t]+#[^\r\n]*{_BREAK}?)*")
_TO_COMMA = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*,")


class CannotEdit(Exception):
    """The text cannot be edited at this key; the message gives the reason in a sentence."""


class _Entry(NamedTuple):
    """An entry of a mapping or list, as indices of events: its first event, its value, and the event after it."""

    first: int
    value: int
    after: int


class _Events:
    """The parser's events of one text, with the entries of its top mapping.

    Raises yaml's errors, and `CannotEdit` if the text is nested too deeply.
    """

    def __init__(self, text: str, loader: Any = None) -> None:
        import yaml

        self.text = text
        self.all: list[Any] = []
        self._steps: list[int] = []
        depth = 0
        for event in yaml.parse(text, Loader=loader or yaml_loaders()[0]):
            step = isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            depth += step
            if depth > _MAX_DEPTH:  # the pure Python parser takes quadratic time for deep texts
                raise CannotEdit(f"It is nested more than {_MAX_DEPTH} levels deep.")
            self.all.append(event)
            self._steps.append(step)
        root = 2  # after the start of the stream and of the document
        self.top = self.entries(root) if self.is_a("MappingStart", root) else []
        self.is_flow = bool(self.top and self.all[root].flow_style)

    def is_a(self, kind: str, index: int) -> bool:
        return index < len(self.all) and type(self.all[index]).__name__ == f"{kind}Event"

    def entries(self, index: int) -> list[_Entry]:
        """Return the entries of the mapping or list that starts at an event; empty for a scalar."""
        found: list[_Entry] = []
        is_mapping = self.is_a("MappingStart", index)
        if is_mapping or self.is_a("SequenceStart", index):
            index += 1
            while self._steps[index] >= 0:
                value = self._after(index) if is_mapping else index
                found.append(_Entry(index, value, self._after(value)))
                index = found[-1].after
        return found

    def find_entry(self, key: str, entries: Iterable[_Entry] | None = None) -> _Entry | None:
        """Return the entry of a key, None if it does not exist.

        Raises `CannotEdit` if the key exists but the text cannot be edited safely.
        """
        entries = self.top if entries is None else entries
        entry = next((entry for entry in entries if self.name(entry) == key), None)
        if entry and (problem := self._problem()):
            raise CannotEdit(problem)
        return entry

    def name(self, entry: _Entry) -> str | None:
        return getattr(self.all[entry.first], "value", None)

    def start(self, index: int) -> int:
        return int(self.all[index].start_mark.index)

    def end(self, index: int) -> int:
        return next(int(event.end_mark.index) for event in self.all[index - 1 :: -1] if _is_visible(event))

    def meaning(self, outside: _Entry | None = None) -> list[tuple[object, ...]]:
        """Return the events without their positions, and without those of one entry."""
        events = self.all[: outside.first] + self.all[outside.after :] if outside else self.all
        names = ("anchor", "tag", "implicit", "value")
        return [(type(event), *(getattr(event, name, None) for name in names)) for event in events]

    def check_aliases(self, key: str, entry: _Entry) -> None:
        """Raise `CannotEdit` if an alias elsewhere refers to part of the entry."""
        inner: set[str] = set()
        for index, event in enumerate(self.all):
            anchor = getattr(event, "anchor", None)
            is_inside = entry.first <= index < entry.after
            if not self.is_a("Alias", index):
                (inner.add if is_inside else inner.discard)(anchor or "")
            elif anchor in inner and not is_inside:
                raise CannotEdit(f"The alias *{anchor} refers to a value inside `{key}`.")

    def _after(self, index: int) -> int:
        depth = self._steps[index]
        while depth:
            index += 1
            depth += self._steps[index]
        return index + 1

    def _problem(self) -> str:
        names = Counter(map(self.name, self.top))
        if twice := next((name for name, count in names.items() if name is not None and count > 1), None):
            return f"The key `{twice}` is given twice."
        documents = sum(self.is_a("DocumentStart", index) for index in range(len(self.all)))
        return "It contains more than one YAML document." if documents > 1 else ""


def yaml_loaders() -> tuple[Any, ...]:
    """Return yaml's loaders, the fast one first; the other one also accepts some escapes that the first rejects."""
    import yaml

    return (getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader)


def _is_visible(event: Any) -> bool:
    return type(event).__name__ in {"ScalarEvent", "AliasEvent"} or event.end_mark.index > event.start_mark.index


# Removing and renaming a key


def remove_key(text: str, key: str, loader: Any = None) -> tuple[str, str] | None:
    """Return the text without a key of the top mapping, and the key's value; None if there is no such key."""
    events = _Events(text, loader)
    entry = events.find_entry(key)
    if entry is None:
        return None
    events.check_aliases(key, entry)
    rest = events.meaning(outside=entry)
    shorter = next((each for each in _without(events, entry) if _has_meaning(each, rest, loader)), None)
    if shorter is None:
        raise CannotEdit(f"`{key}` cannot be removed without changing the meaning of the rest.")
    return shorter, text[events.all[entry.first].end_mark.index : events.end(entry.after)].lstrip(": \t\r\n")


def rename_key(text: str, parent: str, old: str, new: str) -> str:
    """Return the text with a key of the mapping under `parent` renamed; unchanged if there is no such key."""
    events = _parse(text)
    outer = events.find_entry(parent)
    if outer and events.is_a("Alias", outer.value):
        raise CannotEdit(f"`{parent}` is an alias.")
    inner = events.entries(outer.value) if outer else []
    entry = events.find_entry(old, inner)
    if entry is None:
        return text
    if events.find_entry(new, inner):
        raise CannotEdit(f"`{parent}` has both `{new}` and `{old}`.")
    end = events.all[entry.first].end_mark.index
    end -= text[end - 1] in "\"'"
    wanted = events.meaning()
    wanted[entry.first] = (*wanted[entry.first][:-1], new)
    after = text[: end - len(old)] + new + text[end:]
    if not _has_meaning(after, wanted, None):
        raise CannotEdit(f"`{old}` cannot be renamed without changing the meaning of the rest.")
    return after


def _without(events: _Events, entry: _Entry) -> Iterator[str]:
    """Yield the text without the lines of the key, then also without blank lines and indented comments after it."""
    text, key = events.text, events.start(entry.first)
    end = len(text[: events.end(entry.after)].rstrip(" \t\r\n"))
    if events.is_flow:
        yield _without_flow(text, key, end, events.end(entry.first))
        return
    start = _line_start(text, key)
    if not _BEFORE_KEY.fullmatch(text, start, key):
        return
    end = _match_end(_REST_OF_LINE, text, end)
    yield text[:start] + text[end:]
    yield text[:start] + text[_match_end(_BLANK_OR_INDENTED, text, end) :]


def _without_flow(text: str, start: int, end: int, before_end: int) -> str:
    if comma := _TO_COMMA.match(text, end):
        end = comma.end()
        while text[end : end + 1] in {" ", "\t"}:
            end += 1
        line = _line_start(text, start)
        if text[end : end + 1] in {"\r", "\n"} and not text[line:start].strip():
            start, end = line, _match_end(_REST_OF_LINE, text, end)
    elif comma := _TO_COMMA.match(text, before_end):
        start = comma.end() - 1
    return text[:start] + text[end:]


def _has_meaning(text: str, wanted: list[tuple[object, ...]], loader: Any) -> bool:
    import yaml

    try:
        return _Events(text, loader).meaning() == wanted
    except yaml.YAMLError:
        return False


def _match_end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


# Setting a text, adding and removing items of a list


def set_text(text: str, key: str, value: str, *, before: str) -> str:
    """Return the text with `key` set to the text `value`; a new key is inserted ahead of the key `before`."""
    events = _parse(text)
    entry = events.find_entry(key)
    if entry is None:
        return _with_key(events, key, _scalar(value) if events.is_flow else _block(text, value), before)
    events.check_aliases(key, entry)
    start, end, style = events.start(entry.value), _end(events, entry), events.all[entry.value]
    if events.is_flow:
        written = _scalar(value)
    elif getattr(style, "style", None) in ("|", ">"):
        head = _BLOCK_HEAD.match(text, start)
        written = _literal(text, value, _indentation(text[start:end]), (head and head[1]) or "")
    else:
        written = _block(text, value)
    start = start if end > start else _colon(events, entry) + 1
    return text[:start] + _spaced(text, start, written) + text[end:]


def append_items(text: str, key: str, items: Sequence[Any], *, before: str) -> str:
    """Return the text with more items, texts and mappings, at the end of the list under `key`; see `set_text`."""
    events, written = _parse(text), [_flow(item) for item in items]
    entry = events.find_entry(key)
    flow_list = f"[{', '.join(written)}]"
    if entry is None:
        return _with_key(events, key, flow_list if events.is_flow else _lines(text, written, "  "), before)
    start, end, current = events.start(entry.value), _end(events, entry), events.entries(entry.value)
    if not events.is_a("SequenceStart", entry.value):
        if end > start:
            raise CannotEdit(f"`{key}` is not a list.")
        start = _colon(events, entry) + 1
        return text[:start] + (f" {flow_list}" if events.is_flow else _lines(text, written, "  ")) + text[start:]
    if not current:
        return f"{text[:start]}{flow_list}{text[end:]}"
    if events.all[entry.value].flow_style:
        end = _end(events, current[-1])
        return text[:end] + "".join(f", {item}" for item in written) + text[end:]
    dash, end = _dash(events, entry, current, len(current) - 1), _line_end(text, end)
    return text[:end] + _lines(text, written, text[_line_start(text, dash) : dash]) + text[end:]


def remove_item(text: str, key: str, index: int) -> str:
    """Return the text without one item of the list under `key`."""
    events = _parse(text)
    entry = events.find_entry(key)
    items = events.entries(entry.value) if entry and events.is_a("SequenceStart", entry.value) else []
    if entry is None or not items:
        raise CannotEdit(f"`{key}` is not a list.")
    if len(items) == 1:
        return text[: _colon(events, entry) + 1] + " []" + text[_end(events, entry) :]
    if events.all[entry.value].flow_style:
        if index + 1 < len(items):
            return text[: events.start(items[index].first)] + text[events.start(items[index + 1].first) :]
        return text[: _end(events, items[index - 1])] + text[_end(events, items[index]) :]
    start = _line_start(text, _dash(events, entry, items, index))
    end = _line_end(text, _end(events, items[index]))
    return text[:start] + text[end:].removeprefix("\r").removeprefix("\n")


def _parse(text: str) -> _Events:
    import yaml

    try:
        events = _Events(text)
    except yaml.YAMLError as error:
        raise CannotEdit("It is not valid YAML.") from error
    if not events.top:
        raise CannotEdit("It has no keys.")
    return events


def _end(events: _Events, entry: _Entry) -> int:
    """Return the end of a value, without the line breaks after a block of text."""
    last = next(event for event in reversed(events.all[: entry.after]) if _is_visible(event))
    end: int = last.end_mark.index
    if getattr(last, "style", None) in ("|", ">"):
        end = len(events.text[:end].rstrip())
    return end if entry.first == entry.value else max(end, _colon(events, entry) + 1)


def _colon(events: _Events, entry: _Entry) -> int:
    return events.text.index(":", events.all[entry.first].end_mark.index)


def _dash(events: _Events, entry: _Entry, items: Sequence[_Entry], index: int) -> int:
    text, after = events.text, _end(events, items[index - 1]) if index else _colon(events, entry)
    dash = text.rfind("-", after, events.start(items[index].first))
    if dash < 0 or text[_line_start(text, dash) : dash].strip():
        raise CannotEdit("The list does not have one item per line.")
    return dash


def _line_start(text: str, position: int) -> int:
    return max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end - (text[end - 1 : end] == "\r")


def _indentation(block: str) -> int:
    lines = block.splitlines()[1:]
    return next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), 2) or 2


def _with_key(events: _Events, key: str, written: str, before: str) -> str:
    text, names = events.text, [events.name(entry) for entry in events.top]
    index = names.index(before) if before in names else len(names)
    if events.is_flow:
        if index < len(names):
            start = events.start(events.top[index].first)
            return f"{text[:start]}{key}: {written}, {text[start:]}"
        end = _end(events, events.top[-1])
        return f"{text[:end]}, {key}: {written}{text[end:]}"
    new = f"{key}:{_spaced('', 0, written)}"
    if index == 0:
        start = _line_start(text, events.start(events.top[0].first))
        return f"{text[:start]}{new}{_break(text)}{text[start:]}"
    end = _line_end(text, _end(events, events.top[index - 1]))
    return f"{text[:end]}{_break(text)}{new}{text[end:]}"


def _spaced(text: str, start: int, written: str) -> str:
    """Put a space between the colon and the value, if they are not separated yet."""
    is_apart = written.startswith(("\r", "\n")) or text[start - 1 : start].isspace()
    return written if is_apart else f" {written}"


def _block(text: str, value: str) -> str:
    is_short = "\n" not in value and len(value) <= _MAX_LINE_LENGTH
    return _scalar(value) if is_short else _literal(text, value, 2, "")


def _literal(text: str, value: str, indentation: int, comment: str) -> str:
    lines = (f"{' ' * indentation}{line}" if line else "" for line in value.split("\n"))
    return _break(text).join([f"|{comment}", *lines])


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
