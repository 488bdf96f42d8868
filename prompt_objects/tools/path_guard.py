"""The part of the disk that tools may reach: the environment's folder without hidden and private files."""

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

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MAX_NEW_FOLDERS = 50
_CONFIGURATION = ("objects", "tools", CONFIG_FILE)
"""Files and folders that decide what prompt objects may do; tools cannot write them."""


class PathGuard(Struct, frozen=True):
    """Access to the files below `folder`, except hidden and `private` ones, which may hold keys.

    Paths come from a model and are relative to `folder`. Methods raise `ToolError`, with a message for the model.
    """

    folder: Path
    private: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()

    @classmethod
    def of(cls, context: Context) -> "PathGuard":
        return cls(context.folder, context.services.private, context.services.read_only)

    def resolve(self, path: str) -> Path:
        """Resolve a path and its links; refuse absolute paths, `..`, and links that lead out of the folder."""
        parts = PurePosixPath(path.replace("\\", "/")).parts
        if "\0" in path or path.startswith(("/", "~")) or ".." in parts or ":" in (parts or ("",))[0]:
            raise ToolError(f"{path!r} is outside the environment. Give a path relative to its folder.")
        root = self.folder.resolve()
        try:
            target = root.joinpath(*parts).resolve()
        except (OSError, RuntimeError) as error:  # the name is too long, or links form a loop
            raise ToolError(f"{path!r} cannot be resolved.") from error
        inside = target.relative_to(root).parts if target.is_relative_to(root) else (".",)
        if any(part.startswith(".") for part in (*parts, *inside)):
            raise ToolError(f"{path!r} is hidden, or leads out of the environment.")
        if any(_is_within(target, place.resolve()) for place in self.private):
            raise ToolError(f"{path!r} belongs to the environment's own state, which cannot be read.")
        return target

    def relative(self, path: str) -> str:
        """Return the resolved path relative to the folder: the form that `allow` patterns are matched against."""
        return self.resolve(path).relative_to(self.folder.resolve()).as_posix()

    def read(self, path: str, max_bytes: int) -> bytes:
        """Return the content of a regular file of at most `max_bytes`."""
        data = self.read_if_exists(path, max_bytes)
        if data is None:
            raise ToolError(f"There is no file {path!r}. Use list_files to see what exists.")
        return data

    def read_if_exists(self, path: str, max_bytes: int) -> bytes | None:
        """Return what `read` returns, or None if the file does not exist."""
        try:
            with self._open_parent(path) as (folder, name):
                # O_NONBLOCK: opening a pipe would otherwise wait for a writer.
                descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINKS, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ToolError(f"{path!r} cannot be read: {error.strerror}.") from error
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise ToolError(f"{path!r} is a folder. Use list_files to see its contents.")
            if not stat.S_ISREG(status.st_mode):
                raise ToolError(f"{path!r} is not a regular file.")
            if status.st_size > max_bytes:
                raise ToolError(f"{path!r} has {status.st_size:,} bytes; at most {max_bytes:,} can be read.")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(max_bytes)
        finally:
            os.close(descriptor)

    def writable(self, path: str) -> str:
        """Return `relative(path)`; refuse read-only files, and those that configure the environment."""
        target, root = self.resolve(path), self.folder.resolve()
        if target == root:
            raise ToolError(f"{path!r} is the environment's folder. Give the path of a file.")
        if any(_is_within(target, root / name) for name in _CONFIGURATION):
            raise ToolError(f"{path!r} is part of the configuration of the environment, which tools cannot write.")
        if any(_is_within(target, place) for place in self.read_only):
            raise ToolError(f"{path!r} is part of a program that an MCP server runs, which tools cannot write.")
        return self.relative(path)

    def identities(self) -> list[tuple[int, int]]:
        """Return device and inode numbers, by which private files and folders are recognized."""
        found = []
        for place in self.private:
            with suppress(OSError):
                status = place.stat()
                found.append((status.st_dev, status.st_ino))
        return found

    def write(self, path: str, data: bytes) -> None:
        """Create a file and its folders, or replace its content atomically; its permissions are kept."""
        self.writable(path)
        try:
            with self._open_parent(path, make=True) as (folder, name):
                _replace(folder, name, data)
        except OSError as error:
            raise ToolError(f"{path!r} cannot be written: {error.strerror}.") from error

    @contextmanager
    def _open_parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Yield the descriptor of a path's folder, and the file name. Raises `OSError`."""
        # Folders are opened one by one without following links: a link created in the meantime leads nowhere.
        root = self.folder.resolve()
        *folders, name = self.resolve(path).relative_to(root).parts or (".",)
        if make and len(folders) > _MAX_NEW_FOLDERS:
            missing = sum(not os.path.lexists(root.joinpath(*folders[:end])) for end in range(1, len(folders) + 1))
            if missing > _MAX_NEW_FOLDERS:
                raise ToolError(
                    f"At most {_MAX_NEW_FOLDERS} folders can be created for a file; {missing:,} are missing."
                )
        parent = os.open(root, os.O_RDONLY | _NO_LINKS)
        try:
            for folder in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(folder, dir_fd=parent)
                child = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=parent)
                os.close(parent)
                parent = child
            yield parent, name
        finally:
            os.close(parent)


def _is_within(target: Path, folder: Path) -> bool:
    """Return whether `target` is `folder` or below it, on case-insensitive disks too."""
    for ancestor in (target, *target.parents):
        if str(ancestor).casefold() == str(folder).casefold():
            return True
        with suppress(OSError):
            if ancestor.samefile(folder):
                return True
    return False


def _replace(folder: int, name: str, data: bytes) -> None:
    temporary = f".{secrets.token_hex(8)}.tmp"
    mode = _permissions(folder, name)
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


def _permissions(folder: int, name: str) -> int | None:
    """Return the permissions of a file; None if it does not exist. Raises `ToolError` if it cannot be replaced."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise ToolError(f"{name!r} is not a regular file; it is left unchanged.")
    if not os.access(name, os.W_OK, dir_fd=folder):
        raise ToolError(f"{name!r} is write-protected.")
    return stat.S_IMODE(status.st_mode) & 0o777
