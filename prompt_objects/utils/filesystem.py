"""Operating system calls for files: locks, syncs, atomic replacement, private files."""

import errno
import os
import stat
import sys
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from prompt_objects.errors import StoreError
from prompt_objects.utils import resources, waiting
from prompt_objects.utils.lock_holder import lock_holder
from prompt_objects.utils.watched_folder import check_not_moved

UNWRITABLE = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))  # reading may still work
_HINTS = {
    errno.ENOSPC: "The disk is full. Free some space, then try again.",
    errno.EDQUOT: "Your disk quota is used up. Free some space, then try again.",
    errno.EFBIG: "The file would exceed the maximum file size.",
    errno.EROFS: "The disk is mounted read-only.",
    errno.EACCES: "Check the owner and the permissions of the file and its folder.",
    errno.EPERM: "Check the owner and the permissions of the file and its folder.",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.ENOMEM), resources.HINT),
    errno.ESTALE: "Open it again at its new place.",
    errno.ELOOP: "It is a symbolic link. Replace it with the real file.",
}


def store_error(participle: str, path: Path, error: OSError) -> StoreError:
    """Return an error that tells the user what failed and why."""
    reason = error.strerror or type(error).__name__
    hint = _HINTS.get(error.errno or 0, "Data saved earlier is safe.")
    return StoreError(f"{path} could not be {participle}: {reason}.", hint=hint)


@contextmanager
def store_errors(participle: str, path: Path) -> Iterator[None]:
    """Raise an `OSError` of the block as the `StoreError` that `store_error` returns."""
    try:
        yield
    except OSError as error:
        raise store_error(participle, path, error) from error


@cache
def _filelock() -> ModuleType:
    import filelock

    return filelock


def lock(descriptor: int, path: Path) -> None:
    """Lock an open file against every other descriptor of it; threads need a lock of their own.

    Raises `StoreError` if the user gives up while another process holds it.
    """
    if not try_lock(descriptor):
        waiting.wait_until(
            lambda: try_lock(descriptor), lambda: f"the lock of {path}, held by {lock_holder(descriptor)}"
        )


def try_lock(descriptor: int) -> bool:
    """Lock an open file; return False if another descriptor has the lock."""
    return bool(_filelock().lock_descriptor(descriptor, blocking=False))


def unlock(descriptor: int) -> None:
    """Unlock an open file."""
    _filelock().unlock_descriptor(descriptor)


if sys.platform == "darwin":
    import fcntl

    def sync(descriptor: int) -> None:
        """Wait until the written data is on the disk itself, not in its cache."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:  # network file systems do not support it
            os.fsync(descriptor)
elif sys.platform == "win32":

    def sync(descriptor: int) -> None:
        """Wait until the written data is on disk."""
        os.fsync(descriptor)
else:

    def sync(descriptor: int) -> None:
        """Wait until the written data is on disk."""
        os.fdatasync(descriptor)


if sys.platform == "linux":

    def start_writeback(descriptor: int, start: int, length: int) -> None:
        """Start writing these bytes to disk, so that a later `sync` is shorter; only a hint."""
        with suppress(OSError):  # Linux starts to write pages that are not needed in memory
            os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)
else:

    def start_writeback(descriptor: int, start: int, length: int) -> None:
        """Do nothing: this system has no such hint."""


if sys.platform == "win32":
    _EXTRA_FLAGS = os.O_BINARY | os.O_NOINHERIT  # no O_NOFOLLOW; creating links requires a privilege on Windows

    def sync_folder(folder: Path) -> None:
        """Do nothing: Windows cannot open folders; the file system journals their changes."""

    def pread(descriptor: int, length: int, start: int) -> bytes:
        """Read up to `length` bytes from `start` on; moves the descriptor, so threads need a lock of their own."""
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, length)

    def pwrite(descriptor: int, data: bytes, start: int) -> int:
        """Write at `start`, and return how many bytes; moves the descriptor, too."""
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.write(descriptor, data)
else:
    _EXTRA_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
    pread, pwrite = os.pread, os.pwrite

    def sync_folder(folder: Path) -> None:
        """Wait until new, moved and removed names in a folder are on disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, readable only for the owner; existing ones are not changed."""
    check_not_moved(folder)
    _make_folder(folder)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)


def refuse_link(path: Path) -> None:
    """Raise `StoreError` if a folder or file of ours is a link, which would lead to foreign content."""
    if path.is_symlink():
        raise StoreError(f"{path} is a symbolic link, which is not allowed there.", hint=_HINTS[errno.ELOOP])


def refuse_links(folder: Path) -> None:
    """Raise `StoreError` if a file or folder in a folder is a link; a missing folder has none."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                refuse_link(Path(entry.path))


def remove_folder(folder: Path) -> None:
    """Remove a folder and its contents, if it exists; of a symbolic link only the link."""
    import shutil

    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def remove_file(path: Path) -> None:
    """Remove a file, if it exists. Raises `StoreError`."""
    with store_errors("removed", path):
        path.unlink(missing_ok=True)


_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def is_private(status: os.stat_result) -> bool:
    """Return whether only the owner of a file or folder has access; on Windows its folder decides that."""
    return sys.platform == "win32" or not status.st_mode & _OTHERS


def make_private(path: Path | int) -> None:
    """Take all rights from other users, if the file or folder is the user's own; an `int` is a descriptor."""
    with suppress(OSError):
        status = os.fstat(path) if isinstance(path, int) else path.lstat()
        if not is_private(status) and not stat.S_ISLNK(status.st_mode):
            os.chmod(path, stat.S_IMODE(status.st_mode) & ~_OTHERS)  # noqa: PTH101 - also of a descriptor


def open_private(path: Path, flags: int) -> int:
    """Open a file that only its owner can read, whatever the umask. Refuses symbolic links."""
    descriptor = os.open(path, flags | _EXTRA_FLAGS, 0o600)
    if flags & os.O_CREAT and sys.platform != "win32":  # some folders pass on their permissions
        os.fchmod(descriptor, 0o600)
    return descriptor


def open_in_folder(path: Path, flags: int) -> int:
    """Open a file like `open_private`; create its folder if necessary."""
    check_not_moved(path)
    try:
        return open_private(path, flags)
    except FileNotFoundError:
        _make_folder(path.parent)
        return open_private(path, flags)


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Lock a file for a block; file and folder are created if necessary. Raises `StoreError`."""
    try:
        descriptor = open_in_folder(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise store_error("opened", path, error) from error
    try:
        lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading. Refuses symbolic links and everything else."""
    descriptor = open_private(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for a writer
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "It is not a file")
        yield file


def read_file(path: Path) -> bytes:
    """Return the content of a regular file. Refuses symbolic links and everything else."""
    with opened(path) as file:
        return file.read()


def opened_for_reading() -> OSError:
    """Return the error for a write to something that was opened for reading only."""
    return OSError(errno.EROFS, "It was opened for reading only")


class Descriptor:
    """A descriptor of a private file, closed by `close()` or garbage collection.

    If the file is not writable, or with `read_only`, it is opened for reading, and `write_error` is the reason.
    """

    def __init__(self, path: Path, flags: int, *, read_only: bool = False) -> None:
        self.write_error: OSError | None = opened_for_reading() if read_only else None
        try:
            self.descriptor = open_private(path, os.O_RDONLY if read_only else flags)
        except OSError as error:
            if read_only or error.errno not in UNWRITABLE:
                raise
            self.write_error = error
            self.descriptor = open_private(path, os.O_RDONLY)
        self._closing = weakref.finalize(self, os.close, self.descriptor)
        self._closing.atexit = False  # threads may still write then

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        self._closing()


def write_all(descriptor: int, data: bytes) -> None:
    """Write all data at the descriptor's position; raise `OSError` instead of a short write."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def append_once(path: Path, data: bytes) -> None:
    """Append data to a file, durably, unless the file already contains it: a repair may run again after a crash."""
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if data not in file.readall():
            write_all(descriptor, data)
        sync(descriptor)
    sync_folder(path.parent)


def replace_file(path: Path, chunks: Iterable[bytes], *, durable: bool = True, sync_parent: bool = True) -> None:
    """Replace a file atomically: a reader sees either the complete old file or the complete new one.

    Without `durable`, the new content may be lost if the machine crashes. Without `sync_parent`, it may be lost until
    the caller has called `sync_folder`, which can be done once for several files. Raises `OSError`; the old file is
    then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    descriptor = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            for chunk in chunks:
                write_all(descriptor, chunk)
            if durable:
                sync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable and sync_parent:
        sync_folder(path.parent)
