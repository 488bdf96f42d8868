"""History kept inside prompt objects becomes sessions.

Earlier definitions contained their conversation: `history`, a list of messages, in the YAML or in the
front matter; or it was in `history.json`, by the names of the objects, or in `NAME.history.json`, beside them. Each
object that has such a history gets a session called "Migrated" with it. The key is then removed from the
definition, and the JSON files are deleted; the backup has them all.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from prompt_objects.errors import UsageError
from prompt_objects.message import Message
from prompt_objects.migrations.change import (
    FileChange,
    Fragment,
    NewSession,
    ObjectChange,
    OldList,
    Skipped,
    SourceFile,
    Target,
    read_source,
)
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.utils.time import timestamp

_NAME = "Migrated"
_SUFFIXES = {".yaml", ".yml", ".md"}
_BESIDE = ".history.json"
_BOM = b"\xef\xbb\xbf"
_MAY_HAVE_HISTORY = re.compile(rb"""(?:\A|[\r\n{,?])(?:\xef\xbb\xbf)?[\s?]*(?:[&!]\S*\s+)*["']?history["']?\s*:""")
_INVALID_DATE = "It is not a valid date."
_NUMBER = re.compile(r"\s*\d{9,13}(?:\.\d{1,9})?\s*", re.ASCII)
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100; other numbers are not taken as dates
_DATED = ("at", "timestamp", "created_at", "date", "time")


def migrate(target: Target) -> Iterator[ObjectChange]:
    """Yield the changes, object by object, in the order of the files' names."""
    objects = target.folder / "objects"
    if not objects.is_dir():
        return
    files = sorted(path for path in objects.iterdir() if not path.name.startswith("."))
    names = sorted({path.stem for path in files if path.suffix in _SUFFIXES})
    for path in files:
        try:
            if path.name == "history.json":
                yield from _shared_file(read_source(path), names)
            elif path.name.endswith(_BESIDE):
                yield _file_beside(read_source(path), names)
            elif path.suffix in _SUFFIXES and path.is_file() and _MAY_HAVE_HISTORY.search(path.read_bytes()):
                yield from _definition(read_source(path))
        except OSError as error:
            yield ObjectChange(path.stem, _where(path), problem=f"It cannot be read: {error.strerror or error}.")


def _where(path: Path) -> str:
    return f"objects/{path.name}"


# Histories in definitions


def _definition(file: SourceFile) -> Iterator[ObjectChange]:
    from prompt_objects.config.yaml.document import front_matter
    from prompt_objects.config.yaml.edit import CannotEdit
    from prompt_objects.migrations.yaml_list import remove_list

    name, where = file.path.stem, _where(file.path)
    mark = _BOM if file.data.startswith(_BOM) else b""
    try:
        text = file.data.removeprefix(_BOM).decode()
        start, yaml, *rest = ("", text) if file.path.suffix != ".md" else front_matter(text) or (text, "")
        yaml, found = remove_list(yaml, "history") or (yaml, None)
    except UnicodeDecodeError:
        yield ObjectChange(name, where, problem="It is not UTF-8 text.")
        return
    except CannotEdit as reason:
        yield ObjectChange(name, where, problem=str(reason))
        return
    if found is not None:
        data = mark + "".join((start, yaml, *rest)).encode()
        yield _change(file, name, found, (FileChange(file, data),))


# Histories in JSON


def _file_beside(file: SourceFile, names: Iterable[str]) -> ObjectChange:
    from prompt_objects.migrations.json_list import only_list

    name, where = file.path.name.removesuffix(_BESIDE), _where(file.path)
    if name not in names:
        return ObjectChange(name, where, problem=f"There is no prompt object {name!r}.")
    found = only_list(_text(file))
    if found is None:
        return ObjectChange(name, where, problem="It is not a list of messages.")
    return _change(file, name, found, (FileChange(file, None),))


def _shared_file(file: SourceFile, names: list[str]) -> Iterator[ObjectChange]:
    """Read a mapping from names to histories or, if there is only one object, its history."""
    from prompt_objects.migrations.json_list import lists_by_name, only_list

    text, where = _text(file), _where(file.path)
    single = only_list(text)
    if single and len(names) == 1:
        yield _change(file, names[0], single, (FileChange(file, None),))
        return
    lists = lists_by_name(text, names)
    if lists is None:
        problem = (
            "It does not name the prompt object of the history."
            if single
            else "It is not a mapping of names to histories."
        )
        yield ObjectChange("", where, problem=problem)
        return
    for each in lists:
        if each.name in names:
            yield _change(file, each.name, each)
        else:
            reason = f"There is no prompt object {each.name!r}." if each.name else "It belongs to no prompt object."
            fragments = [Fragment(fragment.place, fragment.text, problem=reason) for fragment in each.fragments]
            yield _change(file, each.name, OldList(each.name, each.text, fragments))
    yield ObjectChange("", where, files=(FileChange(file, None),))


def _text(file: SourceFile) -> str:
    return file.data.removeprefix(_BOM).decode(errors="surrogateescape")


# From elements to messages


def _change(file: SourceFile, name: str, found: OldList, files: tuple[FileChange, ...] = ()) -> ObjectChange:
    """Create a session of the elements that are messages, and skip the others."""
    where = _where(file.path)
    written = datetime.fromtimestamp(file.mtime_ns / 1e9, UTC)
    messages: list[Message] = []
    dates: list[datetime] = []
    skipped: list[Skipped] = []
    for fragment in found.fragments:
        if reason := fragment.problem or _objection(fragment.value):
            skipped.append(Skipped(where, name, fragment.place, reason, fragment.text))
            continue
        moment, unclear = _date_of(fragment.value)
        moment = moment or written
        dates.append(moment)
        messages.append(_dated(fragment.value, moment))
        skipped += (
            Skipped(where, name, f"{fragment.place}, {key}", _INVALID_DATE, _as_json(fragment.value[key]))
            for key in unclear
        )
    sessions: tuple[NewSession, ...] = ()
    if messages:
        key = sha256(found.text.encode(errors="surrogateescape")).hexdigest()
        sessions = (NewSession(name, _NAME, messages, min(dates), max(dates), where, key),)
    return ObjectChange(name, where, sessions, tuple(skipped), files)


def _objection(value: Any) -> str:
    """Return the reason why a value cannot be a message, "" if it can."""
    if not isinstance(value, dict):
        return "It is not a mapping."
    if "role" not in value:
        return "It has no role."
    if not isinstance(value["role"], str):
        return "Its role is not text."
    try:
        encode(value)
    except UsageError as error:
        return str(error)
    return ""


def _date_of(message: Message) -> tuple[datetime | None, list[str]]:
    """Return the date in a message, and the keys before it that contain no valid date."""
    unclear: list[str] = []
    for key in _DATED:
        if message.get(key) in (None, ""):
            continue
        if moment := _moment(message[key]):
            return moment, unclear
        unclear.append(key)
    return None, unclear


def _moment(value: Any) -> datetime | None:
    """Parse a date: ISO 8601, UTC if it has no zone, or a Unix time in seconds or milliseconds."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    value = float(value) if isinstance(value, str) else value
    seconds = next((value / unit for unit in (1, 1000) if _EARLIEST * unit <= value <= _LATEST * unit), None)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _dated(message: Message, moment: datetime) -> Message:
    """Return the message with a date in `at`, unless it has a valid one."""
    at = message.get("at")
    is_fit = isinstance(at, str) and not _NUMBER.fullmatch(at) and _moment(at)
    return message if is_fit else {**message, "at": timestamp(moment)}


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
