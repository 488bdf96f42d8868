"""index.json.lock: held by whoever uses the index, and a note in it of when index and folder agreed."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from prompt_objects.utils import filesystem as disk

__all__ = [
    "IndexLock",
    "IndexStamp",
]

_LENGTH = 256  # always the same, so that a note takes one write, to a block that is the file's already


class IndexStamp(msgspec.Struct, frozen=True, omit_defaults=True):
    """That the index told of just the session files that there were, and by what one sees that it still does.

    `folder` is the time of the folder's last change, in nanoseconds, `inode` and `size` are the index's, `blank` is
    how many of its bytes are, `ordered` whether its entries stand in order of use; `boot` is the start of the
    machine for which this holds. `dirty_id` names a session whose file or entry is being changed at this moment, or
    was when a program was killed.
    """

    dirty_id: str = msgspec.field(default="", name="doubted")  # its name in the lock file
    boot: str = ""
    folder: int = 0
    inode: int = 0
    size: int = 0
    blank: int = 0
    ordered: bool = False


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(IndexStamp).decode


class IndexLock:
    """The lock file. Where it is not there, and may not be made, nobody writes here, and nothing is locked."""

    def __init__(self, path: Path) -> None:
        self._file: disk.Descriptor | None = None
        self._noted = b""
        self.agreement = IndexStamp()
        with suppress(FileNotFoundError):  # it was to be opened for reading only, as it may not be written
            self._file = disk.Descriptor(path, os.O_RDWR | os.O_CREAT)

    @property
    def is_there(self) -> bool:
        """Say whether there is such a file."""
        return self._file is not None

    @property
    def is_writable(self) -> bool:
        """Say whether notes can be made."""
        return self._file is not None and self._file.refusal is None

    def take(self) -> None:
        """Take the lock, and know the agreement as it is now."""
        if self._file is None:
            return
        disk.lock(self._file.descriptor)
        noted = disk.pread(self._file.descriptor, _LENGTH, 0)
        if noted != self._noted:
            self._noted = noted
            try:
                self.agreement = _DECODE(noted)
            except msgspec.DecodeError:  # there was none yet
                self.agreement = IndexStamp()

    def release(self) -> None:
        """Let go of the lock."""
        if self._file is not None:
            disk.unlock(self._file.descriptor)

    def note(self, agreement: IndexStamp) -> None:
        """Write another agreement in the place of this one, without a sync. Raises `OSError`."""
        if self._file is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if self._file.refusal:
            raise self._file.refusal
        self._noted = _ENCODE(agreement).ljust(_LENGTH - 1) + b"\n"
        disk.pwrite(self._file.descriptor, self._noted, 0)
        self.agreement = agreement

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
