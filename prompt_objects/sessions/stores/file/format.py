"""The format of a session file: header, history and footer, parsed and written."""

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from prompt_objects.errors import NotFound
from prompt_objects.message import Message
from prompt_objects.sessions.info import (
    DERIVED_FIELDS,
    SessionInfo,
    SessionRecord,
    add_usage,
    created_at_of,
    header_of,
)
from prompt_objects.sessions.names import MAX_NAME_LENGTH, recovered_name
from prompt_objects.sessions.stores.errors import not_found
from prompt_objects.sessions.stores.json_lines import DISK_BLOCK, decode, decode_message, encode, join_elements
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp

if TYPE_CHECKING:
    from prompt_objects.sessions.stores.file.recovery import Recovered


def id_of(path: Path) -> str:
    """Return the session id in the name of a file."""
    return path.name.partition(".")[0]


def info_of(path: Path, header: dict[str, Any], count: int, updated_at: str) -> SessionInfo | None:
    """Return the info in a header, without totals; None if it is not a header of this file."""
    try:
        return parse_header(path, header, count, updated_at)
    except ValueError:
        return None


def parse_header(path: Path, header: dict[str, Any], count: int, updated_at: str) -> SessionInfo:
    """Return the info in a header, without totals. Raises `ValueError` if it is not a header of this file."""
    given = {key: value for key, value in header.items() if key not in DERIVED_FIELDS and value is not None}
    known = {"created_at": updated_at, **given, "message_count": count, "updated_at": updated_at}
    try:
        info = msgspec.convert(known, SessionInfo)
        info = replace(info, created_at=info.created_at.astimezone(UTC))
        msgspec.json.encode(info)  # half of a surrogate pair cannot be written to the index
    except (msgspec.ValidationError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if info.id != id_of(path):
        raise ValueError(f"it says that it is {info.id!r:.60}")
    return info


def complete_header(path: Path, header: dict[str, Any], updated_at: str, known: SessionInfo | None) -> dict[str, Any]:
    """Return a header with all keys: unchanged if it is valid, otherwise with its valid values.

    Missing values are those of the `known` info, or guessed; the id is in the name of the file.
    """
    if info_of(path, header, 0, updated_at):
        return header
    session_id = id_of(path)
    created_at = created_at_of(session_id) or datetime.fromisoformat(updated_at)
    whole: dict[str, Any] = {
        "id": session_id,
        "name": recovered_name(created_at),
        "po_name": "unknown",
        "created_at": timestamp(created_at),
        "metadata": {},
    }
    if known:
        whole |= header_of(known, {})
    for key, value in header.items():
        if key != "id" and info_of(path, {**whole, key: value}, 0, updated_at):
            whole[key] = value
    return {**whole, "name": whole["name"][:MAX_NAME_LENGTH]}


HISTORY_START = b'"history":[\n'
_FOOTER_PATTERN = re.compile(rb'\],"updated_at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"\}\n(?=\t*\n?\Z)')


_MAX_FIRST_LINE = 1024 * 1024


FOOTER = b'],"updated_at":"%s"}\n'
FOOTER_LENGTH = len(FOOTER % timestamp().encode())


def find_footer(data: bytes) -> re.Match[bytes] | None:
    """Find the footer at the end of these bytes, before the padding."""
    return _FOOTER_PATTERN.match(data, data.rfind(b"\n]") + 1)


def document(header: dict[str, Any], lines: Iterable[bytes], updated_at: str) -> Iterator[bytes]:
    """Yield the parts of a session file with these encoded messages."""
    yield encode(header)[:-1] + b"," + HISTORY_START
    yield join_elements(lines, first=True)
    yield FOOTER % updated_at.encode()


def missing_file_error(path: Path) -> NotFound:
    """Return the error for a session whose file is missing."""
    return not_found(id_of(path))


def parse_canonical(path: Path, data: bytes) -> tuple[dict[str, Any], SessionInfo, re.Match[bytes]] | None:
    """Return the header, the info without totals, and the footer; None if the file is not canonical."""
    start, end = data.find(b"\n") + 1, find_footer(data)
    if not data[:start].endswith(HISTORY_START) or not end or data.find(b"\t", 0, end.start()) >= 0:
        return None
    count = data.count(b"\n", start, end.start())
    if count and not (data.count(b"}\n,{") == count - 1 and data[start : start + 1] == b"{"):
        return None
    if data[end.start() - 2 : end.start()] != (b"}\n" if count else b"[\n"):
        return None
    try:
        header = decode(data[: start - 1] + b"]}")
    except ValueError:
        return None
    header.pop("history", None)
    info = info_of(path, header, count, end[1].decode())
    return (header, info, end) if info else None


def record_of(info: SessionInfo, header: Mapping[str, Any]) -> SessionRecord:
    """Return the record of a session; its metadata is empty if the header has another value there."""
    metadata = header.get("metadata")
    return SessionRecord(info, metadata if isinstance(metadata, dict) else {})


@dataclasses.dataclass(frozen=True, slots=True)
class ParsedFile:
    """The content of a session file: its info with totals, its header and its history.

    It is `whole` if nothing in the file is damaged, except perhaps messages between others.
    """

    info: SessionInfo
    header: dict[str, Any]
    _history: list[bytes] | list[Message]  # decoded only if the file is not canonical
    whole: bool = True

    @property
    def record(self) -> SessionRecord:
        return record_of(self.info, self.header)

    def read(self, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`. Raises `ValueError` if one is unreadable."""
        return [decode_message(line) if isinstance(line, bytes) else line for line in self._history[start:stop]]


def parse_file(path: Path, data: bytes, known: SessionInfo | None = None) -> ParsedFile:
    """Parse the bytes of a session file, as far as possible; `known` is as in `recover_file`."""
    parsed = parse_canonical(path, data)
    if parsed:
        header, info, _ = parsed
        lines = [line.removeprefix(b",") for line in data.split(b"\n", info.message_count + 1)[1:-1]]
        return ParsedFile(add_usage(info, _readable(line for line in lines if b'"usage"' in line)), header, lines)
    found, updated_at = recover_file(path, data, known)
    info = parse_header(path, found.header, len(found.messages), updated_at)
    return ParsedFile(add_usage(info, found.messages), found.header, found.messages, found.whole)


def recover_file(path: Path, data: bytes, known: SessionInfo | None = None) -> "tuple[Recovered, str]":
    """Return the readable parts of a file that is not canonical, and its last change.

    Missing values in the header are those of the `known` info, or guessed.
    """
    from prompt_objects.sessions.stores.file.recovery import recover

    found = recover(data, FOOTER_LENGTH)
    updated_at = _updated_at(found)
    header = {key: value for key, value in found.header.items() if key != "updated_at"}
    whole = complete_header(path, header, updated_at, known)
    if whole == header:
        return dataclasses.replace(found, header=header), updated_at
    quarantined = encode(found.header) + b"\n" if found.header else b""
    unreadable = quarantined + found.unreadable
    return dataclasses.replace(found, header=whole, unreadable=unreadable, whole=False), updated_at


def _updated_at(found: "Recovered") -> str:
    """Return the time in the footer, or of the last message, or now: the first valid one."""
    last = found.messages[-1].get("at") if found.messages else None
    for moment in (found.header.get("updated_at"), last):
        try:
            return timestamp(datetime.fromisoformat(str(moment)))
        except (ValueError, OverflowError):  # the latter for a time before the year 1, or after 9999, in UTC
            continue
    return timestamp()


def read_whole(path: Path, known: SessionInfo) -> SessionInfo | None:
    """Return the info of a file, with totals; the `known` one if the file has its name and time, None if damaged."""
    if _has_ends_of(path, known):
        return known
    found = parse_file(path, disk.read_file(path))
    return found.info if found.whole else None


def _has_ends_of(path: Path, info: SessionInfo) -> bool:
    """Return whether a canonical file has the name of an info in its header, and its time in its footer."""
    with disk.opened(path) as file:
        first = file.readline(_MAX_FIRST_LINE)
        file.seek(max(0, os.fstat(file.fileno()).st_size - DISK_BLOCK - FOOTER_LENGTH))
        footer = find_footer(file.read())
    try:
        name = decode(first.rstrip(b"\n") + b"]}").get("name")
    except ValueError:
        return False
    return name == info.name and footer is not None and footer[1].decode() == timestamp(info.updated_at)


def summary(path: Path) -> SessionInfo:
    """Return the info of a session file, with totals, without a lock."""
    return parse_file(path, disk.read_file(path)).info


def _readable(lines: Iterable[bytes]) -> Iterator[Message]:
    for line in lines:
        try:
            yield decode_message(line)
        except ValueError:  # not counted until the file is repaired, when it is read
            continue
