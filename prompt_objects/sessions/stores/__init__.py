"""Where sessions live: the `Store` protocol, and `open_store(url)`.

A new kind of store is one file in this folder and one line in `_KINDS`.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from prompt_objects.errors import UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.record import Record, SessionInfo, Trashed

__all__ = ["Store", "open_store"]


class Store(Protocol):
    """Keeps sessions for good. Synchronous, and safe to use from threads and from several processes.

    Whatever a method that writes has returned from survives a crash of the program and of the machine. Where no
    session has the id that was given, and after it was deleted, methods raise `NotFound`; where the disk, or what
    serves as one, refuses, `StoreError`; where a session cannot be understood, `Damaged`.
    """

    def create(self, info: SessionInfo, metadata: dict[str, Any], messages: Iterable[Message] = ()) -> Record:
        """Begin a session; count, sums and times of `messages` are worked out here, whatever `info` says.

        Raises `NameTaken` where the prompt object has a session of that name, however many try at once.
        """

    def load(self, session_id: str) -> Record:
        """Return all of a session but its history, as it is now."""

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to, without, number `stop`; fewer where there are fewer.

        The end of a long history costs no more than the end of a short one.
        """

    def append(self, session_id: str, messages: Sequence[Message], *, expected: int) -> SessionInfo:
        """Add messages, all or none, to a session of `expected` messages.

        Raises `Conflict` where it has more or fewer than that, and `UsageError` for what JSON cannot say; nothing
        is written then. The cost depends neither on the length of the history nor on the number of sessions.
        """

    def update(self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None) -> Record:
        """Change the name, or the metadata, or both; None leaves it as it is. Raises `NameTaken`."""

    def sessions(self) -> list[SessionInfo]:
        """Return what is known of every session, in no particular order, without reading any history."""

    def delete(self, session_id: str) -> None:
        """Move a session to the trash."""

    def restore(self, session_id: str) -> Record:
        """Bring a session back from the trash, under another name where its own is taken by now."""

    def trash(self) -> list[Trashed]:
        """Return what can be restored, the last deleted first; nothing is an empty list."""

    def locate(self, path: Path) -> str | None:
        """Return the id of the session whose file this is; None where it is no file of this store."""

    def notices(self) -> list[str]:
        """Return, once, what a person should be told since this was last asked, such as that a file was repaired."""

    def close(self) -> None:
        """Let go of files and connections; the store opens them again if it is used again."""


def _files(place: str) -> Store:
    from prompt_objects.sessions.stores.files import FileStore

    return FileStore(Path(place).expanduser())


_KINDS: dict[str, Callable[[str], Store]] = {"files": _files}


def open_store(url: str) -> Store:
    """Open the store that a URL such as `files:/home/ann/notes/.prompt_objects` names.

    Raises `UsageError` where the URL names no kind of store that there is.
    """
    kind, colon, place = url.partition(":")
    if not colon or kind not in _KINDS or not place:
        known = ", ".join(f"{name}:PATH" for name in _KINDS)
        raise UsageError(f"{url!r} does not name a store.", hint=f"The stores that there are: {known}.")
    return _KINDS[kind](place)
