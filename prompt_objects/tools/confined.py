"""The part of the disk that tools may reach: the environment's folder, without what is hidden or private in it."""

import os
import stat
from pathlib import Path, PurePosixPath

from msgspec import Struct

from prompt_objects.errors import ToolError

__all__ = ["Confined"]


class Confined(Struct, frozen=True):
    """Everything below `folder` but hidden files and folders, where people keep their keys, and `private`.

    Paths are those that a model names, relative to `folder`; methods raise `ToolError`, in words for the model.
    """

    folder: Path
    private: Path

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
        if target.is_relative_to(self.private.resolve()):
            raise ToolError(f"{path!r} belongs to the environment's own state, which cannot be read.")
        return target

    def read(self, path: str, most_bytes: int) -> bytes:
        """Return a file's content; refuse what is no ordinary file, or larger than `most_bytes`."""
        descriptor = self._open(path)
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

    def _open(self, path: str) -> int:
        """Open what `path` means, one folder after another, so that no link put there meanwhile leads out."""
        root = self.folder.resolve()
        *folders, name = self.resolve(path).relative_to(root).parts or (".",)
        no_links = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            here = os.open(root, os.O_RDONLY | no_links)
            try:
                for folder in folders:
                    below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | no_links, dir_fd=here)
                    os.close(here)
                    here = below
                return os.open(name, os.O_RDONLY | os.O_NONBLOCK | no_links, dir_fd=here)  # never waits for a pipe
            finally:
                os.close(here)
        except FileNotFoundError as error:
            raise ToolError(f"There is no file {path!r}. list_files shows what there is.") from error
        except OSError as error:
            raise ToolError(f"{path!r} cannot be read: {error.strerror}.") from error
