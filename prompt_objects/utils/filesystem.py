"""What is asked of the operating system: locks, syncs, atomic replacement, private files, forks, the boot id."""

import errno
import os
import secrets
import stat
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType

from prompt_objects.errors import StoreError

__all__ = [
    "UNWRITABLE",
    "Descriptor",
    "after_fork_in_child",
    "append_once",
    "boot_id",
    "lock",
    "locked_file",
    "make_folder",
    "open_in_folder",
    "open_private",
    "pread",
    "pwrite",
    "read_file",
    "remove_folder",
    "replace_file",
    "start_writing",
    "store_error",
    "store_errors",
    "sync",
    "sync_folder",
    "try_lock",
    "unlock",
    "write_all",
]

UNWRITABLE = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))  # what may still be read
_HINTS = {
    errno.ENOSPC: "The disk is full: free some space, then try again.",
    errno.EDQUOT: "Your quota of disk space is used up: free some, then try again.",
    errno.EFBIG: "The file would be larger than is allowed here.",
    errno.EROFS: "The disk is mounted read-only.",
    errno.EACCES: "Check who owns the file and its folder, and their permissions.",
    errno.EPERM: "Check who owns the file and its folder, and their permissions.",
    errno.ELOOP: "It is a symbolic link; put the real file in its place.",
}


def store_error(doing: str, path: Path, error: OSError) -> StoreError:
    """Say in a person's words what the disk refused."""
    what = error.strerror or type(error).__name__
    hint = _HINTS.get(error.errno or 0, "What was saved before is safe.")
    return StoreError(f"{path} could not be {doing}: {what}.", hint=hint)


@contextmanager
def store_errors(doing: str, path: Path) -> Iterator[None]:
    """Raise an `OSError` of the block as the `StoreError` that `store_error` returns."""
    try:
        yield
    except OSError as error:
        raise store_error(doing, path, error) from error


@cache
def _filelock() -> ModuleType:
    import filelock

    return filelock


if sys.platform == "win32":

    def _wait_for_lock(descriptor: int) -> None:
        _filelock().lock_descriptor(descriptor, poll_interval=0.0002)
else:
    import fcntl

    def _wait_for_lock(descriptor: int) -> None:
        # It is filelock's lock; the system wakes us the moment it is free, where filelock would look again and again.
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def lock(descriptor: int) -> None:
    """Take the lock on an open file, against every other descriptor of it; threads need a lock of their own."""
    if not try_lock(descriptor):
        _wait_for_lock(descriptor)


def try_lock(descriptor: int) -> bool:
    """Take the lock on an open file; False, without it, where another descriptor has it."""
    return bool(_filelock().lock_descriptor(descriptor, blocking=False))


def unlock(descriptor: int) -> None:
    """Let go of the lock on an open file."""
    _filelock().unlock_descriptor(descriptor)


if sys.platform == "darwin":

    def sync(descriptor: int) -> None:
        """Wait until what was written to a file is on the disk itself, not in the disk's cache."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:  # network file systems do not know it
            os.fsync(descriptor)
elif sys.platform == "win32":

    def sync(descriptor: int) -> None:
        """Wait until what was written to a file is on the disk."""
        os.fsync(descriptor)
else:

    def sync(descriptor: int) -> None:
        """Wait until what was written to a file is on the disk."""
        os.fdatasync(descriptor)


if sys.platform == "linux":

    def start_writing(descriptor: int, start: int, length: int) -> None:
        """Have the disk begin with these bytes, so that a `sync` soon after waits for less; promises nothing."""
        with suppress(OSError):  # advice: Linux writes out at once what it hears is not needed in memory
            os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)
else:

    def start_writing(descriptor: int, start: int, length: int) -> None:
        """Do nothing; where this can be asked for, it has the disk begin with these bytes before a `sync`."""


if sys.platform == "win32":
    _EXTRA_FLAGS = os.O_BINARY | os.O_NOINHERIT  # it has no O_NOFOLLOW; links take a privilege to make there

    def sync_folder(folder: Path) -> None:
        """Do nothing: folders cannot be opened there, and their changes are in the journal of the file system."""

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
        """Wait until the names in a folder (new, moved, gone) are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Have an object's method called first thing in every forked child, for as long as the object lives."""
    reference = weakref.WeakMethod(method)  # what is registered stays for ever; the object need not

    def in_child() -> None:
        if alive := reference():
            alive()

    if sys.platform != "win32":
        os.register_at_fork(after_in_child=in_child)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, that only its owner can enter; one that is there stays as it is."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there; of a symbolic link, the link only."""
    import shutil

    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def open_private(path: Path, flags: int) -> int:
    """Open a file that only its owner may read, whatever the umask; a symbolic link is refused."""
    descriptor = os.open(path, flags | _EXTRA_FLAGS, 0o600)
    if flags & os.O_CREAT and sys.platform != "win32":  # where the folder's permissions are inherited
        os.fchmod(descriptor, 0o600)
    return descriptor


def open_in_folder(path: Path, flags: int) -> int:
    """Open a file as `open_private` does, and make its folder where that is not there yet."""
    try:
        return open_private(path, flags)
    except FileNotFoundError:
        make_folder(path.parent)
        return open_private(path, flags)


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Hold the lock on a file for a block; it is made, and its folder, where it is not there. Raises `StoreError`."""
    try:
        descriptor = open_in_folder(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise store_error("opened", path, error) from error
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes:
    """Return all of a file; a symbolic link is refused, and so is what is no file."""
    descriptor = open_private(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for a writer
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "It is not a file")
        return file.read()


class Descriptor:
    """A descriptor of a private file, closed by `close()`, or when nothing refers to this any more.

    Where the file may not be written it is open for reading, and `refusal` says why.
    """

    def __init__(self, path: Path, flags: int) -> None:
        self.refusal: OSError | None = None
        try:
            self.descriptor = open_private(path, flags)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            self.refusal = error
            self.descriptor = open_private(path, os.O_RDONLY)
        self._closing = weakref.finalize(self, os.close, self.descriptor)
        self._closing.atexit = False  # threads may still write then; the system closes it soon enough

    def close(self) -> None:
        """Let go of the file; closing it again does nothing."""
        self._closing()


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it at the descriptor's position; what does not fit raises, instead of being cut off."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def append_once(path: Path, data: bytes) -> None:
    """Add to a file, durably, what is not in it already: a repair that was killed is done again."""
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if data not in file.readall():
            write_all(descriptor, data)
        sync(descriptor)
    sync_folder(path.parent)


def replace_file(path: Path, chunks: Iterable[bytes], *, durable: bool = True, with_folder: bool = True) -> None:
    """Put a new file in the place of `path` in one step: a reader sees the old one or the new one, whole.

    Without `durable` it may be missing after a crash of the machine; without `with_folder` until whoever calls has
    waited for the folder by `sync_folder`, once for several. Raises `OSError`, the old one untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
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
    if durable and with_folder:
        sync_folder(path.parent)


if sys.platform == "darwin":

    @cache
    def boot_id() -> str:
        """Return an id that is another after each start of the machine; "" where there is none."""
        import ctypes

        text = ctypes.create_string_buffer(64)
        length = ctypes.c_size_t(len(text))
        with suppress(OSError, AttributeError):
            ask = ctypes.CDLL(None).sysctlbyname
            if ask(b"kern.bootsessionuuid", text, ctypes.byref(length), None, ctypes.c_size_t(0)) == 0:
                return text.value.decode(errors="replace")
        return ""
else:

    @cache
    def boot_id() -> str:
        """Return an id that is another after each start of the machine; "" where there is none."""
        with suppress(OSError):
            return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode(errors="replace").strip()
        return ""
