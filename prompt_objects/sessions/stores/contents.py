"""What the bytes of a session file say, and the bytes for what is to be said: a head, a history, a foot."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prompt_objects.errors import NotFound
from prompt_objects.message import Message, timestamp
from prompt_objects.sessions.record import SessionInfo
from prompt_objects.sessions.stores.encoding import decode, decode_message, encode
from prompt_objects.sessions.stores.head import completed, id_of, info_of, metadata_of, told_by
from prompt_objects.sessions.stores.line_document import DISK_BLOCK, blanks, body_of
from prompt_objects.sessions.stores.refusals import not_found
from prompt_objects.sessions.stores.repair import Recovered, recover
from prompt_objects.sessions.usage import with_usage

__all__ = [
    "FOOT_LENGTH",
    "LIST",
    "Contents",
    "contents",
    "document",
    "document_of",
    "foot",
    "foot_in",
    "gone",
    "padded",
    "read_ours",
    "recovered",
    "summary",
]

LIST = b'"history":[\n'
_FOOT = re.compile(rb'\],"updated_at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"\}\n(?=\t*\n?\Z)')


def foot(updated_at: str) -> bytes:
    """Write what stands behind the history."""
    return b'],"updated_at":"%s"}\n' % updated_at.encode()


FOOT_LENGTH = len(foot(timestamp(datetime.fromtimestamp(0, UTC))))


def foot_in(data: bytes) -> re.Match[bytes] | None:
    """Find the foot at the end of these bytes, where only blanks are behind it."""
    return _FOOT.match(data, data.rfind(b"\n]") + 1)


def document(head: dict[str, Any], messages: Iterable[Message], updated_at: str) -> Iterator[bytes]:
    """Write a whole session file."""
    return document_of(head, map(encode, messages), updated_at)


def document_of(head: dict[str, Any], lines: Iterable[bytes], updated_at: str) -> Iterator[bytes]:
    """Write a whole session file of encoded messages."""
    yield encode(head)[:-1] + b"," + LIST
    yield body_of(lines, first=True)
    yield foot(updated_at)


def padded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Fill the last block of a session file, which is given without blanks."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        yield chunk
    yield blanks(-size % DISK_BLOCK)


def gone(path: Path) -> NotFound:
    """Make the error that says that a session has no file any more."""
    return not_found(id_of(path))


def read_ours(path: Path, data: bytes) -> tuple[dict[str, Any], SessionInfo, re.Match[bytes]] | None:
    """Return the head, what it says, without sums, and the foot, or None where a file has not our form."""
    start, end = data.find(b"\n") + 1, foot_in(data)
    if not data[:start].endswith(LIST) or not end or data.find(b"\t", 0, end.start()) >= 0:
        return None
    count = data.count(b"\n", start, end.start())
    if count and not (data.count(b"}\n,{") == count - 1 and data[start : start + 1] == b"{"):
        return None
    if data[end.start() - 2 : end.start()] != (b"}\n" if count else b"[\n"):
        return None
    try:
        head = decode(data[: start - 1] + b"]}")
    except ValueError:
        return None
    head.pop("history", None)
    info = info_of(path, head, count, end[1].decode())
    return (head, info, end) if info else None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a session file says: its head, its history, and all that is known of it, sums too.

    It is `whole` where nothing of the file is damaged but, maybe, a message in the midst of others.
    """

    info: SessionInfo
    head: dict[str, Any]
    _history: list[bytes] | list[Message]  # decoded only where it is not in our form
    whole: bool = True

    @property
    def metadata(self) -> dict[str, Any]:
        """What else was noted about the session."""
        return metadata_of(self.head)

    def read(self, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`. Raises `ValueError` for one that cannot be read."""
        return [decode_message(line) if isinstance(line, bytes) else line for line in self._history[start:stop]]


def contents(path: Path, data: bytes, known: SessionInfo | None = None) -> Contents:
    """Understand the bytes of a session file, as far as they can be; `known` is as with `recovered`."""
    ours = read_ours(path, data)
    if ours:
        head, info, _ = ours
        lines = [line.removeprefix(b",") for line in data.split(b"\n", info.message_count + 1)[1:-1]]
        return Contents(with_usage(info, _readable(line for line in lines if b'"usage"' in line)), head, lines)
    found, updated_at = recovered(path, data, known)
    info = told_by(path, found.head, len(found.messages), updated_at)
    return Contents(with_usage(info, found.messages), found.head, found.messages, found.whole)


def recovered(path: Path, data: bytes, known: SessionInfo | None = None) -> tuple[Recovered, str]:
    """Read what can be read of a file that is not in our form; return it, and when it was last changed.

    Its head is completed: by what is `known` of the session from elsewhere, or else by what can be guessed.
    """
    found = recover(data, FOOT_LENGTH)
    updated_at = _updated_at(found)
    head = {key: value for key, value in found.head.items() if key != "updated_at"}
    whole = completed(path, head, updated_at, known)
    if whole == head:
        return Recovered(head, found.messages, found.unreadable, found.whole), updated_at
    aside = encode(found.head) + b"\n" if found.head else b""
    return Recovered(whole, found.messages, aside + found.unreadable, whole=False), updated_at


def _updated_at(found: Recovered) -> str:
    """Return the time of the foot, or of the last message, or now: the first of them that is a time."""
    last = found.messages[-1].get("at") if found.messages else None
    for moment in (found.head.get("updated_at"), last):
        try:
            return timestamp(datetime.fromisoformat(str(moment)))
        except (ValueError, OverflowError):  # the latter for a time before the year 1, or after 9999, in UTC
            continue
    return timestamp()


def summary(path: Path) -> SessionInfo:
    """Return all that is known of the session in a file, sums too; takes no lock and writes nothing."""
    return contents(path, path.read_bytes()).info


def _readable(lines: Iterable[bytes]) -> Iterator[Message]:
    for line in lines:
        try:
            yield decode_message(line)
        except ValueError:  # counted as nothing until it is read, and the file repaired
            continue
