"""Session files: line documents whose list is the history, each locked on its own descriptor."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self, TypeGuard, TypeVar

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, SessionRecord
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import (
    FOOTER,
    FOOTER_LENGTH,
    HISTORY_START,
    document,
    find_footer,
    id_of,
    missing_file_error,
    parse_canonical,
    record_of,
    recover_file,
    summary,
)
from prompt_objects.sessions.stores.json_lines import (
    DISK_BLOCK,
    LineDocument,
    decode_message,
    encode,
    join_elements,
    pad_to_block,
)
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import pluralize
from prompt_objects.utils.time import timestamp
from prompt_objects.utils.waiting import Mutex

if TYPE_CHECKING:
    from prompt_objects.sessions.stores.file.recovery import Recovered

T = TypeVar("T")
_MAX_OPEN = 32


class SessionFile:
    """One open session file. `with file:` takes its thread lock, which all methods but `close` need.

    `notify` is called with a sentence about each repair. `indexed_info` returns the info of the session in the index,
    for a file whose header cannot be read. With `read_only`, repairs are made in memory.
    """

    def __init__(
        self,
        path: Path,
        notify: Callable[[str], None],
        indexed_info: Callable[[], SessionInfo | None] = lambda: None,
        *,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self._read_only = read_only
        self.id = path.stem
        self.header: dict[str, Any] = {}
        self.entry: SessionInfo | None = None  # the last written index entry, while the file is the same
        self.is_repaired = False
        self._mutex = Mutex(str(path))
        self._notify = notify
        self._indexed_info = indexed_info
        self._doc: LineDocument | None = None
        self._noncanonical: list[Message] | None = None  # the messages of a file that is not canonical
        self._noncanonical_time = ""  # and its time

    def __enter__(self) -> Self:
        self._mutex.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._mutex.release()

    def record(self, info: SessionInfo) -> SessionRecord:
        return record_of(info, self.header)

    def is_described_by(self, entry: SessionInfo | None, count: int | None = None) -> TypeGuard[SessionInfo]:
        """Return whether an index entry is that of the session, now or when it had `count` messages."""
        if entry is None or entry.archived or entry.name != self.header.get("name"):
            return False
        return entry.message_count == (self.doc.count if count is None else count)

    @property
    def doc(self) -> LineDocument:
        """The open document; opened again after the file was replaced."""
        if self._doc is None:
            try:
                self._doc = LineDocument(self.path, FOOTER_LENGTH, DISK_BLOCK, read_only=self._read_only)
            except FileNotFoundError as error:
                raise missing_file_error(self.path) from error
            except OSError as error:
                raise disk.store_error("opened", self.path, error) from error
        return self._doc

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._doc is not None:
            self._doc.close()
        self._doc = None

    def close_if_idle(self) -> bool:
        """Close the file unless a thread uses it; return whether it was closed."""
        if not self._mutex.try_acquire():
            return False
        self.close()
        self._mutex.release()
        return True

    def refresh(self) -> None:
        """Read the current state; this waits for the lock only if the footer is not intact."""
        length = self.doc.current_length()
        if length is None or not self._read_canonical(length):
            with self.locked():
                pass

    @contextmanager
    def locked(self, *, writing: bool = False) -> Iterator[None]:
        """Hold the file's lock for a block, with its current state; for `writing` the file is also canonical."""
        self.lock(writing=writing)
        try:
            yield
        finally:
            self.unlock()

    def lock(self, *, writing: bool) -> LineDocument:
        """Take the file's lock until `unlock`, like `locked`, but much faster; return the open document."""
        while not self._lock_current(writing=writing):
            self.close()
        return self.doc

    def unlock(self) -> None:
        """Release the file's lock; the lock of a replaced file went with it."""
        if self._doc is not None:
            disk.unlock(self._doc.descriptor)

    def _lock_current(self, *, writing: bool) -> bool:
        """Take the lock; return False, without the lock, if another file is at the path now."""
        doc = self.doc
        disk.lock(doc.descriptor, self.path)
        is_current = False
        try:
            length = doc.current_length()
            is_current = length is not None and self._read_state(length, writing=writing)
        finally:
            if not is_current and self._doc is doc:
                disk.unlock(doc.descriptor)
        return is_current

    def _read_state(self, length: int, *, writing: bool) -> bool:
        """Read the current state; return False if the file had to be replaced by a canonical one."""
        if not self._read_canonical(length) and not self._read_noncanonical(self.doc.read(0, length)):
            return False
        if writing and self._noncanonical is not None:
            self._replace(self._noncanonical, self._noncanonical_time)
            return False
        return True

    def _read_canonical(self, length: int) -> bool:
        """Read the state of an unchanged, grown or other canonical file; return False for any other file."""
        if self._is_unchanged(length) or self._has_grown(length):
            return True
        self._noncanonical = self.entry = None
        parsed = parse_canonical(self.path, self.doc.read(0, length))
        if parsed is None:
            return False
        self.header, info, end = parsed
        self.doc.set_state(info.message_count, end.end(), length, end[0])
        return True

    def _is_unchanged(self, length: int | None) -> bool:
        doc = self.doc
        if length != doc.size + doc.padding or not length:
            return False
        return self._noncanonical is not None or doc.has_same_footer()

    def _has_grown(self, length: int) -> bool:
        """Count the messages that other writers appended; return False if something else happened."""
        doc = self.doc
        if self._noncanonical is not None or not doc.size:
            return False
        start = doc.size - FOOTER_LENGTH - 1
        added = doc.read(start, length)
        end = find_footer(added)
        lines = added.count(b"\n", 1, end.start()) if end else 0
        commas = added.count(b"\n,{") + (doc.count == 0 and added.startswith(b"\n{"))
        if not end or commas != lines:
            return False
        doc.set_state(doc.count + lines, start + end.end(), length, end[0])
        return True

    def _read_noncanonical(self, data: bytes) -> bool:
        """Read a file that is not canonical; repair it if it is damaged. Return False if it was replaced."""
        found, self._noncanonical_time = recover_file(self.path, data, self._indexed_info())
        self.header = found.header
        if not found.whole and self._repair(found):
            return False
        self._noncanonical = found.messages
        self.doc.set_state(len(found.messages), len(data), len(data), b"")
        return True

    def _repair(self, found: "Recovered") -> bool:
        """Replace a damaged file by a canonical one; return False if it must not be written."""
        if self._read_only:
            name, kept = found.header["name"], self._kept(len(found.messages))
            self._notify(
                f"The file of the session {name!r} is cut off or damaged; {kept} can be read. It is repaired when "
                "the session is used, or with: prompt-objects doctor --repair"
            )
            return False
        note = f"The file of the session {found.header['name']!r} was cut off or damaged; "
        note += f"{self._kept(len(found.messages))} were kept."
        corrupt = self.path.with_name(f"{id_of(self.path)}.corrupt")
        try:
            if found.unreadable:
                with disk.store_errors("written", self.path):
                    disk.append_once(corrupt, found.unreadable.rstrip(b"\n") + b"\n")
                note += f" What could not be read is in {corrupt}."
            self._replace(found.messages, self._noncanonical_time)
        except StoreError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in disk.UNWRITABLE:
                raise
            self._notify(f"{error} It is damaged; its {len(found.messages)} whole messages are shown.")
            return False
        self.is_repaired = True
        self._notify(note)
        return True

    def _kept(self, count: int) -> str:
        """Describe the messages that were kept, with their number before, if the index knows it."""
        known = self._indexed_info()
        if known and known.message_count > count:
            return f"{count} of its {pluralize(known.message_count, 'message')}"
        return f"all its {pluralize(count, 'whole message')}"

    def _replace(self, messages: Iterable[Message], updated_at: str) -> None:
        self._replace_with(document(self.header, map(encode, messages), updated_at))

    def _replace_with(self, chunks: Iterable[bytes]) -> None:
        with disk.store_errors("saved", self.path):
            disk.replace_file(self.path, pad_to_block(chunks))
        self.close()

    # With the lock held

    def info(self) -> SessionInfo:
        """Compute the info from the file, with totals. Raises `NotFound` if it was moved."""
        try:
            return summary(self.path)
        except FileNotFoundError as error:
            raise missing_file_error(self.path) from error

    def append(self, lines: Sequence[bytes], moment: datetime) -> None:
        """Write encoded messages; they are durable only after `sync`. Raises `StoreError` with nothing written."""
        doc = self.doc
        start = doc.size
        try:
            doc.append(lines, FOOTER % timestamp(moment).encode())
        except OSError as error:
            raise disk.store_error("written", self.path, error) from error
        start -= FOOTER_LENGTH
        disk.start_writeback(doc.descriptor, start, doc.size - start)  # it goes on while the index is updated

    def rewrite_header(self, header: dict[str, Any]) -> None:
        """Replace the file by one with another header and the same history, durably."""
        count = self.doc.count
        first = encode(header)[:-1] + b"," + HISTORY_START
        rest = self.doc.read(0, self.doc.size).partition(b"\n")[2]
        self._replace_with((first, rest))
        self.header, self.entry = header, None
        size = len(first) + len(rest)
        self.doc.set_state(count, size, size + -size % DISK_BLOCK, rest[-FOOTER_LENGTH:])

    def truncate(self, count: int, updated_at: str) -> None:
        """Replace the file by one with only the first `count` messages, durably."""
        first = self.data().partition(b"\n")[0] + b"\n"
        body = join_elements(self.doc.lines(0, count), first=True)
        self._replace_with((first, body, FOOTER % updated_at.encode()))

    def data(self) -> bytes:
        """Return the whole file."""
        return self.doc.read(0, self.doc.size)

    # Without the file's lock

    def sync(self) -> None:
        """Wait until the appended messages are on disk."""
        try:
            disk.sync(self.doc.descriptor)
        except OSError as error:
            raise disk.store_error("written for certain", self.path, error) from error

    def read(self, start: int, stop: int) -> list[Message]:
        """Return messages; the file is repaired first if one of them cannot be read."""
        while True:
            if not self._is_unchanged(self.doc.current_length()):
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
            found, self._noncanonical_time = recover_file(self.path, self.data(), self._indexed_info())
            self.header = found.header
            if not self._repair(found):
                self._noncanonical = found.messages
                self.doc.count = len(found.messages)

    def repair(self) -> None:
        """Rewrite the file in canonical form, whatever is wrong with it. Raises `StoreError`."""
        with self.locked(writing=True):
            pass
        self.read(0, sys.maxsize)


class FileCache:
    """The session files that were used last, kept open, for any number of threads.

    `open_file` makes the object for a path, and `on_open` is called with each that is made.
    """

    def __init__(
        self,
        folder: SessionDirectory,
        open_file: Callable[[Path], SessionFile],
        on_open: Callable[[SessionFile], None],
    ) -> None:
        self._folder = folder
        self._open_file = open_file
        self._on_open = on_open
        self._mutex = Lock()
        self._files: OrderedDict[str, SessionFile] = OrderedDict()

    def get(self, session_id: str) -> SessionFile:
        """Return the file of a session, which need not exist. Raises `NotFound` for an impossible id."""
        with self._mutex:
            file = self._files.get(session_id)
            is_new = file is None
            if file is None:
                file = self._files[session_id] = self._open_file(self._folder.file(session_id))
                self._close_idle()
            self._files.move_to_end(session_id)
        if is_new:
            self._on_open(file)
        return file

    def with_file_or_archive(
        self, session_id: str, of_file: Callable[[SessionFile], T], of_archive: Callable[[Path], T]
    ) -> T:
        """Call a function with the file of a session or, if there is none, with its archive. Raises `NotFound`."""
        while True:
            try:
                with self.get(session_id) as file:
                    return of_file(file)
            except NotFound:
                try:
                    return of_archive(self._folder.archive(session_id))
                except NotFound:
                    if not self._folder.file(session_id).exists():  # otherwise it was unarchived just now
                        raise

    def _close_idle(self) -> None:
        # A thread may be about to use a file that is removed here: it opens the file again.
        excess = len(self._files) - _MAX_OPEN
        for key in list(self._files)[: max(0, excess)]:
            if self._files[key].close_if_idle():
                del self._files[key]

    def close(self) -> None:
        """Close all files; the next use opens them again."""
        with self._mutex:
            for file in self._files.values():
                with file:
                    file.close()
            self._files.clear()

    def close_after_fork(self) -> None:
        """Close all files without waiting for other threads: a forked child has none."""
        for file in self._files.values():
            file.close()
