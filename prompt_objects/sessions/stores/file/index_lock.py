"""index.json.lock: the lock of the index, and the stamp of its last known state."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from prompt_objects.sessions.stores.file.index_file import encoded
from prompt_objects.utils import filesystem as disk


class IndexStamp(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of the index and of the folder when they last matched.

    `folder` is the time of the folder's last change, in nanoseconds; `inode`, `size` and `changed` (a time, too) are
    those of the index, and `blank` is its number of blank bytes; `ordered` says whether its entries are in order of
    use. It is valid for the boot of the machine with the id `boot`. `dirty_id` is a session whose file or entry is
    being changed, or was when a process was killed.
    """

    dirty_id: str = msgspec.field(default="", name="doubted")  # its name in the lock file
    boot: str = ""
    folder: int = 0
    inode: int = 0
    size: int = 0
    changed: int = 0
    blank: int = 0
    ordered: bool = False

    LENGTH: ClassVar[int] = 256  # always the same, so that a stamp is one write, to a block that the file already has

    def encode(self) -> bytes:
        """Return the content of the lock file."""
        return encoded(self).ljust(self.LENGTH - 1) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the stamp in the lock file; the default, which is never valid, if there is none."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError:
            return cls()


class IndexLock:
    """The lock file, with its stamp. A read-only folder without a lock file needs no lock.

    With `read_only`, the file is locked, but neither created nor changed. `write_stamp` writes another stamp without
    a sync, and raises `OSError`.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._file: disk.Descriptor | None = None
        self._written = b""
        self.stamp = IndexStamp()
        with suppress(FileNotFoundError):  # opened for reading only, because it must not be written
            self._file = disk.Descriptor(path, os.O_RDWR | os.O_CREAT, read_only=read_only)
        self.exists = self._file is not None
        self.is_writable = self._file is not None and self._file.write_error is None

    def take(self) -> bool:
        """Take the lock; return whether another process has changed the stamp."""
        if self._file is None:
            return False
        disk.lock(self._file.descriptor, self._path)
        written = disk.pread(self._file.descriptor, IndexStamp.LENGTH, 0)
        if written == self._written:
            return False
        self._written = written
        self.stamp = IndexStamp.decode(written)
        return True

    def release(self) -> None:
        if self._file is not None:
            disk.unlock(self._file.descriptor)

    def write_stamp(self, stamp: IndexStamp) -> None:
        if self._file is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if self._file.write_error:
            raise self._file.write_error
        self._written = stamp.encode()
        disk.pwrite(self._file.descriptor, self._written, 0)
        self.stamp = stamp

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
