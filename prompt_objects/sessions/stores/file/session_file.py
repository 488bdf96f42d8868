"""A session file: a line document whose list is the history, under the lock of its own descriptor."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Self

from prompt_objects.errors import StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.file.format import (
    FOOTER_LENGTH,
    LIST,
    document,
    footer,
    footer_in,
    id_of,
    missing_file_error,
    pad_to_block,
    parse_canonical,
    recover_file,
    summary,
)
from prompt_objects.sessions.stores.file.line_document import DISK_BLOCK, LineDocument, body_of
from prompt_objects.sessions.stores.file.recovery import Recovered
from prompt_objects.sessions.stores.json_lines import decode_message, encode
from prompt_objects.utils import filesystem as disk

__all__ = [
    "SessionFile",
]


class SessionFile:
    """One session file, kept open. `with file:` has it to oneself among threads; everything but `close` wants that.

    `notify` is called with a sentence about each repair; `known` is asked for what is known of the session from
    elsewhere where its head cannot be read.
    """

    def __init__(
        self, path: Path, notify: Callable[[str], None], known: Callable[[], SessionInfo | None] = lambda: None
    ) -> None:
        self.path = path
        self.id = path.stem
        self.head: dict[str, Any] = {}
        self.entry: SessionInfo | None = None  # what the index was last told, while the file is the same
        self._mutex = Lock()
        self._notify = notify
        self._known = known
        self._doc: LineDocument | None = None
        self._noncanonical: list[Message] | None = None  # the messages of a file that is not in our form
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
        """The length of what it says, in bytes, as of the last look."""
        return self.doc.size

    @property
    def doc(self) -> LineDocument:
        """The open document; a new one after the file was replaced."""
        if self._doc is None:
            try:
                self._doc = LineDocument(self.path, FOOTER_LENGTH, DISK_BLOCK)
            except FileNotFoundError as error:
                raise missing_file_error(self.path) from error
            except OSError as error:
                raise disk.store_error("opened", self.path, error) from error
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

    def refresh(self) -> None:
        """Know the file as it is now; its lock is waited for only where the foot does not show it to be whole."""
        length = self.doc.length_now()
        if length is None or not self._catch_up(length):
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
        """Let go of the file's lock; that of a file which was replaced went with it."""
        if self._doc is not None:
            disk.unlock(self._doc.descriptor)

    def _lock_known(self, *, writing: bool) -> bool:
        """Take the lock; False, without it, where another file is at the path by now."""
        doc = self.doc
        disk.lock(doc.descriptor)
        known = False
        try:
            length = doc.length_now()
            known = length is not None and self._is_known(length, writing=writing)
        finally:
            if not known and self._doc is doc:
                disk.unlock(doc.descriptor)
        return known

    def _is_known(self, length: int, *, writing: bool) -> bool:
        """Catch up with the file; False where it had to be replaced by one in our form."""
        if not self._catch_up(length) and not self._take_foreign(self.doc.read(0, length)):
            return False
        if writing and self._noncanonical is not None:
            self._replace(self._noncanonical, self._updated_at)
            return False
        return True

    def _catch_up(self, length: int) -> bool:
        """Know a file that is as it was, has grown, or is another in our form; False where it is none of these."""
        if self._is_unchanged(length) or self._has_grown(length):
            return True
        self._noncanonical = self.entry = None
        ours = parse_canonical(self.path, self.doc.read(0, length))
        if ours is None:
            return False
        self.head, info, end = ours
        self.doc.know(info.message_count, end.end(), length, end[0])
        return True

    def _is_unchanged(self, length: int | None) -> bool:
        doc = self.doc
        if length != doc.length or not length:
            return False
        return self._noncanonical is not None or doc.has_known_foot()

    def _has_grown(self, length: int) -> bool:
        """Count what other writers appended, from the old foot on; False where that is not what happened."""
        doc = self.doc
        if self._noncanonical is not None or not doc.size:
            return False
        start = doc.size - FOOTER_LENGTH - 1
        added = doc.read(start, length)
        end = footer_in(added)
        lines = added.count(b"\n", 1, end.start()) if end else 0
        commas = added.count(b"\n,{") + (doc.count == 0 and added.startswith(b"\n{"))
        if not end or commas != lines:
            return False
        doc.know(doc.count + lines, start + end.end(), length, end[0])
        return True

    def _take_foreign(self, data: bytes) -> bool:
        """Take in a file that is not in our form: as it is where it is whole, repaired where it is not."""
        found, self._updated_at = recover_file(self.path, data, self._known())
        self.head = found.head
        if not found.whole and self._repair(found):
            return False
        self._noncanonical = found.messages
        self.doc.know(len(found.messages), len(data), len(data), b"")
        return True

    def _repair(self, found: Recovered) -> bool:
        """Put a file in our form in the place of a damaged one; False where nothing may be written here."""
        note = f"The file of the session {found.head['name']!r} was cut off or damaged; "
        note += f"all its {len(found.messages)} whole messages were kept."
        beside = self.path.with_name(f"{id_of(self.path)}.corrupt")
        try:
            if found.unreadable:
                with self._doing("written"):
                    disk.append_once(beside, found.unreadable.rstrip(b"\n") + b"\n")
                note += f" What could not be read is in {beside}."
            self._replace(found.messages, self._updated_at)
        except StoreError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in disk.UNWRITABLE:
                raise
            self._notify(f"{error} It is damaged; its {len(found.messages)} whole messages are shown.")
            return False
        self._notify(note)
        return True

    def _replace(self, messages: Iterable[Message], updated_at: str) -> None:
        self._put(document(self.head, messages, updated_at))

    def _put(self, chunks: Iterable[bytes]) -> None:
        """Put another file in the place of this one, and let go of this: its space is free only then."""
        with self._doing("saved"):
            disk.replace_file(self.path, pad_to_block(chunks))
        self.close()

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk.store_error(what, self.path, error) from error

    # With the lock held

    def info(self) -> SessionInfo:
        """Work everything out from the file itself, sums too. Raises `NotFound` where it was moved just now."""
        try:
            return summary(self.path)
        except FileNotFoundError as error:
            raise missing_file_error(self.path) from error

    def append(self, lines: Sequence[bytes], updated_at: str) -> None:
        """Write encoded messages; they are safe only after `sync`. Raises `StoreError`, nothing written."""
        doc = self.doc
        body, end = body_of(lines, first=doc.count == 0), footer(updated_at)
        try:
            doc.append(body, end)
        except OSError as error:
            raise disk.store_error("written", self.path, error) from error
        doc.count += len(lines)
        length = len(body) + len(end)
        disk.start_writing(doc.descriptor, doc.size - length, length)  # the index is seen to meanwhile

    def rewrite_head(self, head: dict[str, Any]) -> None:
        """Replace the file by one with another head and the same history, durably."""
        first = encode(head)[:-1] + b"," + LIST
        rest = self.doc.read(0, self.doc.size).partition(b"\n")[2]
        self._put((first, rest))
        self.head = head

    def truncate(self, count: int, updated_at: str) -> None:
        """Replace the file by one that has the first `count` of its messages only, durably."""
        first = self.data().partition(b"\n")[0] + b"\n"
        body = body_of(self.doc.lines(0, count), first=True)
        self._put((first, body, footer(updated_at)))

    def data(self) -> bytes:
        """Return the whole file."""
        return self.doc.read(0, self.doc.size)

    # Without

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        try:
            disk.sync(self.doc.descriptor)
        except OSError as error:
            raise disk.store_error("written for certain", self.path, error) from error

    def read(self, start: int, stop: int) -> list[Message]:
        """Return messages; a line in their midst that cannot be read has the file repaired first."""
        while True:
            if not self._is_unchanged(self.doc.length_now()):
                with self.locked():
                    pass
            stop = min(stop, self.doc.count)
            if self._noncanonical is not None:
                return self._noncanonical[start:stop]
            if start >= stop:
                return []
            try:
                return [decode_message(line) for line in self.doc.lines(start, stop)]
            except ValueError:
                self._repair_inside()

    def _repair_inside(self) -> None:
        with self.locked(writing=True):
            found, self._updated_at = recover_file(self.path, self.data(), self._known())
            self.head = found.head
            if not self._repair(found):
                self._noncanonical = found.messages
                self.doc.count = len(found.messages)

    def repair(self) -> None:
        """Bring the file into our form, whatever is wrong with it. Raises `StoreError`."""
        with self.locked(writing=True):
            pass
        self.read(0, sys.maxsize)


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
