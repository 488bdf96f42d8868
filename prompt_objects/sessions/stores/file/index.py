"""index.json: an entry for every session, so that a listing opens no session file. It is a cache.

Entries are written without a sync: the session files contain the same data.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.base import ALL_SESSIONS, SessionFilter
from prompt_objects.sessions.stores.file.index_file import (
    DECODE_ERRORS,
    NEAR_BYTES,
    Correction,
    IndexFile,
    Slot,
    document,
    encoded,
    in_order,
    key_of,
    quarantine,
)
from prompt_objects.sessions.stores.file.index_lock import IndexLock, IndexStamp
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.boot import boot_id
from prompt_objects.utils.waiting import Mutex

T = TypeVar("T")
_MAX_SLOTS = 4096
_RENEWAL, _MAX_LAG = 100_000_000, 250_000_000  # nanoseconds


class IndexedFiles(Protocol):
    """The session files that an index describes."""

    def ids(self) -> set[str]:
        """Return the ids of the sessions that have a file."""

    def read_infos(self, ids: Iterable[str]) -> Iterable[SessionInfo]:
        """Read the files of some sessions."""

    def corrected(self, entry: SessionInfo, *, by_time: bool) -> SessionInfo | None:
        """Return what an entry should be if its file has another state; None if it is correct.

        With `by_time`, a file whose time is that of the entry is not read.
        """

    def note_quarantine(self, kept: Path) -> None:
        """Tell the user that the index could not be read, and where it is kept."""

    def note_corrections(self, corrections: Iterable[Correction]) -> None:
        """Tell the user about entries that did not match their files."""


class Index:
    """The entries of all sessions. `with index:` takes its lock and reads its current state.

    All methods but `peek` and `close` need the lock; in the block an `OSError` becomes a `StoreError`.

    Before many entries or a name are read, all entries are compared with the files, unless the stamp in the lock file
    is valid. It contains the time of the index, which writers renew, so an older index that was put back is noticed.
    Before a file is created, removed or renamed, `mark_dirty` writes the session's id into the
    stamp; `committing` removes it once the entry is written. If a process dies in between, the next one with the lock
    compares everything and reads that file first.
    """

    def __init__(self, path: Path, files: IndexedFiles, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._folder = str(path.parent)
        self._files = files
        self._mutex = Mutex(str(path), recursive=True)
        self._lock: IndexLock | None = None  # of a separate file: the index itself is replaced now and then
        self._file: IndexFile | None = None
        self._slots: dict[str, Slot] = {}  # the last known slots of entries
        self._unlocked_slots: dict[str, Slot] = {}  # found by `peek`, perhaps during a write that is undone
        self._own_boot_id = f"opened {os.urandom(8).hex()}"  # a boot id that no other process has
        self._was_valid = False  # was the stamp valid before `mark_dirty`?
        self._stamp_changes: dict[str, Any] = {}  # changes that `_mark_clean` adds to the stamp

    def close(self) -> None:
        """Close the files; the next use opens them again."""
        with self._mutex:
            self.close_after_fork()

    def close_after_fork(self) -> None:
        """Close the files without waiting for other threads: a forked child has none."""
        self._close_file()
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def __enter__(self) -> None:
        self._mutex.acquire()
        try:
            if self._lock is None or not self._lock.exists:
                self._lock = IndexLock(self.path.with_name(f"{self.path.name}.lock"), read_only=self._read_only)
            if self._lock.take():  # another process may have blanked a line, which keeps the size of the file
                self._slots = {key: slot._replace(size=-1) for key, slot in self._slots.items()}
            self._ensure_file()
            if self._lock.stamp.dirty_id:
                self._reconcile()
        except BaseException as error:
            self.__exit__(None, error, None)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._lock is not None:
                self._lock.release()
        finally:
            self._mutex.release()
        if isinstance(error, OSError):
            path = Path(error.filename) if isinstance(error.filename, str) else self.path
            raise disk.store_error("used", path, error) from error

    def entries(self, where: SessionFilter = ALL_SESSIONS) -> list[SessionInfo]:
        """Return the entries that a filter selects, most recently changed first."""
        read = self._read(lambda file: list(file.entries(where)))
        infos = in_order(read)
        if where == ALL_SESSIONS and (not self._stamp.ordered or self._is_mostly_blank()):
            with suppress(OSError):  # this is only an optimization
                self._sort(infos, is_sorted=infos == read)
        return infos

    def newest(self, limit: int, where: SessionFilter = ALL_SESSIONS) -> list[SessionInfo]:
        """Return the first `limit` selected entries; if the index is in order of use, only its end is read."""
        self._ensure_current()
        if self._stamp.ordered:
            with suppress(*DECODE_ERRORS):
                return self._open().newest(limit, where)
        return where.select(self.entries())[:limit]  # which puts it in order

    def find(self, session_id: str) -> SessionInfo | None:
        slot = self._find_slot(session_id)
        try:
            return self._open().entry(slot) if slot else None
        except DECODE_ERRORS:
            self._reconcile()
            return self.find(session_id)

    def peek(self, session_id: str) -> SessionInfo | None:
        """Return the entry of a session without the lock, if possible; it may be a moment old."""
        with self._mutex, suppress(OSError, ValueError, *DECODE_ERRORS):
            known = self._unlocked_slots.pop(session_id, None) or self._slots.get(session_id)
            if self._refresh_file() and (slot := known or self._open().find_slot(session_id)):
                entry = self._open().entry(slot)
                if entry.id == session_id:
                    _remember(self._unlocked_slots, session_id, slot)
                    return entry
        return None

    def names(self, po_name: str, start: str) -> set[str]:
        """Return the names of a prompt object's sessions that start with `start`."""
        return self._read(lambda file: file.names(po_name, start))

    def _read(self, read: Callable[[IndexFile], T]) -> T:
        self._ensure_current()
        try:
            return read(self._open())
        except DECODE_ERRORS:
            self._reconcile()
            return read(self._open())

    def has_name(self, name: str, po_name: str) -> bool:
        """Return whether a session has that name. Searching for bytes is ten times faster than decoding."""
        self._ensure_current()
        return self._open().has(b'"name":%s,"po_name":%s,' % (encoded(name), encoded(po_name)))

    def put(self, info: SessionInfo) -> None:
        """Write the entry of a session: over its old entry if that is near the end, otherwise at the end."""
        slot, file, entry = self._find_slot(info.id), self._open(), encoded(info)
        if slot and len(entry) <= slot.length and file.size - slot.start <= NEAR_BYTES:
            if key_of(info) < slot.key and self._stamp.ordered:  # the clock was set back
                self._update_stamp(ordered=False)
            is_due = time.time_ns() - self._stamp.changed > _RENEWAL and self._is_valid()
            _remember(self._slots, info.id, file.overwrite(slot, info, entry))
            if is_due:
                self._update_stamp(changed=file.modification_time())
        else:
            with self._marking_dirty(info.id):
                self._move(info, slot)

    def add(self, info: SessionInfo) -> None:
        """Write the entry of a session that has none; call it only after `mark_dirty`, of any session."""
        self._move(info, None)

    def _move(self, info: SessionInfo, before: Slot | None) -> None:
        file = self._open()
        if self._stamp.ordered and not file.keeps_order(info):
            self._stamp_changes["ordered"] = False
        _remember(self._slots, info.id, file.add(info))
        if before:
            self._erase(before)

    def remove(self, session_id: str) -> None:
        if slot := self._find_slot(session_id):
            with self._marking_dirty(session_id):
                self._erase(slot)
                self._slots.pop(session_id, None)

    def _erase(self, slot: Slot) -> None:
        if self._open().blank(slot):
            self._stamp_changes["blank"] = self._stamp.blank + slot.length
        else:  # it was the only one
            self._write([])

    def rebuild(self) -> None:
        """Rewrite the index from the session files."""
        self._write([])
        self._reconcile()

    # The stamp

    @property
    def _stamp(self) -> IndexStamp:
        return self._lock.stamp if self._lock else IndexStamp()

    def _update_stamp(self, **changes: Any) -> None:
        if self._lock is not None:
            self._lock.write_stamp(msgspec.structs.replace(self._stamp, **changes))

    def mark_dirty(self, session_id: str) -> None:
        """Note that the file of a session is about to be created, removed or renamed."""
        self._was_valid = self._is_valid()
        self._stamp_changes.clear()
        self._update_stamp(dirty_id=session_id)

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Write the entry after its file was changed; if the disk refuses, the session only stays dirty."""
        with suppress(OSError):
            yield
            self._mark_clean()

    def commit(self, info: SessionInfo, *, durable: bool = False) -> None:
        """Write the entry of a changed file; `durable` if an old name must not look valid after a power cut."""
        with self.committing():
            self.put(info)
            if durable:
                disk.sync(self._open().descriptor)
                disk.sync_folder(self.path.parent)

    @contextmanager
    def _marking_dirty(self, session_id: str) -> Iterator[None]:
        """Change more than one line; mark the session dirty unless it already is."""
        if self._stamp.dirty_id == session_id:
            yield
            return
        self.mark_dirty(session_id)
        yield
        self._mark_clean()

    def _mark_clean(self) -> None:
        self._write_valid_stamp(boot=self._stamp.boot if self._was_valid else "", **self._stamp_changes)
        if self._is_mostly_blank():
            self.entries()

    def _write_valid_stamp(self, **changes: Any) -> None:
        file = self._open()
        changes |= {"inode": file.inode, "size": file.size, "changed": file.modification_time()}
        self._update_stamp(dirty_id="", folder=self._folder_time(), **changes)

    def _is_valid(self) -> bool:
        """Return whether the stamp is valid: index and folder are as they were when it was written.

        A reboot may have lost unsynced writes; files that others added or removed change the folder's time. Writers
        do not always renew the time of the index in the stamp, so it may be a little older than the index.
        """
        stamp = self._stamp
        return not stamp.dirty_id and self._is_of_this_boot() and stamp.folder == self._folder_time()

    def _is_of_this_boot(self) -> bool:
        return self._is_same_file() and self._stamp.boot in {boot_id(), self._own_boot_id} - {""}

    def _is_same_file(self) -> bool:
        stamp, file = self._stamp, self._open()
        is_same = (stamp.inode, stamp.size) == (file.inode, file.size)
        return is_same and 0 <= file.changed - stamp.changed <= _MAX_LAG

    def _folder_time(self) -> int:
        return os.stat(self._folder).st_mtime_ns  # noqa: PTH116 - a Path is slower

    def _ensure_current(self) -> None:
        if not self._is_valid():
            self._reconcile()

    def _reconcile(self) -> None:
        """Fix entries without a file or of another state, files without an entry, and lines that are no entry."""
        folder_time, ids = self._folder_time(), self._files.ids()
        corrected_entry = partial(self._files.corrected, by_time=self._is_same_file())
        valid, corrections, is_clean = self._open().check(ids, self._stamp.dirty_id, corrected_entry)
        corrected = [info for _, info in corrections]
        missing = ids - valid - {info.id for info in corrected}
        found = list(self._files.read_infos(missing))
        self._files.note_corrections(corrections)
        is_quiet = self._folder_time() == folder_time
        ordered, blank = self._stamp.ordered and self._is_of_this_boot(), self._stamp.blank
        if found or not is_clean:
            kept = [info for info in self._open().checked_entries() if info and info.id in valid]
            self._write(reversed(in_order([*kept, *corrected, *found])))
            ordered, blank = True, 0
        if self._lock and self._lock.is_writable:
            is_whole = len(found) == len(missing)  # otherwise each process compares, and reports the bad files
            boot = (is_whole and boot_id()) or self._own_boot_id
            self._write_valid_stamp(boot=boot if is_quiet else "", ordered=ordered, blank=blank)

    def _is_mostly_blank(self) -> bool:
        return 2 * self._stamp.blank > self._open().size

    def _sort(self, infos: list[SessionInfo], *, is_sorted: bool) -> None:
        if self._is_mostly_blank() or not is_sorted:
            was_valid = self._is_valid()
            self._write(reversed(infos))
            self._write_valid_stamp(boot=self._stamp.boot if was_valid else "", ordered=True, blank=0)
        else:
            self._update_stamp(ordered=True)

    def _require_writable(self) -> None:
        if self._read_only:
            raise disk.opened_for_reading()

    def _write(self, infos: Iterable[SessionInfo]) -> None:
        self._require_writable()
        disk.replace_file(self.path, document(infos), durable=False)
        self._stamp_changes = {"ordered": True, "blank": 0}
        self._close_file()
        self._refresh_file()

    def _find_slot(self, session_id: str) -> Slot | None:
        file, known = self._open(), self._slots.get(session_id)
        if known and known.size == file.size:
            return known
        try:
            slot = (file.refresh_slot(session_id, known) if known else None) or file.find_slot(session_id)
        except DECODE_ERRORS:
            self._reconcile()
            return self._find_slot(session_id)
        if slot and slot is not known:
            _remember(self._slots, session_id, slot)
        return slot

    def _open(self) -> IndexFile:
        if self._file is None:
            self._file = IndexFile(self.path, read_only=self._read_only)
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._slots.clear()
        self._unlocked_slots.clear()

    def _ensure_file(self) -> None:
        """Open the file that is at the path now; replace it if it is no index."""
        if not self._refresh_file():
            self._require_writable()
            if kept := quarantine(self.path):
                self._files.note_quarantine(kept)
            if self._file is None:
                self._write([])
            self._reconcile()

    def _refresh_file(self) -> bool:
        """Read the state of the file that is at the path now; return whether it is an index."""
        length = self._file.current_length() if self._file else None
        if length is None:
            self._close_file()
        elif self._file and self._file.is_well_formed and length == self._file.size:
            return True
        try:
            return self._open().refresh()
        except OSError:
            self._close_file()
            return False


def _remember(slots: dict[str, Slot], session_id: str, slot: Slot) -> None:
    if len(slots) >= _MAX_SLOTS:
        slots.clear()
    slots[session_id] = slot
