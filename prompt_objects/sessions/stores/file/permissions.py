"""The permissions of a store: only the owner may have any. `git clone` and `cp` give some to everybody."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prompt_objects.config.environment import DATA_DIR
from prompt_objects.utils import filesystem as disk

_CONTENT = ("sessions", "frames")


def make_folders_private(folder: Path) -> None:
    """Take all rights on the folders of a store from other users."""
    for each in (*_outer(folder), *(folder / name for name in _CONTENT)):
        disk.make_private(each)


def open_to_others(folder: Path) -> Iterator[Path]:
    """Yield the folders of a store that other users may access, and the files in them."""
    outer = _outer(folder)
    if all(map(_is_open, outer)):
        inner = [folder / name for name in _CONTENT if _is_open(folder / name)]
        yield from (*outer, *inner) if inner else ()
        yield from (path for each in inner for path in sorted(each.glob("*.json*")) if _is_open(path))


def _outer(folder: Path) -> list[Path]:
    """Return the folder of the store if it has its usual name, and so only our content."""
    return [folder] if folder.name == DATA_DIR else []


def _is_open(path: Path) -> bool:
    with suppress(OSError):
        return not disk.is_private(path.lstat())
    return False
