"""YAML documents that users write, read safely, with the position of every value.

Only mappings, lists, text, decimal numbers, booleans and null are read. Tags create no objects, size and depth are
bounded, and every error has a line and column.
"""

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from prompt_objects.config.yaml.surrogates import SurrogateMask
from prompt_objects.errors import FileError
from prompt_objects.utils.resources import raise_if_exhausted
from prompt_objects.utils.secrets import hide_secrets
from prompt_objects.utils.text import join_surrogates

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000  # aliases count as often as they are used
MAX_DEPTH = 32
_MAX_EXACT = 2**53  # below it, floats represent each whole number
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML defines it
_NEVER_CLOSED = re.compile(r"unexpected end of stream|expected ',' or")
_FRONT_MATTER = re.compile(r"(---[^\S\n]*\n)(.*?)^(---[^\S\n]*(?:\n|\Z))(.*)", re.DOTALL | re.MULTILINE)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][-+]?[0-9]{1,2})?")
_KEYWORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    form: truth
    for word, truth in (("true", True), ("yes", True), ("on", True), ("false", False), ("no", False), ("off", False))
    for form in (word, word.capitalize(), word.upper())
}


class Position(NamedTuple):
    """A position in a file; both numbers count from 1."""

    line: int
    column: int


TOP = Position(1, 1)


class EntryPosition(NamedTuple):
    """The positions of an entry's key and value, and a scalar value as written."""

    key: Position
    value: Position
    source: str


EntryPositions = dict[str | int, EntryPosition]


def quoted(text: str) -> str:
    """Return a text in quotes for a message, truncated if it is long, without passwords."""
    text = hide_secrets(text)
    return repr(text if len(text) <= 60 else text[:59] + "…")  # noqa: PLR2004


@dataclass(slots=True)
class YamlDocument:
    """The data of a document, with the position of each part of it."""

    file: Path
    error: type[FileError]
    data: Any = None
    start: Position = TOP
    positions: dict[int, EntryPositions] = field(default_factory=dict)  # by the id of the list or mapping

    def position_of(self, *path: str | int, key: bool = False) -> Position:
        """Return the position of the value at `path`, or of its key; of its parent if it does not exist."""
        position = self._entry_position(path)
        return position.key if key else position.value

    def source_of(self, *path: str | int) -> str:
        """Return the scalar at `path` as written, "" for a list or a mapping."""
        return self._entry_position(path).source

    def error_at(self, problem: str, at: Position, *, hint: str = "") -> FileError:
        return self.error(problem, file=self.file, line=at.line, column=at.column, hint=hint)

    def add(self, key: str, value: str, at: Position) -> None:
        """Add an entry to the top mapping; its value is elsewhere in the file, at `at`."""
        self.data[key] = value
        self.positions[id(self.data)][key] = EntryPosition(at, at, value)

    def rename(self, new: str, *path: str) -> None:
        """Rename the key at `path`; its position and its value stay."""
        container = self.data
        for step in path[:-1]:
            container = container[step]
        positions = self.positions[id(container)]
        for entries in (container, positions):
            entries[new] = entries.pop(path[-1])

    def _entry_position(self, path: tuple[str | int, ...]) -> EntryPosition:
        position, data = EntryPosition(self.start, self.start, ""), self.data
        for step in path:
            entries = self.positions.get(id(data), {})
            if step not in entries:
                break
            position, data = entries[step], data[step]
        return position


def read_text(file: Path, error: type[FileError]) -> str:
    """Return a UTF-8 text file of at most 1 MB, with single line feeds as line ends. Raises `error`."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise error("This is not a file.", file=file)
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as cause:
        problem = "The link is broken." if file.is_symlink() else "There is no such file."
        raise error(problem, file=file) from cause
    except (OSError, ValueError) as cause:
        raise_if_exhausted(cause)
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"The file cannot be read: {reason}.", file=file) from cause
    if len(raw) > MAX_BYTES:
        raise error("The file is larger than 1 MB.", file=file, hint="Is it the right file?")
    return _decoded(raw, file, error).replace("\r\n", "\n")


def _decoded(raw: bytes, file: Path, error: type[FileError]) -> str:
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as cause:
        before = raw[: cause.start].decode("utf-8").removeprefix("\ufeff")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        problem = f"The file is not UTF-8: byte 0x{raw[cause.start]:02x} at offset {cause.start}."
        raise error(problem, file=file, line=line, column=column, hint="Save it as UTF-8.") from cause


def front_matter(text: str) -> tuple[str, str, str, str] | None:
    """Split a Markdown text into its first line `---`, the YAML, the second line `---`, and the rest."""
    parts = _FRONT_MATTER.fullmatch(text)
    return (parts[1], parts[2], parts[3], parts[4]) if parts else None


def parse(text: str, file: Path, error: type[FileError]) -> YamlDocument:
    """Parse one YAML document; `data` is None if it is empty. Raises `error`, with line and column."""
    return _Composer(text, file, error).compose()


class _Composer:
    """Builds a document from the parser's events, and checks every limit before building a value."""

    def __init__(
        self, text: str, file: Path, error: type[FileError], surrogates: SurrogateMask | None = None
    ) -> None:
        import yaml

        self._yaml = yaml
        self._text = text
        self._surrogates = surrogates
        self._document = YamlDocument(file, error)
        self._loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 20 times as fast
        self._events: Any = iter(())
        self._anchors: dict[str, tuple[Any, int, str]] = {}
        self._values = 0

    def compose(self) -> YamlDocument:
        self._check_printable()
        self._events = events = self._yaml.parse(self._text, Loader=self._loader)
        try:
            next(events)  # the start of the stream
            if isinstance(next(events), self._yaml.DocumentStartEvent):
                root = next(events)
                self._document.data, _ = self._value(root, 0)
                self._document.start = _start(root)
                next(events)  # the end of the document
                if not isinstance(second := next(events), self._yaml.StreamEndEvent):
                    hint = "A file may contain only one document: remove the second ---."
                    raise self._error(second, "A second document starts here.", hint)
        except self._yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            if mark and "maximum nesting depth" in str(error):  # of libyaml, which reads ahead: check the text before
                return parse(self._text[: mark.index], self._document.file, self._document.error)
            if (masked := self._masked()) and "Unicode character escape" in str(error):
                return masked.compose()
            raise self._syntax_error(error) from error
        except (ValueError, OverflowError) as error:  # from the pure Python parser, for "\UFFFFFFFF"
            raise self._document.error_at(f"This is not valid YAML: {error}.", TOP) from error
        return self._document

    def _masked(self) -> "_Composer | None":
        """Return a composer of the text with masked pairs of surrogates, if it has any."""
        if self._surrogates:
            return None
        mask = SurrogateMask(self._text)
        is_masked = mask.text != self._text
        return _Composer(mask.text, self._document.file, self._document.error, mask) if is_masked else None

    def _value(self, event: Any, depth: int) -> tuple[Any, str]:
        """Return the value that starts with `event`, and its source if it is a scalar."""
        self._values += 1
        if isinstance(event, self._yaml.AliasEvent):
            return self._alias(event)
        self._check_event(event, depth)
        before, source = self._values, ""
        if isinstance(event, self._yaml.ScalarEvent):
            source = self._text_of(event)
            value = self._scalar(event, source)
        else:
            value = self._collection([] if isinstance(event, self._yaml.SequenceStartEvent) else {}, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._values - before + 1, source)
        return value, source

    def _alias(self, event: Any) -> tuple[Any, str]:
        if event.anchor not in self._anchors:
            hint = f"&{event.anchor} must mark a value that ends before it."
            raise self._error(event, f"*{event.anchor} has no anchor before it.", hint)
        value, size, source = self._anchors[event.anchor]
        self._values += size - 1
        if self._values > MAX_VALUES:
            raise self._error(event, f"*{event.anchor} expands the file to more than {MAX_VALUES} values.")
        return value, source

    def _check_event(self, event: Any, depth: int) -> None:
        if event.tag is not None:
            hint = "Remove it; text that starts with ! needs quotes."
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._error(event, f"The tag {quoted(tag)} is not supported.", hint)
        if depth > MAX_DEPTH:
            raise self._error(event, f"This is nested more than {MAX_DEPTH} levels deep.")
        if self._values > MAX_VALUES:
            raise self._error(event, f"The file has more than {MAX_VALUES} values.")

    def _text_of(self, scalar: Any) -> str:
        text: str = scalar.value
        if self._surrogates:
            return self._surrogates.unmask(text, escaped=scalar.style == '"')
        return join_surrogates(text) if _SURROGATE.search(text) else text  # the pure Python parser keeps the halves

    def _scalar(self, event: Any, text: str) -> Any:
        if _SURROGATE.search(text):
            raise self._error(event, "A \\u escape that is not a character.")
        if not event.implicit[0]:  # quoted or block text
            return text
        if text in _KEYWORDS:
            return _KEYWORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return _number(text) if _FLOAT.fullmatch(text) and not text.lstrip("+-").isdigit() else text

    def _collection(self, data: Any, depth: int) -> Any:
        """Fill a list or a mapping with the values up to its end."""
        positions: EntryPositions = {}
        is_list = isinstance(data, list)
        while not isinstance(event := next(self._events), self._yaml.CollectionEndEvent):
            at, key = _start(event), len(data) if is_list else self._key(event, depth)
            if key in positions:
                problem = f"The key {quoted(str(key))} is given twice; first in line {positions[key].key.line}."
                raise self._error(event, problem, "Remove one of them.")
            event = event if is_list else next(self._events)
            value, source = self._value(event, depth + 1)
            positions[key] = EntryPosition(at, _start(event), source)
            if is_list:
                data.append(value)
            else:
                data[key] = value
        self._document.positions[id(data)] = positions
        return data

    def _key(self, event: Any, depth: int) -> str:
        key, source = self._value(event, depth + 1)
        if isinstance(key, str) and "`" in key:  # error messages quote keys with it
            raise self._error(event, f"The key {quoted(key)} contains a backtick.", "Remove it.")
        if isinstance(key, str):
            return key
        if isinstance(key, (list, dict)):
            raise self._error(event, "A list or a mapping cannot be a key.")
        raise self._error(event, f"The key {quoted(source)} is not text.", f'Quote it: "{source}"')

    def _check_printable(self) -> None:
        if found := _UNPRINTABLE.search(self._text):
            lines = _LINE_BREAK.split(self._text[: found.start()])
            problem = f"The character {found[0]!r} is not allowed in YAML."
            at = Position(len(lines), len(lines[-1]) + 1)
            raise self._document.error_at(problem, at, hint="Remove it, or write it as an escape in quotes.")

    def _error(self, event: Any, problem: str, hint: str = "") -> FileError:
        return self._document.error_at(problem, _start(event), hint=hint)

    def _syntax_error(self, error: Any) -> FileError:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line, mark.column) if mark else (0, 0)
        complaint = getattr(error, "problem", None) or str(error)
        lines = [*_LINE_BREAK.split(self._text), ""]
        text = lines[line]
        indentation = text[: len(text) - len(text.lstrip())]
        opened = getattr(error, "context_mark", None)
        if "\t" in indentation and column <= len(indentation):
            column = indentation.index("\t")
            problem, hint = f"The line {quoted(text.strip())} is indented with a tab.", "Indent with spaces."
        elif opened and _NEVER_CLOSED.search(complaint):
            line, column = opened.line, opened.column
            problem = f"The {lines[line][column]} at this position is not closed."
            hint = "Close it, or look for a missing comma."
        else:
            problem, hint = _explain(complaint, text, column)
        return self._document.error_at(problem, Position(line + 1, column + 1), hint=hint)


def _number(text: str) -> float:
    """Return a number with a fraction or exponent; `2.0` is a whole number, as in JSON Schema."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < _MAX_EXACT else number


def _start(event: Any) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _explain(complaint: str, text: str, column: int) -> tuple[str, str]:
    where = quoted(text.strip()) if text.strip() else "the end"
    if "mapping values are not allowed" in complaint:
        return f"There is an extra ': ' in {where}.", "Quote text that contains ': ', or check the indentation."
    if "cannot start any token" in complaint:
        return f"Text cannot start with {text[column : column + 1]!r} in {where}.", "Put it in quotes."
    return (f"This is not valid YAML at {where}: {complaint}.", "Check the indentation, brackets and quotes near it.")
