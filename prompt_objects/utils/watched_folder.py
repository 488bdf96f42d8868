"""Folders that must not be moved or replaced while they are in use."""

import errno
import weakref
from contextlib import suppress
from pathlib import Path

_watched: dict[int, tuple[Path, tuple[int, int]]] = {}


class WatchedFolder:
    """A folder that is in use until it is closed or garbage-collected.

    If it is moved or replaced meanwhile, nothing is created at its old place: `make_folder` and `open_in_folder` of
    `filesystem` raise `OSError` for paths in it.
    """

    def __init__(self, folder: Path) -> None:
        with suppress(OSError):  # it does not exist yet
            _watched[id(self)] = folder, _identity(folder)
        self.close = weakref.finalize(self, _watched.pop, id(self), None)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def check_not_moved(path: Path) -> None:
    """Raise `OSError` if a watched folder around a path was moved or replaced."""
    for folder, identity in tuple(_watched.values()):
        if path.is_relative_to(folder):
            try:
                is_same = _identity(folder) == identity
            except OSError:
                is_same = False
            if not is_same:
                raise OSError(errno.ESTALE, f"{folder} was moved or replaced while it was in use")
