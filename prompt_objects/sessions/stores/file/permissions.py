"""The permissions of a store: only the owner may have any. `git clone` and `cp` give some to everybody."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prompt_objects.config.environment import DATA_DIR
from prompt_objects.utils import filesystem as disk


def folders_of(sessions: Path) -> list[Path]:
    """Return the folder of the sessions, and the one around it if it has its usual name, and so only our content."""
    return [sessions.parent, sessions] if sessions.parent.name == DATA_DIR else [sessions]


def make_folders_private(sessions: Path) -> None:
    """Take all rights on the folders from other users."""
    for folder in folders_of(sessions):
        disk.make_private(folder)


def open_to_others(sessions: Path) -> Iterator[Path]:
    """Yield the folders that other users may access, and the files in them; nothing if a folder is private."""
    with suppress(OSError):
        folders = folders_of(sessions)
        if all(not disk.is_private(folder.stat()) for folder in folders):
            yield from folders
            yield from (path for path in sorted(sessions.glob("*.json*")) if not disk.is_private(path.lstat()))
