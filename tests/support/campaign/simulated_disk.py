"""A simulated disk: its operations, the data it must keep, and the data it may have kept."""

import random
from collections.abc import Iterator
from pathlib import PurePath
from typing import TypeAlias

from msgspec import Struct, field

from tests.support.campaign.torn_states import SECTOR

__all__ = ["ActedDisk", "Created", "Event", "Renamed", "Synced", "SyncedFolder", "Truncated", "Unlinked", "Written"]


class Created(Struct, frozen=True):
    """A new, empty file; files are identified by numbers, because names change."""

    path: str
    file: int


class Written(Struct, frozen=True):
    """Bytes at a place in a file."""

    file: int
    start: int
    data: bytes


class Truncated(Struct, frozen=True):
    """A file was resized."""

    file: int
    length: int


class Synced(Struct, frozen=True):
    """The content of a file was waited for."""

    file: int


class SyncedFolder(Struct, frozen=True):
    """The names in a folder were waited for."""

    path: str


class Renamed(Struct, frozen=True):
    """A file was renamed; a file that had the new name has none any more."""

    old: str
    new: str


class Unlinked(Struct, frozen=True):
    """A file lost its name."""

    path: str


Naming: TypeAlias = Created | Renamed | Unlinked
Event: TypeAlias = Naming | Written | Truncated | Synced | SyncedFolder


class _File(Struct):
    """The durable content of a file, and the changes that may be on the disk, completely or partly."""

    kept: bytes = b""
    open_changes: list[Written | Truncated] = field(default_factory=list)


class ActedDisk:
    """Takes operations in order; `after_power_loss` returns a state that a power failure may leave."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._open_names: list[Naming] = []

    def ask(self, event: Event) -> None:
        """Apply the next event."""
        match event:
            case Written() | Truncated():
                self._files[event.file].open_changes.append(event)
            case Synced():
                file = self._files[event.file]
                file.kept, file.open_changes = _changed(file.kept, file.open_changes), []
            case SyncedFolder():
                self._sync_folder(event.path)
            case _:
                if isinstance(event, Created):
                    self._files[event.file] = _File()
                self._open_names.append(event)

    def _sync_folder(self, folder: str) -> None:
        """Make the names in a folder durable, and all earlier changes of names: a journal keeps their order."""
        concerned = [number for number, event in enumerate(self._open_names) if folder in _folders(event)]
        count = concerned[-1] + 1 if concerned else 0
        self._names = _named(self._names, self._open_names[:count])
        del self._open_names[:count]

    def now(self) -> dict[str, bytes]:
        """Return the files as programs read them now."""
        names = _named(self._names, self._open_names)
        return {
            path: _changed(self._files[file].kept, self._files[file].open_changes) for path, file in names.items()
        }

    def after_power_loss(self, choose: random.Random) -> dict[str, bytes]:
        """Return one of the possible states of the disk if the power fails now, by path."""
        names = _named(self._names, self._open_names[: choose.randint(0, len(self._open_names))])
        kind = choose.choice(("none", "all", "length", "any", "any"))
        return {path: _torn(self._files[file], kind, choose) for path, file in names.items()}


def _folders(event: Naming) -> set[str]:
    paths = (event.old, event.new) if isinstance(event, Renamed) else (event.path,)
    return {str(PurePath(path).parent) for path in paths}


def _named(names: dict[str, int], events: list[Naming]) -> dict[str, int]:
    names = dict(names)
    for event in events:
        match event:
            case Created():
                names[event.path] = event.file
            case Renamed():
                names[event.new] = names.pop(event.old)
            case Unlinked():
                del names[event.path]
    return names


def _changed(content: bytes, changes: list[Written | Truncated]) -> bytes:
    for change in changes:
        match change:
            case Truncated():
                content = content[: change.length].ljust(change.length, b"\0")
            case Written():
                end = change.start + len(change.data)
                content = content[: change.start].ljust(change.start, b"\0") + change.data + content[end:]
    return content


def _torn(file: _File, kind: str, choose: random.Random) -> bytes:
    """Return a possible content of a file: any sectors of its changes, only their length, none or all of them."""
    whole = _changed(file.kept, file.open_changes)
    if kind == "none" or not file.open_changes:
        return file.kept
    if kind == "all":
        return whole
    if kind == "length":
        return file.kept[: len(whole)].ljust(len(whole), b"\0")
    return b"".join(_sectors(file.kept, whole, choose))[: choose.choice((len(file.kept), len(whole)))]


def _sectors(before: bytes, after: bytes, choose: random.Random) -> Iterator[bytes]:
    length = max(len(before), len(after))
    before, after = before.ljust(length, b"\0"), after.ljust(length, b"\0")
    for start in range(0, length, SECTOR):
        yield choose.choice((before, after))[start : start + SECTOR]
