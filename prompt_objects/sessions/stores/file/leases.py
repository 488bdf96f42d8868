"""Leases of a file store: one locked file for each leased session.

The system releases the lock when its holder ends, for whatever reason; the file has no meaning then.
"""

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from prompt_objects.sessions.info import require_id
from prompt_objects.sessions.stores.errors import busy
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.utils import filesystem as disk

_ATTEMPTS, _PAUSE = 4, 0.002  # readers lock it for a moment, and a new holder has not written yet
_MAX_LENGTH = 4096
_DECODE = msgspec.json.Decoder(ProcessInfo).decode


class FileLease:
    """An open file in the folder of leases; a lease while it is in `held`."""

    def __init__(self, path: Path, descriptor: int, held: set["FileLease"]) -> None:
        self.path = path
        self._held = held
        self._descriptor = descriptor
        self._closing = weakref.finalize(self, os.close, descriptor)
        self._closing.atexit = False  # a turn may still be running then; the system unlocks the file

    def try_lock(self) -> bool:
        return disk.try_lock(self._descriptor)

    def is_current(self) -> bool:
        """Return whether this file is still at its path: the previous holder may have removed it."""
        with suppress(FileNotFoundError):
            return os.path.samestat(self.path.lstat(), os.fstat(self._descriptor))
        return False

    def write(self, holder: ProcessInfo) -> None:
        written = disk.pwrite(self._descriptor, msgspec.json.encode(holder), 0)
        os.ftruncate(self._descriptor, written)  # not to nothing before: ext4 would write it out when it is closed

    def read(self) -> ProcessInfo | None:
        with suppress(OSError, msgspec.DecodeError):
            return _DECODE(disk.pread(self._descriptor, _MAX_LENGTH, 0))
        return None

    def release(self) -> None:
        if self._closing.detach():  # only once, in one thread
            self._held.discard(self)
            with suppress(OSError):  # an unlocked file that is left over is no lease
                if self.is_current():
                    self.path.unlink()
            disk.unlock(self._descriptor)  # also for a child that was forked with it
            os.close(self._descriptor)

    def close(self) -> None:
        """Close the file of a lease that another process holds."""
        self._closing()


class Leases:
    """The leases in a folder; `name_of` returns the name of a session, if it is known.

    With `read_only`, the files of leases that have ended stay.
    """

    def __init__(self, folder: Path, name_of: Callable[[str], str | None], *, read_only: bool = False) -> None:
        self._folder = folder
        self._read_only = read_only
        self._name_of = name_of
        self._held: set[FileLease] = set()  # a lease lasts even if its holder keeps no reference

    def after_fork(self) -> None:
        """In a forked child, hold nothing: an open file would keep the lease of the parent."""
        for lease in self._held:
            lease.close()
        self._held.clear()

    def acquire(self, session_id: str, holder: ProcessInfo) -> FileLease:
        """Take the lease of a session. Raises `Busy`, `NotFound` for an invalid id, and `StoreError`."""
        path = self._path(session_id)
        with disk.store_errors("written", path):
            for _ in range(_ATTEMPTS):
                lease = FileLease(path, disk.open_in_folder(path, os.O_RDWR | os.O_CREAT), self._held)
                if lease.try_lock() and lease.is_current():
                    self._held.add(lease)
                    return _write_holder(lease, holder)
                other = lease.read()
                lease.close()
                time.sleep(_PAUSE)
        raise busy(session_id, self._name_of(session_id), other)

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return the holder of a session, if there is one; `ProcessInfo.unknown()` if it cannot be read."""
        path = self._path(session_id)
        for _ in range(_ATTEMPTS):
            try:
                lease = FileLease(path, _open(path), self._held)
                if lease.try_lock():  # its holder has ended
                    if self._read_only:
                        lease.close()
                    else:
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
        return ProcessInfo.unknown()

    def abandoned(self) -> Iterator[FileLease]:
        """Take and yield the leases whose holder has ended; those that the caller does not release stay."""
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


def _write_holder(lease: FileLease, holder: ProcessInfo) -> FileLease:
    try:
        lease.write(holder)
    except OSError:
        lease.release()
        raise
    return lease
