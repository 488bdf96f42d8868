"""Changes to one key of a YAML text that people write: every byte that is not part of the change stays as it was.

What is changed is found by the parser's own marks. Whoever calls this reads the result once more: where a text is too
unusual for it (aliases, several entries in a line), it may come out wrong, or `Unchangeable` is raised.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = [
    "Unchangeable",
    "with_items",
    "with_text",
    "without_item",
]

_PLAIN = re.compile(r"[A-Za-z][\w ./()'-]*[\w.)]|[A-Za-z]")
_WORDS = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n")
_BLOCK_HEAD = re.compile(r"[|>][-+0-9]*([ \t]+#[^\r\n]*)?(?=\r?\n)")
_SHORT = 100


class Unchangeable(Exception):
    """The text cannot be changed here; says why, in a sentence."""


class _Entry(NamedTuple):
    """A key of the top mapping: where it begins, where its colon stands, and its value with where that ends."""

    start: int
    colon: int
    value: Any
    end: int


def with_text(text: str, key: str, value: str, *, before: str) -> str:
    """Return the text with `value`, a text, under `key`; a key that is not there yet comes ahead of `before`."""
    top = _top(text)
    entry = _entry(text, top, key)
    if entry is None:
        return _with_key(text, key, _scalar(value) if top.flow_style else _block(text, value, 2), before)
    if top.flow_style:
        written = _scalar(value)
    elif entry.value.style in ("|", ">"):
        head = _BLOCK_HEAD.match(text, entry.value.start_mark.index)
        written = _literal(text, value, _indentation(text, entry), (head and head[1]) or "")
    else:
        written = _block(text, value, 2)
    start = entry.value.start_mark.index if _source(text, entry) else entry.colon + 1
    return text[:start] + _spaced(text, start, written) + text[entry.end :]


def with_items(text: str, key: str, items: Sequence[Any], *, before: str) -> str:
    """Return the text with more items, texts and mappings, at the end of the list under `key`; see `with_text`."""
    top, written = _top(text), [_flow(item) for item in items]
    entry = _entry(text, top, key)
    if entry is None:
        in_a_row = f"[{', '.join(written)}]"
        return _with_key(text, key, in_a_row if top.flow_style else _lines(text, written, "  "), before)
    if not isinstance(entry.value.value, list):
        if _source(text, entry):
            raise Unchangeable(f"`{key}` is no list.")
        start = entry.colon + 1
        listed = f" [{', '.join(written)}]" if top.flow_style else _lines(text, written, "  ")
        return text[:start] + listed + text[start:]
    if not entry.value.value:
        return f"{text[: entry.value.start_mark.index]}[{', '.join(written)}]{text[entry.end :]}"
    if entry.value.flow_style:
        end = _end(text, entry.value.value[-1])
        return text[:end] + "".join(f", {item}" for item in written) + text[end:]
    last = len(entry.value.value) - 1
    dash, end = _dash(text, entry, last), _line_end(text, entry.end)
    return text[:end] + _lines(text, written, text[_line_start(text, dash) : dash]) + text[end:]


def without_item(text: str, key: str, index: int) -> str:
    """Return the text without one item of the list under `key`."""
    entry = _entry(text, _top(text), key)
    if entry is None or not isinstance(entry.value.value, list):
        raise Unchangeable(f"`{key}` is no list.")
    items = entry.value.value
    if len(items) == 1:
        return text[: entry.colon + 1] + " []" + text[entry.end :]
    if entry.value.flow_style:
        if index + 1 < len(items):
            return text[: items[index].start_mark.index] + text[items[index + 1].start_mark.index :]
        return text[: _end(text, items[index - 1])] + text[_end(text, items[index]) :]
    start = _line_start(text, _dash(text, entry, index))
    end = _line_end(text, _end(text, items[index]))
    return text[:start] + text[end:].removeprefix("\r").removeprefix("\n")


# Finding


def _top(text: str) -> Any:
    import yaml

    try:
        top = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise Unchangeable("The text is no YAML.") from error
    if not isinstance(top, yaml.MappingNode) or not top.value:
        raise Unchangeable("The text has no keys.")
    return top


def _entry(text: str, top: Any, key: str) -> _Entry | None:
    for name, value in top.value:
        if name.value == key:
            colon = text.index(":", name.end_mark.index)
            return _Entry(name.start_mark.index, colon, value, max(_end(text, value), colon + 1))
    return None


def _end(text: str, node: Any) -> int:
    """Return where a value ends: of a block, where the last thing in it does that can be seen."""
    if isinstance(node.value, list) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return len(text[:end].rstrip()) if getattr(node, "style", None) in ("|", ">") else end


def _source(text: str, entry: _Entry) -> str:
    return text[entry.value.start_mark.index : entry.end] if entry.end > entry.value.start_mark.index else ""


def _dash(text: str, entry: _Entry, index: int) -> int:
    items = entry.value.value
    after = _end(text, items[index - 1]) if index else entry.colon
    dash = text.rfind("-", after, items[index].start_mark.index)
    if dash < 0 or text[_line_start(text, dash) : dash].strip():
        raise Unchangeable("The list is not one item a line.")
    return dash


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _line_end(text: str, position: int) -> int:
    """Return where the line ends, without its line break."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end - (text[end - 1 : end] == "\r")


def _indentation(text: str, entry: _Entry) -> int:
    """Return how far the lines of a block of text are indented."""
    lines = text[entry.value.start_mark.index : entry.end].splitlines()[1:]
    return next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), 2) or 2


# Writing


def _with_key(text: str, key: str, written: str, before: str) -> str:
    """Put a new key behind the one that stands before `before`, or at the end."""
    top = _top(text)
    names = [name.value for name, _ in top.value]
    index = names.index(before) if before in names else len(names)
    if top.flow_style:
        if index < len(names):
            start = top.value[index][0].start_mark.index
            return f"{text[:start]}{key}: {written}, {text[start:]}"
        end = _end(text, top.value[-1][1])
        return f"{text[:end]}, {key}: {written}{text[end:]}"
    new = f"{key}:{_spaced('', 0, written)}"
    if index == 0:
        start = _line_start(text, top.value[0][0].start_mark.index)
        return f"{text[:start]}{new}{_break(text)}{text[start:]}"
    behind = _entry(text, top, names[index - 1])
    end = _line_end(text, behind.end if behind else len(text))
    return f"{text[:end]}{_break(text)}{new}{text[end:]}"


def _spaced(text: str, start: int, written: str) -> str:
    """Set a value off from the colon, unless something does so already."""
    is_apart = written.startswith(("\r", "\n")) or text[start - 1 : start].isspace()
    return written if is_apart else f" {written}"


def _block(text: str, value: str, indentation: int) -> str:
    is_short = "\n" not in value and len(value) <= _SHORT
    return _scalar(value) if is_short else _literal(text, value, indentation, "")


def _literal(text: str, value: str, indentation: int, comment: str) -> str:
    """Write a text as it is, line by line, behind a `|`."""
    lines = (f"{' ' * indentation}{line}" if line else "" for line in value.split("\n"))
    return _break(text).join([f"|{comment}", *lines])


def _lines(text: str, items: Iterable[str], indent: str) -> str:
    return "".join(f"{_break(text)}{indent}- {item}" for item in items)


def _break(text: str) -> str:
    return "\r\n" if 0 < text.count("\r\n") == text.count("\n") else "\n"


def _scalar(value: str) -> str:
    """Write a text in one line: as it is where that is safe, and else in quotes."""
    if _PLAIN.fullmatch(value) and not _WORDS.fullmatch(value) and value.isascii():
        return value
    return json.dumps(value, ensure_ascii=False)


def _flow(value: Any) -> str:
    """Write a value in one line."""
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)
