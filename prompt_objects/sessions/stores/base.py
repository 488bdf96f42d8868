"""The `Store` protocol, and the optional protocols beside it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, SessionRecord, StoreIssue, TrashedSession
from prompt_objects.sessions.stores.frames import Frames


class StoreOptions(Struct, frozen=True, kw_only=True):
    """Options for opening a store; a store ignores those that do not concern it.

    `max_session_size` is in bytes of JSON, None for no limit. A database compresses messages of at least `compress`
    bytes, None for never, and opens at most `pool_size` connections to a server. `notify` is called, in any thread,
    with each sentence that the user should read, such as that a file was repaired.

    With `read_only`, nothing is created or changed: damage is repaired in memory only, and methods that write raise
    `StoreError`.
    """

    max_session_size: int | None = None
    compress: int | None = 16 * 1024
    pool_size: int = 5
    notify: Callable[[str], None] = lambda _: None
    read_only: bool = False


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


class Store(Protocol):
    """Stores sessions. Synchronous, and safe to use from several threads and processes.

    A method that writes returns only when its data survives a crash of the program or the machine. Methods raise
    `NotFound` if there is no session with the given id or it was deleted, `StoreError` if the disk or the server
    refuses, and `Damaged` if a session cannot be read.
    """

    @property
    def frames(self) -> Frames:
        """The request frames that the answers in its sessions refer to."""

    def create(
        self,
        info: SessionInfo,
        metadata: dict[str, Any],
        messages: Iterable[Message] = (),
        *,
        unique_name: bool = False,
        enforce_limit: bool = False,
    ) -> SessionRecord:
        """Create a session; message count, totals and times are computed from `messages`, whatever `info` says.

        If the prompt object has a session with that name, it gets a number if `unique_name`; otherwise `NameTaken`
        is raised. This holds for any number of concurrent callers. With `enforce_limit`, `SessionFull` is raised as
        by `append`; usually `messages` were accepted before.
        """

    def load(self, session_id: str) -> SessionRecord:
        """Return the current state of a session, without its history."""

    def read(self, session_id: str, start: int, stop: int) -> list[Message]:
        """Return the messages from number `start` up to, but not including, `stop`; fewer if there are fewer.

        Reading the end of a long history costs no more than reading the end of a short one.
        """

    def append(
        self, session_id: str, messages: Sequence[Message], *, expected: int, enforce_limit: bool = True
    ) -> SessionInfo:
        """Append messages, all or none, to a session of `expected` messages.

        Raises `Conflict` if it has more or fewer messages, `UsageError` for values that JSON does not have, and
        `SessionFull` if a message of the user would make it larger than `max_session_size`; nothing is written then.
        Responses to an accepted message are saved whatever their size, and so are messages with
        `enforce_limit=False`, which were accepted before.
        The cost depends neither on the length of the history nor on the number of sessions.
        """

    def update(
        self, session_id: str, *, name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> SessionRecord:
        """Change the name, the metadata, or both; None leaves it unchanged. Raises `NameTaken`."""

    def truncate(self, session_id: str, count: int, *, expected: int | None = None) -> SessionRecord:
        """Keep the first `count` messages and remove the others; callers that want undo copy them first.

        Raises `Conflict` if the session does not have `expected` messages; nothing is removed then.
        """

    def delete(self, session_id: str) -> None:
        """Move a session to the trash."""

    def restore(self, session_id: str) -> SessionRecord:
        """Move a session back from the trash; it gets a number if its name is taken now."""

    def trash(self) -> list[TrashedSession]:
        """Return the sessions in the trash, most recently deleted first."""

    def read_trashed(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        """Return a session in the trash with its history."""

    def purge(self, session_id: str) -> None:
        """Permanently delete a session in the trash."""

    def close(self) -> None:
        """Close files and connections; the store opens them again if it is used again."""

    # The last method: below it, `list[...]` in an annotation would mean this one.
    def list(self, where: SessionFilter = ALL_SESSIONS, *, limit: int | None = None) -> list[SessionInfo]:
        """Return the sessions that `where` selects, or the first `limit` of them, most recently changed first.

        Reads no history. If `limit` is small, the cost does not depend on the number of sessions.
        """


@runtime_checkable
class Checking(Protocol):
    """A store that can be checked for damage (`prompt-objects doctor`)."""

    def check(self, *, repair: bool = False) -> list[StoreIssue]:
        """Find everything that is damaged or left over; `repair` repairs it without losing anything."""


@runtime_checkable
class Remembering(Protocol):
    """A store that remembers what was repaired."""

    def repairs(self) -> list[str]:
        """Return a sentence about each repair and each loss, and about each file with content that was set aside."""


@runtime_checkable
class Archiving(Protocol):
    """A store that can keep sessions compressed."""

    def archive(self, session_id: str) -> SessionRecord:
        """Store a session compressed until its next message; otherwise nothing changes."""


@runtime_checkable
class Locating(Protocol):
    """A store that keeps each session in a file of its own."""

    def locate(self, path: Path) -> str | None:
        """Return the id of the session in a file; None if the file is not in this store."""


def exists(store: Store, session_id: str) -> bool:
    """Return whether a session with this id exists outside the trash."""
    try:
        store.load(session_id)
    except NotFound:
        return False
    except Damaged:
        return True
    return True
