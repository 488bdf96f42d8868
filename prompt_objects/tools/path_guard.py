"""The part of the disk that tools may reach: the environment's folder, without what is hidden or private in it."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from msgspec import Struct

from prompt_objects.config.environment import CONFIG_FILE
from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.utils.filesystem import sync, write_all

__all__ = [
    "PathGuard",
]

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MOST_NEW_FOLDERS = 50
_SET_UP = ("objects", "tools", CONFIG_FILE)
"""What decides what prompt objects may do, and is therefore not theirs to write."""


class PathGuard(Struct, frozen=True):
    """Everything below `folder` but hidden files and folders, where people keep their keys, and what is `private`.

    What is `guarded` can be read and not written. Paths are those that a model names, relative to `folder`; methods
    raise `ToolError`, in words for the model.
    """

    folder: Path
    private: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()

    @classmethod
    def of(cls, context: Context) -> "PathGuard":
        """Return what a call may reach."""
        return cls(context.folder, context.services.private, context.services.read_only)

    def resolve(self, path: str) -> Path:
        """Follow a path to what it means; refuse an absolute one, `..`, and links that lead out."""
        parts = PurePosixPath(path.replace("\\", "/")).parts
        if "\0" in path or path.startswith(("/", "~")) or ".." in parts or ":" in (parts or ("",))[0]:
            raise ToolError(f"{path!r} is outside the environment. Give a path relative to its folder.")
        root = self.folder.resolve()
        try:
            target = root.joinpath(*parts).resolve()
        except (OSError, RuntimeError) as error:  # too long a name, or a loop of links
            raise ToolError(f"{path!r} cannot be followed.") from error
        inside = target.relative_to(root).parts if target.is_relative_to(root) else (".",)
        if any(part.startswith(".") for part in (*parts, *inside)):
            raise ToolError(f"{path!r} is hidden, or leads out of what may be read.")
        if any(_is_within(target, place.resolve()) for place in self.private):
            raise ToolError(f"{path!r} belongs to the environment's own state, which cannot be read.")
        return target

    def relative(self, path: str) -> str:
        """Write what a path means, links followed, from the folder on: the form that patterns are matched against."""
        return self.resolve(path).relative_to(self.folder.resolve()).as_posix()

    def read(self, path: str, most_bytes: int) -> bytes:
        """Return a file's content; refuse what is no ordinary file, or larger than `most_bytes`."""
        data = self.find(path, most_bytes)
        if data is None:
            raise ToolError(f"There is no file {path!r}. list_files shows what there is.")
        return data

    def find(self, path: str, most_bytes: int) -> bytes | None:
        """Return what `read` does, or None where there is no such file."""
        try:
            with self._parent(path) as (folder, name):
                # Without waiting: opening a pipe would wait for somebody to write to it.
                descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINKS, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ToolError(f"{path!r} cannot be read: {error.strerror}.") from error
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise ToolError(f"{path!r} is a folder; list_files shows what is in it.")
            if not stat.S_ISREG(status.st_mode):
                raise ToolError(f"{path!r} is not an ordinary file.")
            if status.st_size > most_bytes:
                raise ToolError(f"{path!r} has {status.st_size:,} bytes; at most {most_bytes:,} can be read.")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(most_bytes)
        finally:
            os.close(descriptor)

    def writable(self, path: str) -> str:
        """Return `relative(path)`; refuse what may be read and not written: whatever sets up the environment."""
        target, root = self.resolve(path), self.folder.resolve()
        if target == root:
            raise ToolError(f"{path!r} is the environment's folder. Give the path of a file.")
        if any(_is_within(target, root / name) for name in _SET_UP):
            raise ToolError(f"{path!r} belongs to the set-up of the environment, which tools do not write.")
        if any(_is_within(target, place) for place in self.read_only):
            raise ToolError(f"{path!r} is part of what MCP servers run, which tools do not write.")
        return self.relative(path)

    def identities(self) -> list[tuple[int, int]]:
        """Return what private files and folders are recognised by, wherever they are met."""
        found = []
        for place in self.private:
            with suppress(OSError):
                status = place.stat()
                found.append((status.st_dev, status.st_ino))
        return found

    def write(self, path: str, data: bytes) -> None:
        """Make a file, with the folders above it, or replace its content; its permissions stay as they are.

        Whoever reads it meanwhile, or after a crash, sees the old content or the new one, whole.
        """
        self.writable(path)
        try:
            with self._parent(path, make=True) as (folder, name):
                _replace(folder, name, data)
        except OSError as error:
            raise ToolError(f"{path!r} cannot be written: {error.strerror}.") from error

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that `path` means a name in, and give both; raises `OSError`.

        One folder is opened after another, so that no link put there meanwhile leads out. Missing ones are made where
        that is asked for, a sensible number at once.
        """
        root = self.folder.resolve()
        *folders, name = self.resolve(path).relative_to(root).parts or (".",)
        if make and len(folders) > _MOST_NEW_FOLDERS:
            missing = sum(not os.path.lexists(root.joinpath(*folders[:end])) for end in range(1, len(folders) + 1))
            if missing > _MOST_NEW_FOLDERS:
                raise ToolError(f"At most {_MOST_NEW_FOLDERS} folders are made at once; {missing:,} are missing.")
        here = os.open(root, os.O_RDONLY | _NO_LINKS)
        try:
            for folder in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(folder, dir_fd=here)
                below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=here)
                os.close(here)
                here = below
            yield here, name
        finally:
            os.close(here)


def _is_within(target: Path, folder: Path) -> bool:
    """Say whether `target` is `folder` or below it, also where it is spelled otherwise, as some disks allow."""
    for ancestor in (target, *target.parents):
        if str(ancestor).casefold() == str(folder).casefold():
            return True
        with suppress(OSError):
            if ancestor.samefile(folder):
                return True
    return False


def _replace(folder: int, name: str, data: bytes) -> None:
    """Put a file with `data` in the place of `name` in an open folder, in one step."""
    temporary = f".{secrets.token_hex(8)}.tmp"
    mode = _mode(folder, name)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o666, dir_fd=folder)
    try:
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            write_all(descriptor, data)
            sync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def _mode(folder: int, name: str) -> int | None:
    """Return the permissions of a file that is to be replaced, None where there is none yet."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise ToolError(f"{name!r} is not an ordinary file, and is left as it is.")
    if not os.access(name, os.W_OK, dir_fd=folder):
        raise ToolError(f"{name!r} is write-protected.")
    return stat.S_IMODE(status.st_mode) & 0o777
