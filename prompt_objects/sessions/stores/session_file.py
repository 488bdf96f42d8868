"""A session file: a line document whose list is the history, under the lock of its own descriptor."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.message import Message, timestamp
from prompt_objects.sessions import disk
from prompt_objects.sessions.record import SessionInfo
from prompt_objects.sessions.stores.encoding import decode, encode
from prompt_objects.sessions.stores.line_document import LineDocument, body_of
from prompt_objects.sessions.stores.repair import Recovered, recover
from prompt_objects.sessions.usage import with_usage

__all__ = ["Contents", "SessionFile", "contents", "document", "gone", "metadata_of", "summary"]

_LIST = b'"history":[\n'
_FOOT = re.compile(rb'\n\],"updated_at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"\}\n')


def _foot(updated_at: str) -> bytes:
    return b'],"updated_at":"%s"}\n' % updated_at.encode()


_FOOT_LENGTH = len(_foot(timestamp(datetime.fromtimestamp(0, UTC))))


def document(head: dict[str, Any], messages: Iterable[Message], updated_at: str) -> Iterator[bytes]:
    """Write a whole session file."""
    yield encode(head)[:-1] + b"," + _LIST
    yield body_of(map(encode, messages), first=True)
    yield _foot(updated_at)


def _read_ours(data: bytes) -> tuple[dict[str, Any], int] | None:
    """Return the head and the number of messages where a file has our form, or else None."""
    start = data.find(b"\n") + 1
    count = data.count(b"\n") - 2
    body_end = len(data) - _FOOT_LENGTH
    if not data[:start].endswith(_LIST) or not _FOOT.fullmatch(data, body_end - 1):
        return None
    if count and not (data.count(b"}\n,{") == count - 1 and data[start : start + 1] == b"{"):
        return None
    if data[body_end - 2 : body_end] != (b"}\n" if count else b"[\n"):
        return None
    try:
        head = decode(data[: start - 1] + b"]}")
    except ValueError:
        return None
    head.pop("history", None)
    return head, count


def _info(path: Path, head: dict[str, Any], count: int, updated_at: str) -> SessionInfo:
    """Make the facts of a head into a `SessionInfo` without sums. Raises `Damaged` where they are none."""
    known = {**head, "message_count": count, "updated_at": updated_at}
    known = {"created_at": updated_at} | {key: value for key, value in known.items() if value is not None}
    for derived in ("prompt_tokens", "completion_tokens", "cached_tokens", "cost", "archived"):
        known.pop(derived, None)
    try:
        info = msgspec.convert(known, SessionInfo)
        info = replace(info, created_at=info.created_at.astimezone(UTC))
        msgspec.json.encode(info)  # or it would spoil the index: half of a surrogate pair cannot be written there
    except (msgspec.ValidationError, OverflowError, UnicodeEncodeError) as error:
        raise _damaged(path, str(error)) from error
    if info.id != path.name.partition(".")[0]:
        raise _damaged(path, f"it says that it is {info.id!r:.60}")
    return info


def _damaged(path: Path, why: str) -> Damaged:
    return Damaged(
        f"{path} is not a session that can be read: {why}.",
        hint="It is left as it is. Mend its first line, or put a copy from a backup in its place.",
    )


def gone(path: Path) -> NotFound:
    """Make the error that says that a session has no file any more."""
    return NotFound(
        f"The session {path.name.partition('.')[0]} is not there any more.",
        hint="It may be in the trash, from where it can be restored.",
    )


def _updated_at(recovered: Recovered) -> str:
    """Return the time of the foot, or of the last message, or now: the first of them that is a time."""
    last = recovered.messages[-1].get("at") if recovered.messages else None
    for moment in (recovered.head.get("updated_at"), last):
        try:
            return timestamp(datetime.fromisoformat(str(moment)))
        except (ValueError, OverflowError):  # the latter for a time before the year 1, or after 9999, in UTC
            continue
    return timestamp()


def metadata_of(head: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata in a head; none where something else stands in its place."""
    metadata = head.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a session file says: its head, its history, and all that is known of it, sums too."""

    info: SessionInfo
    head: dict[str, Any]
    _history: list[bytes] | list[Message]  # decoded only where it is not in our form

    @property
    def metadata(self) -> dict[str, Any]:
        """What else was noted about the session."""
        return metadata_of(self.head)

    def read(self, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to `stop`. Raises `ValueError` for one that cannot be read."""
        return [decode(line) if isinstance(line, bytes) else line for line in self._history[start:stop]]


def contents(path: Path, data: bytes) -> Contents:
    """Understand the bytes of a whole session file, without repairing it. Raises `Damaged`, naming `path`."""
    ours = _read_ours(data)
    if ours:
        head, count = ours
        updated_at = data[-_FOOT_LENGTH:].split(b'"')[3].decode()
        lines = [line.removeprefix(b",") for line in data.split(b"\n")[1:-2]]
        info = _info(path, head, count, updated_at)
        return Contents(with_usage(info, _readable(line for line in lines if b'"usage"' in line)), head, lines)
    recovered = recover(data, _FOOT_LENGTH)
    if recovered is None:
        raise _damaged(path, "its beginning is not that of a session")
    info = _info(path, recovered.head, len(recovered.messages), _updated_at(recovered))
    head = {key: value for key, value in recovered.head.items() if key != "updated_at"}
    return Contents(with_usage(info, recovered.messages), head, recovered.messages)


def summary(path: Path) -> SessionInfo:
    """Return all that is known of the session in a file, sums too; takes no lock and writes nothing."""
    return contents(path, path.read_bytes()).info


def _readable(lines: Iterable[bytes]) -> Iterator[Message]:
    for line in lines:
        try:
            yield decode(line)
        except ValueError:  # counted as nothing until it is read, and the file repaired
            continue


class SessionFile:
    """One session file, kept open. `with file:` has it to oneself among threads; everything but `close` wants that.

    `notes` collects sentences about what was repaired.
    """

    def __init__(self, path: Path, notes: list[str]) -> None:
        self.path = path
        self.id = path.stem
        self.head: dict[str, Any] = {}
        self.entry: SessionInfo | None = None  # what the index was last told, while the file is the same
        self._mutex = Lock()
        self._notes = notes
        self._doc: LineDocument | None = None
        self._foreign: list[Message] | None = None  # the messages of a file that is not in our form
        self._updated_at = ""  # and its time

    def __enter__(self) -> Self:
        self._mutex.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._mutex.release()

    @property
    def count(self) -> int:
        """The number of messages, as of the last look."""
        return self.doc.count

    @property
    def size(self) -> int:
        """Its length in bytes, as of the last look."""
        return self.doc.size

    @property
    def doc(self) -> LineDocument:
        """The open document; a new one after the file was replaced."""
        if self._doc is None:
            try:
                self._doc = LineDocument(self.path, _FOOT_LENGTH)
            except FileNotFoundError as error:
                raise gone(self.path) from error
            except OSError as error:
                raise disk.failure("opened", self.path, error) from error
        return self._doc

    def close(self) -> None:
        """Let go of the descriptor; the next use opens the file again."""
        if self._doc is not None:
            self._doc.close()
        self._doc = None

    def close_if_idle(self) -> bool:
        """Let go of the descriptor unless a thread has the file; False where one has."""
        if not self._mutex.acquire(blocking=False):
            return False
        self.close()
        self._mutex.release()
        return True

    def look(self) -> None:
        """Know the file as it is now; its lock is waited for only where the foot does not show it to be whole."""
        size = self.doc.size_now()
        if size is None or not self._catch_up(size):
            with self.locked():
                pass

    def locked(self, *, writing: bool = False) -> "_Locked":
        """Hold the file's lock for a block, knowing it as it is now; for `writing` it is also in our form."""
        return _Locked(self, writing=writing)

    def lock(self, *, writing: bool) -> None:
        """Take the file's lock, which `unlock` lets go of; `locked` does both."""
        while not self._lock_known(writing=writing):
            self.close()

    def unlock(self) -> None:
        """Let go of the file's lock."""
        disk.unlock(self.doc.descriptor)

    def _lock_known(self, *, writing: bool) -> bool:
        """Take the lock; False, without it, where another file is at the path by now."""
        doc = self.doc
        disk.lock(doc.descriptor)
        known = False
        try:
            size = doc.size_now()
            known = size is not None and self._is_known(size, writing=writing)
        finally:
            if not known:
                disk.unlock(doc.descriptor)
        return known

    def _is_known(self, size: int, *, writing: bool) -> bool:
        """Catch up with the file; False where it had to be replaced by one in our form."""
        if not self._catch_up(size) and not self._take_foreign(self.doc.read(0, size)):
            return False
        if writing and self._foreign is not None:
            self._replace(self._foreign, self._updated_at)
            return False
        return True

    def _catch_up(self, size: int) -> bool:
        """Know a file that is as it was, has grown, or is another in our form; False where it is none of these."""
        if self._is_unchanged(size) or self._has_grown(size):
            return True
        self._foreign = self.entry = None
        ours = _read_ours(self.doc.read(0, size))
        if ours is None:
            return False
        self.head, self.doc.count = ours
        self.doc.size = size
        self.doc.foot()
        return True

    def _is_unchanged(self, size: int | None) -> bool:
        doc = self.doc
        if size != doc.size or not size:
            return False
        return self._foreign is not None or doc.has_known_foot()

    def _has_grown(self, size: int) -> bool:
        """Count what other writers appended, from the old foot on; False where that is not what happened."""
        doc = self.doc
        if self._foreign is not None or not 0 < doc.size < size:
            return False
        added = doc.read(doc.size - _FOOT_LENGTH - 1, size)
        lines = added.count(b"\n") - 2  # without the line's end before and the foot's
        commas = added.count(b"\n,{") + (doc.count == 0 and added.startswith(b"\n{"))
        if commas != lines or not _FOOT.fullmatch(added, len(added) - _FOOT_LENGTH - 1):
            return False
        doc.count += lines
        doc.size = size
        doc.foot()
        return True

    def _take_foreign(self, data: bytes) -> bool:
        """Take in a file that is not in our form: as it is where it is whole, repaired where it is not."""
        recovered = recover(data, _FOOT_LENGTH)
        if recovered is None:
            raise _damaged(self.path, "its beginning is not that of a session")
        updated_at = self._updated_at = _updated_at(recovered)
        _info(self.path, recovered.head, len(recovered.messages), updated_at)  # or it is Damaged, and left alone
        self.head = {key: value for key, value in recovered.head.items() if key != "updated_at"}
        if not recovered.whole:
            self._repair(recovered, updated_at)
            return False
        self._foreign = recovered.messages
        self.doc.count, self.doc.size = len(recovered.messages), len(data)
        return True

    def _repair(self, recovered: Recovered, updated_at: str) -> None:
        name, kept = self.head.get("name"), len(recovered.messages)
        note = f"The file of the session {name!r} was cut off or damaged; all its {kept} whole messages were kept."
        if recovered.unreadable:
            beside = self.path.with_suffix(".corrupt")
            with self._doing("written"):
                _add_to(beside, recovered.unreadable.rstrip(b"\n") + b"\n")
            note += f" What could not be read is in {beside}."
        self._replace(recovered.messages, updated_at)
        self._notes.append(note)

    def _replace(self, messages: Iterable[Message], updated_at: str) -> None:
        with self._doing("saved"):
            disk.replace_file(self.path, document(self.head, messages, updated_at))

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk.failure(what, self.path, error) from error

    # With the lock held

    def info(self) -> SessionInfo:
        """Work everything out from the file itself, sums too. Raises `NotFound` where it was moved just now."""
        try:
            return summary(self.path)
        except FileNotFoundError as error:
            raise gone(self.path) from error

    def append(self, lines: Sequence[bytes], updated_at: str) -> None:
        """Write encoded messages; they are safe only after `sync`. Raises `StoreError`, nothing written."""
        doc = self.doc
        body, foot = body_of(lines, first=doc.count == 0), _foot(updated_at)
        try:
            doc.append(body, foot)
        except OSError as error:
            raise disk.failure("written", self.path, error) from error
        doc.count += len(lines)
        length = len(body) + len(foot)
        disk.start_writing(doc.descriptor, doc.size - length, length)  # the index is seen to meanwhile

    def rewrite_head(self, head: dict[str, Any]) -> None:
        """Replace the file by one with another head and the same history, durably."""
        first = encode(head)[:-1] + b"," + _LIST
        rest = self.doc.read(0, self.doc.size).partition(b"\n")[2]
        with self._doing("saved"):
            disk.replace_file(self.path, (first, rest))
        self.head = head

    def truncate(self, count: int, updated_at: str) -> None:
        """Replace the file by one that has the first `count` of its messages only, durably."""
        first = self.data().partition(b"\n")[0] + b"\n"
        body = body_of(self.doc.lines(0, count), first=True)
        with self._doing("saved"):
            disk.replace_file(self.path, (first, body, _foot(updated_at)))

    def data(self) -> bytes:
        """Return the whole file."""
        return self.doc.read(0, self.doc.size)

    # Without

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        try:
            disk.sync(self.doc.descriptor)
        except OSError as error:
            raise disk.failure("written for certain", self.path, error) from error

    def read(self, start: int, stop: int) -> list[Message]:
        """Return messages; a line in their midst that cannot be read has the file repaired first."""
        while True:
            if not self._is_unchanged(self.doc.size_now()):
                with self.locked():
                    pass
            stop = min(stop, self.doc.count)
            if self._foreign is not None:
                return self._foreign[start:stop]
            if start >= stop:
                return []
            try:
                return [decode(line) for line in self.doc.lines(start, stop)]
            except ValueError:
                self._repair_inside()

    def _repair_inside(self) -> None:
        with self.locked(writing=True):
            data = self.doc.read(0, self.doc.size)
            recovered = recover(data, _FOOT_LENGTH)
            if recovered is None:
                raise _damaged(self.path, "its beginning is not that of a session")
            self._repair(recovered, _updated_at(recovered))


class _Locked:
    """A block in which a session file is locked; a class, as a generator would take twice as long."""

    __slots__ = ("_file", "_writing")

    def __init__(self, file: SessionFile, *, writing: bool) -> None:
        self._file = file
        self._writing = writing

    def __enter__(self) -> None:
        self._file.lock(writing=self._writing)

    def __exit__(self, *_: object) -> None:
        self._file.unlock()


def _add_to(path: Path, data: bytes) -> None:
    descriptor = disk.open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        disk.write_all(descriptor, data)
        disk.sync(descriptor)
    finally:
        os.close(descriptor)
