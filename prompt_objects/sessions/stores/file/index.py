"""index.json: a line for every session, so that listing them opens none. A cache, put right when it is in doubt.

Entries are written without a sync: what they say stands in the session files.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

import msgspec

from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.base import ALL_SESSIONS, SessionFilter
from prompt_objects.sessions.stores.file.index_file import (
    DECODE_ERRORS,
    IndexFile,
    Slot,
    document,
    encoded,
    in_order,
    key_of,
)
from prompt_objects.sessions.stores.file.index_lock import IndexLock, IndexStamp
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.filesystem import boot_id
from prompt_objects.utils.time import timestamp

__all__ = [
    "Index",
]

_MOST_SPOTS = 4096


class Index:
    """The entries of all sessions: `with index:` holds its lock, and knows it as it is now.

    Everything but `glance` and `close` wants that, and what the disk refuses leaves the block as `StoreError`.
    `ids` names the sessions that have a file, and `survey` reads what the files of some of them say.

    Whoever asks for many entries, or for a name, has all of them compared with the files first, unless the agreement
    in the lock file holds. Before a file comes, goes or gets another name, `doubt` notes the session's id there, and
    `following` takes it out once the entry tells of it, so that the agreement goes on. Where that did not come to
    pass, whoever has the lock next compares everything, and reads that file first.
    """

    def __init__(
        self, path: Path, ids: Callable[[], set[str]], survey: Callable[[Iterable[str]], Iterable[SessionInfo]]
    ) -> None:
        self.path = path
        self._folder = str(path.parent)
        self._ids = ids
        self._survey = survey
        self._mutex = RLock()
        self._lock: IndexLock | None = None  # a file of its own: the index itself is replaced now and then
        self._file: IndexFile | None = None
        self._spots: dict[str, Slot] = {}  # where entries were last found
        self._glimpsed: dict[str, Slot] = {}  # by `glance`: a write that was still going on may be undone
        self._own_id = f"opened {secrets.token_hex(8)}"  # stands for a start of the machine that nobody else knows
        self._was_valid = False  # did the agreement hold, before what is in doubt now?
        self._changes: dict[str, Any] = {}  # what is to be agreed besides, once nothing is in doubt

    def close(self) -> None:
        """Let go of the descriptors; the next use opens them again."""
        with self._mutex:
            self.close_after_fork()

    def close_after_fork(self) -> None:
        """Let go of the descriptors without waiting for other threads: in a forked child there are none."""
        self._forget_file()
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def __enter__(self) -> None:
        self._mutex.acquire()
        try:
            self._take_lock()
        except BaseException as error:
            self._mutex.release()
            if isinstance(error, OSError):
                raise disk.store_error("used", self.path, error) from error
            raise

    def _take_lock(self) -> None:
        if self._lock is None or not self._lock.is_there:
            self._lock = IndexLock(self.path.with_name(self.path.name + ".lock"))
        self._lock.take()
        try:
            self._catch_up()
            if self._lock.agreement.dirty_id:
                self._reconcile()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._lock is not None:
                self._lock.release()
        finally:
            self._mutex.release()
        if isinstance(error, OSError):
            raise disk.store_error("used", self.path, error) from error

    # Reading

    def entries(self, where: SessionFilter = ALL_SESSIONS) -> list[SessionInfo]:
        """Return the entries that a filter selects, the last changed first."""
        self._ensure_current()
        try:
            read = list(self._open().entries(where))
        except DECODE_ERRORS:
            self._reconcile()
            read = list(self._open().entries(where))
        infos = in_order(read)
        if where == ALL_SESSIONS and (not self._agreement.ordered or self._is_mostly_blank()):
            with suppress(OSError):  # it only saves time
                self._put_in_order(infos, is_so=infos == read)
        return infos

    def newest(self, limit: int, where: SessionFilter = ALL_SESSIONS) -> list[SessionInfo]:
        """Return the first `limit` of the selected entries; if the index is in order of use, read only its end."""
        self._ensure_current()
        if self._agreement.ordered:
            with suppress(*DECODE_ERRORS):
                return self._open().newest(limit, where)
        return where.select(self.entries())[:limit]  # which puts it in order

    def find(self, session_id: str) -> SessionInfo | None:
        """Return the entry of a session, if it has one."""
        spot = self._spot(session_id)
        try:
            return self._open().entry(spot) if spot else None
        except DECODE_ERRORS:
            self._reconcile()
            return self.find(session_id)

    def peek(self, session_id: str) -> SessionInfo | None:
        """Return the entry of a session, if it can be had without the lock; it may be a moment old."""
        with self._mutex, suppress(OSError, ValueError, *DECODE_ERRORS):
            known = self._glimpsed.pop(session_id, None) or self._spots.get(session_id)
            if self._is_in_form() and (spot := known or self._open().slot(session_id)):
                entry = self._open().entry(spot)
                if entry.id == session_id:
                    _remember(self._glimpsed, session_id, spot)
                    return entry
        return None

    def names(self, po_name: str, start: str) -> set[str]:
        """Return the names of a prompt object's sessions that begin so; searches like `has_name`."""
        self._ensure_current()
        begin = b'"name":' + encoded(start)[:-1]
        pattern = rb'"name":("(?:[^"\\]|\\.)*"),"po_name":%s,' % re.escape(encoded(po_name))
        try:
            return self._open().texts(begin, pattern)
        except DECODE_ERRORS:
            self._reconcile()
            return self._open().texts(begin, pattern)

    def has_name(self, name: str, po_name: str) -> bool:
        """Is there a session of that name? Searches for the bytes, which takes a tenth of reading them all."""
        self._ensure_current()
        return self._open().has(b'"name":%s,"po_name":%s,' % (encoded(name), encoded(po_name)))

    # Writing

    def put(self, info: SessionInfo) -> None:
        """Write the entry of a session, over the one it has where that is near the end, or else at the end."""
        spot, file, entry = self._spot(info.id), self._open(), encoded(info)
        if spot and file.has_room(spot, entry):
            if key_of(info) < spot.key and self._agreement.ordered:  # the clock was set back
                self._note(ordered=False)
            _remember(self._spots, info.id, file.overwrite(spot, info, entry))
        else:
            with self._doubting(info.id):
                self._move(info, spot)

    def add(self, info: SessionInfo) -> None:
        """Write the entry of a session that is known to have none; within a doubt, which need not be its own."""
        self._move(info, None)

    def _move(self, info: SessionInfo, before: Slot | None) -> None:
        file = self._open()
        if self._agreement.ordered and not file.keeps_order(info):
            self._changes["ordered"] = False
        _remember(self._spots, info.id, file.add(info))
        if before:
            self._erase(before)

    def sync(self) -> None:
        """Wait until the entries are on the disk: without a name's change they would look sound after a power cut."""
        disk.sync(self._open().descriptor)
        disk.sync_folder(self.path.parent)

    def remove(self, session_id: str) -> None:
        """Take the entry of a session out."""
        if spot := self._spot(session_id):
            with self._doubting(session_id):
                self._erase(spot)
                self._spots.pop(session_id, None)

    def _erase(self, spot: Slot) -> None:
        if self._open().blank(spot):
            self._changes["blank"] = self._agreement.blank + spot.length
        else:  # there is no other one
            self._write([])

    def rebuild(self) -> None:
        """Write the index anew from the session files."""
        self._write([])
        self._reconcile()

    # Agreement

    @property
    def _agreement(self) -> IndexStamp:
        return self._lock.agreement if self._lock else IndexStamp()

    def _note(self, **changes: Any) -> None:
        if self._lock is not None:
            self._lock.note(msgspec.structs.replace(self._agreement, **changes))

    def mark_dirty(self, session_id: str) -> None:
        """Note, before it happens, that the file of a session comes, goes, or is called something else."""
        self._was_valid = self._holds()
        self._changes.clear()
        self._note(dirty_id=session_id)

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Change the entry as the file was changed; where the disk refuses, it stays in doubt, and that is all."""
        with suppress(OSError):
            yield
            self._settle()

    @contextmanager
    def _doubting(self, session_id: str) -> Iterator[None]:
        """Change more than one line, within what is in doubt already, or else as a doubt of its own."""
        if self._agreement.dirty_id == session_id:
            yield
            return
        self.mark_dirty(session_id)
        yield
        self._settle()

    def _settle(self) -> None:
        """Note that nothing is in doubt any more; the agreement goes on where it held before."""
        self._agree(boot=self._agreement.boot if self._was_valid else "", **self._changes)
        if self._is_mostly_blank():
            self.entries()

    def _agree(self, **changes: Any) -> None:
        file = self._open()
        self._note(dirty_id="", folder=self._folder_time(), inode=file.inode, size=file.size, **changes)

    def _holds(self) -> bool:
        """Say whether index and folder look as they did when they agreed, with nothing in doubt since.

        A start of the machine in between may have lost what was not synced. What somebody else put into the folder,
        or took out, shows by the folder's time.
        """
        agreed = self._agreement
        return not agreed.dirty_id and self._is_same_file() and agreed.folder == self._folder_time()

    def _is_same_file(self) -> bool:
        agreed, file = self._agreement, self._open()
        is_same = (agreed.inode, agreed.size) == (file.inode, file.size)
        return is_same and agreed.boot != "" and agreed.boot in (boot_id(), self._own_id)

    def _folder_time(self) -> int:
        return os.stat(self._folder).st_mtime_ns  # noqa: PTH116 - a Path would be spelled out anew at each look

    def _ensure_current(self) -> None:
        if not self._holds():
            self._reconcile()

    def _reconcile(self) -> None:
        """Put right what may be wrong: entries without a file, files without an entry, lines that are no entry."""
        time, there = self._folder_time(), self._ids()
        sound, is_clean = self._open().valid_ids(there, self._agreement.dirty_id)
        missing = there - sound
        found = list(self._survey(missing))
        is_quiet = self._folder_time() == time
        ordered, blank = self._agreement.ordered and self._is_same_file(), self._agreement.blank
        if found or not is_clean:
            kept = [info for info in self._open().checked() if info and info.id in sound]
            self._write(reversed(in_order([*kept, *found])))
            ordered, blank = True, 0
        if self._lock and self._lock.is_writable:
            is_whole = len(found) == len(missing)  # or others look for themselves, so that they are told as well
            boot = (is_whole and boot_id()) or self._own_id
            self._agree(boot=boot if is_quiet else "", ordered=ordered, blank=blank)

    def _is_mostly_blank(self) -> bool:
        return 2 * self._agreement.blank > self._open().size

    def _put_in_order(self, infos: list[SessionInfo], *, is_so: bool) -> None:
        if self._is_mostly_blank() or not is_so:
            held = self._holds()
            self._write(reversed(infos))
            self._agree(boot=self._agreement.boot if held else "", ordered=True, blank=0)
        else:
            self._note(ordered=True)

    # The file

    def _write(self, infos: Iterable[SessionInfo]) -> None:
        disk.replace_file(self.path, document(infos), durable=False)
        self._changes = {"ordered": True, "blank": 0}
        self._forget_file()
        self._is_in_form()

    def _spot(self, session_id: str) -> Slot | None:
        """Find the entry of a session; where it was found before, if it still stands there."""
        file, known = self._open(), self._spots.get(session_id)
        try:
            spot = (file.slot_again(session_id, known) if known else None) or file.slot(session_id)
        except DECODE_ERRORS:
            self._reconcile()
            return self._spot(session_id)
        if spot and spot is not known:
            _remember(self._spots, session_id, spot)
        return spot

    def _open(self) -> IndexFile:
        if self._file is None:
            self._file = IndexFile(self.path)
        return self._file

    def _forget_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._spots.clear()
        self._glimpsed.clear()

    def _catch_up(self) -> None:
        """See that the open file is the one at the path, and has our form."""
        file = self._file
        if file and file.is_in_form and file.length_now() == file.size:
            return
        if not self._is_in_form():
            self._quarantine()
            if self._file is None:
                self._write([])
            self._reconcile()

    def _is_in_form(self) -> bool:
        if self._file and self._file.length_now() is None:
            self._forget_file()
        try:
            return self._open().look()
        except OSError:
            self._forget_file()
            return False

    def _quarantine(self) -> None:
        """Keep what stands at the path and is no index: a file as a copy, a folder or a link out of the way."""
        if not os.path.lexists(self.path):
            return
        if stat.S_ISREG(self.path.lstat().st_mode):
            disk.replace_file(self.path.with_name(f"{self.path.name}.corrupt"), [disk.read_file(self.path)])
        else:
            stamp = timestamp().replace(":", "").replace(".", "")
            self.path.rename(self.path.with_name(f"{self.path.name}.corrupt-{stamp}"))


def _remember(spots: dict[str, Slot], session_id: str, spot: Slot) -> None:
    if len(spots) >= _MOST_SPOTS:
        spots.clear()
    spots[session_id] = spot
