"""Who has a session to itself: a file for each such session, locked for as long as that lasts.

The system lets go of the lock when its holder ends, however that comes about; the file is then nobody's.
"""

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from prompt_objects.sessions.info import ProcessInfo
from prompt_objects.sessions.stores.base import busy, require_id, unknown_holder
from prompt_objects.utils import filesystem as disk

_ATTEMPTS, _PAUSE = 4, 0.002  # it is locked for a moment by whoever looks, and before its holder has signed
_LONGEST = 4096
_DECODE = msgspec.json.Decoder(ProcessInfo).decode


class FileLease:
    """An open file in the folder of leases, and, while it is among those `held`, a lease."""

    def __init__(self, path: Path, descriptor: int, held: set["FileLease"]) -> None:
        self.path = path
        self._held = held
        self._descriptor = descriptor
        self._closing = weakref.finalize(self, os.close, descriptor)
        self._closing.atexit = False  # a turn may still be at work then; the system unlocks it soon enough

    def try_lock(self) -> bool:
        """Take the lock; False where another has it."""
        return disk.try_lock(self._descriptor)

    def is_current(self) -> bool:
        """Say whether this is the file at the path still: whoever had the lock before may have removed it."""
        with suppress(FileNotFoundError):
            return os.path.samestat(self.path.lstat(), os.fstat(self._descriptor))
        return False

    def write(self, holder: ProcessInfo) -> None:
        """Put down who it is."""
        written = disk.pwrite(self._descriptor, msgspec.json.encode(holder), 0)
        os.ftruncate(self._descriptor, written)  # not to nothing before: ext4 would write it out when it is closed

    def read(self) -> ProcessInfo | None:
        """Return who has it, if that can be read."""
        with suppress(OSError, msgspec.DecodeError):
            return _DECODE(disk.pread(self._descriptor, _LONGEST, 0))
        return None

    def release(self) -> None:
        """Let the next one have the session."""
        if self._closing.detach():  # once, whoever comes first
            self._held.discard(self)
            with suppress(OSError):  # an unlocked file that stays behind is nobody's as well
                if self.is_current():
                    self.path.unlink()
            disk.unlock(self._descriptor)  # also for a child that was forked with it
            os.close(self._descriptor)

    def close(self) -> None:
        """Let go of the file and leave it to whoever has the lease: another, or a forked child's parent."""
        self._closing()


class Leases:
    """The leases in a folder; `name_of` tells what a session is called, where that is known."""

    def __init__(self, folder: Path, name_of: Callable[[str], str | None]) -> None:
        self._folder = folder
        self._name_of = name_of
        self._held: set[FileLease] = set()  # so that one that is not kept by its holder is a lease all the same

    def after_fork(self) -> None:
        """In a forked child, hold nothing: what the child kept open would outlast its parent."""
        for lease in self._held:
            lease.close()
        self._held.clear()

    def take(self, session_id: str, holder: ProcessInfo) -> FileLease:
        """Have a session to oneself. Raises `Busy`, `NotFound` for what cannot be an id, and `StoreError`."""
        path = self._path(session_id)
        try:
            for _ in range(_ATTEMPTS):
                lease = FileLease(path, disk.open_in_folder(path, os.O_RDWR | os.O_CREAT), self._held)
                if lease.try_lock() and lease.is_current():
                    self._held.add(lease)
                    return _signed(lease, holder)
                other = lease.read()
                lease.close()
                time.sleep(_PAUSE)
        except OSError as error:
            raise disk.store_error("written", path, error) from error
        raise busy(session_id, self._name_of(session_id), other)

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return who has a session, if anybody has; "somebody" where the file does not say it."""
        path = self._path(session_id)
        for _ in range(_ATTEMPTS):
            try:
                lease = FileLease(path, _open(path), self._held)
                if lease.try_lock():  # it was left behind
                    lease.release()
                    return None
            except FileNotFoundError:
                return None
            except OSError as error:
                raise disk.store_error("read", path, error) from error
            found = lease.read()
            lease.close()
            if found:
                return found
            time.sleep(_PAUSE)
        return unknown_holder()

    def abandoned(self) -> Iterator[FileLease]:
        """Yield those whose holder has ended, each taken, to be released or, as it was, closed."""
        for path in sorted(self._folder.glob("*.json")):
            with suppress(OSError):
                lease = FileLease(path, _open(path), self._held)
                if lease.try_lock() and lease.is_current():
                    yield lease
                lease.close()

    def _path(self, session_id: str) -> Path:
        require_id(session_id)
        return self._folder / f"{session_id}.json"


def _open(path: Path) -> int:
    try:
        return disk.open_private(path, os.O_RDWR)  # some network file systems lock only what may be written
    except OSError as error:
        if error.errno not in disk.UNWRITABLE:
            raise
        return disk.open_private(path, os.O_RDONLY)


def _signed(lease: FileLease, holder: ProcessInfo) -> FileLease:
    try:
        lease.write(holder)
    except OSError:
        lease.release()
        raise
    return lease
