"""The `Store` protocol: what every kind of store provides."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, SessionRecord, StoreIssue, TrashedSession
from prompt_objects.utils.process import ProcessInfo

__all__ = [
    "ALL_SESSIONS",
    "Lease",
    "SessionFilter",
    "Store",
    "StoreOptions",
]


class StoreOptions(Struct, frozen=True, kw_only=True):
    """How a store is to keep sessions; each kind heeds what concerns it.

    `max_session_size` is in bytes of JSON, None for no limit; `compress` is the length in bytes from which a database
    keeps a message compressed, None for never; `pool_size` is how many connections there are to a server, at most.
    """

    max_session_size: int | None = None
    compress: int | None = 16 * 1024
    pool_size: int = 5


class SessionFilter(Struct, frozen=True, kw_only=True):
    """Selects sessions by the fields that are set: all of them must match.

    `parents` are ids of sessions: it selects the sessions that were started by a call in one of them. `top_level`
    leaves out all sessions that were started by a call.
    """

    po_name: str | None = None
    user_id: str | None = None
    parents: Collection[str] | None = None
    top_level: bool = False

    def select(self, infos: Iterable[SessionInfo]) -> list[SessionInfo]:
        """Return those of the sessions that match, in the same order."""
        po_name, user_id, parents = self.po_name, self.user_id, self.parents
        if po_name is not None:  # one pass a field: much faster than a call for each session
            infos = [info for info in infos if info.po_name == po_name]
        if user_id is not None:
            infos = [info for info in infos if info.user_id == user_id]
        if parents is not None:
            infos = [info for info in infos if info.parent and info.parent.session in parents]
        return [info for info in infos if not info.parent] if self.top_level else list(infos)


ALL_SESSIONS = SessionFilter()


class Lease(Protocol):
    """A session that one turn has to itself, until it is released or its process ends."""

    def release(self) -> None:
        """Let the next one have it; releasing it again does nothing."""


class Store(Protocol):
    """Keeps sessions for good. Synchronous, and safe to use from threads and from several processes.

    Whatever a method that writes has returned from survives a crash of the program and of the machine. Where no
    session has the id that was given, and after it was deleted, methods raise `NotFound`; where the disk, or what
    serves as one, refuses, `StoreError`; where a session cannot be understood, `Damaged`.
    """

    def create(
        self,
        info: SessionInfo,
        metadata: dict[str, Any],
        messages: Iterable[Message] = (),
        *,
        unique_name: bool = False,
        enforce_limit: bool = False,
    ) -> SessionRecord:
        """Begin a session; count, sums and times of `messages` are worked out here, whatever `info` says.

        Where the prompt object has a session of that name, it gets a number if `numbered`; else `NameTaken` is
        raised. That holds however many try at once. `SessionFull` is raised as by `append` if `measured`: mostly
        `messages` were accepted once already.
        """

    def load(self, session_id: str) -> SessionRecord:
        """Return all of a session but its history, as it is now."""

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return messages from number `start` up to, without, number `stop`; fewer where there are fewer.

        The end of a long history costs no more than the end of a short one.
        """

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, enforce_limit: bool = True
    ) -> SessionInfo:
        """Add messages, all or none, to a session of `expected` messages.

        Raises `Conflict` where it has more or fewer than that, `UsageError` for what JSON cannot say, and
        `SessionFull` where a person's message (of the role "user") would take it beyond `max_session_size`; nothing
        is written then. What answers a message that was accepted is kept whatever its size, and, with
        `measured=False`, what was accepted once already.
        The cost depends neither on the length of the history nor on the number of sessions.
        """

    def update(
        self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> SessionRecord:
        """Change the name, or the metadata, or both; None leaves it as it is. Raises `NameTaken`."""

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> SessionRecord:
        """Keep the first `count` messages and drop the others for good; whoever may regret it copies them first.

        Raises `Conflict` where it has more or fewer than `expected`, if that is given; nothing is dropped then.
        """

    def archive(self, session_id: str) -> SessionRecord:
        """Keep a session compressed until its next message; in all else it is as before."""

    def delete(self, session_id: str) -> None:
        """Move a session to the trash."""

    def restore(self, session_id: str) -> SessionRecord:
        """Bring a session back from the trash, under another name where its own is taken by now."""

    def trash(self) -> list[TrashedSession]:
        """Return what can be restored, the last deleted first; nothing is an empty list."""

    def read_trashed(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        """Return a session that is in the trash, history and all, and leave it there."""

    def purge(self, session_id: str) -> None:
        """Take a session out of the trash for good."""

    def lease(self, session_id: str, holder: ProcessInfo) -> Lease:
        """Have a session to oneself; it need not exist yet. A holder that died holds nothing.

        Raises `Busy` where another lease is on it, of whatever process or machine.
        """

    def holder(self, session_id: str) -> ProcessInfo | None:
        """Return who has a session to itself at this moment, if anybody has."""

    def check(self, *, repair: bool = False) -> list[StoreIssue]:
        """Look through everything for what is damaged or left over; with `repair`, put it right, losing nothing."""

    def locate(self, path: Path) -> str | None:
        """Return the id of the session whose file this is; None where it is no file of this store."""

    def notices(self) -> list[str]:
        """Return, once, what a person should be told since this was last asked, such as that a file was repaired."""

    def close(self) -> None:
        """Let go of files and connections; the store opens them again if it is used again."""

    # The last method: below it, `list[...]` in an annotation would mean this one.
    def list(self, where: SessionFilter = ALL_SESSIONS, *, limit: int | None = None) -> list[SessionInfo]:
        """Return the sessions that `where` selects, or the first `limit` of them, the last changed first.

        Reads no history. If `limit` is small, the cost does not depend on the number of sessions.
        """
