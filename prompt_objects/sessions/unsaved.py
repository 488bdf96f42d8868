"""Messages that had arrived when saving failed: kept in the user's state folder, until they are recovered.

Each failure has a file of its own: the session as it was, and the messages that belong after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.errors import Damaged, NotFound, PromptObjectsError, StoreError, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.frames import keep_documents
from prompt_objects.sessions.info import SessionInfo, SessionRecord, new_id
from prompt_objects.sessions.names import with_suffix
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store, exists
from prompt_objects.sessions.stores.frames import digest_of
from prompt_objects.sessions.stores.json_lines import decode, encode
from prompt_objects.sessions.stores.lease import leased
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import now, timestamp
from prompt_objects.utils.user_folders import state_folder


class UnsavedMessages(Struct, frozen=True, kw_only=True):
    """Messages that belong after the `history` of a session, and why they were not saved there."""

    folder: str  # the environment's
    at: datetime
    reason: str
    info: SessionInfo
    metadata: dict[str, Any]
    history: list[Message]
    messages: list[Message]
    frames: dict[str, Any] = {}  # of the requests that led to the messages

    @property
    def description(self) -> str:
        """The session and the time, for the user."""
        return f"{self.info.name} of {self.info.po_name}, {self.at.astimezone():%Y-%m-%d %H:%M}"


class UnsavedFolder:
    """The unsaved messages of the environment in `folder`; by default in the user's state folder."""

    def __init__(self, folder: Path, place: Path | None = None) -> None:
        self._folder = folder
        self._given_place = place

    @property
    def _place(self) -> Path:
        return self._given_place or state_folder() / "unsaved"

    def keep(
        self, session: Session, messages: Sequence[Message], reason: str, *, frames: Iterable[bytes] = ()
    ) -> Path | None:
        """Keep messages that could not be appended to a session; return the file, None if it cannot be written."""
        moment, history = now(), list[Message]()
        with suppress(PromptObjectsError):  # if it was not read before, it may be unreadable now
            history += session.history
        unsaved = UnsavedMessages(
            folder=str(self._folder),
            at=moment,
            reason=reason,
            info=session.info,
            metadata=dict(session.metadata),
            history=history,
            messages=[{"at": timestamp(moment), **message} for message in messages],
            frames={digest_of(frame): decode(frame) for frame in frames},
        )
        path = self._place / f"{new_id()}.json"
        try:
            disk.make_folder(path.parent)
            disk.replace_file(path, [encode(msgspec.to_builtins(unsaved))])
        except (OSError, UsageError):  # the latter for what JSON cannot represent
            return None
        return path

    def entries(self, store: Store) -> Iterator[tuple[Path, UnsavedMessages]]:
        """Yield what was kept for this environment, or for a session that is in its store now, oldest first."""
        with suppress(OSError):
            for path in sorted(self._place.glob("*.json")):
                with suppress(OSError, msgspec.MsgspecError, ValueError, StoreError):
                    unsaved = msgspec.convert(decode(disk.read_file(path)), UnsavedMessages)
                    if unsaved.folder == str(self._folder) or exists(store, unsaved.info.id):
                        yield path, unsaved

    def recover(self, store: Store) -> list[SessionRecord]:
        """Save everything that was kept, and remove its files; return the sessions.

        Messages go to the end of their session if it has not changed since then; otherwise into a copy of it as it
        was. Raises `Busy` and `StoreError`; what is not saved yet is still kept then.
        """
        saved = []
        for path, unsaved in self.entries(store):
            saved.append(_save(store, unsaved))
            disk.remove_file(path)
        return saved


def _save(store: Store, unsaved: UnsavedMessages) -> SessionRecord:
    info, count = unsaved.info, len(unsaved.history)
    keep_documents(store.frames, unsaved.frames, unsaved.messages)
    with suppress(NotFound, Damaged), leased(store, info.id, info.user_id):
        if store.read(info.id, 0, count + 1) == unsaved.history:
            store.append(info.id, unsaved.messages, expected=count, enforce_limit=False)
            return store.load(info.id)
    copied = replace(info, id=new_id(), name=with_suffix(info.name, "(recovered)"), parent=None)
    metadata = {**unsaved.metadata, "copy_of": info.id}
    return store.create(copied, metadata, [*unsaved.history, *unsaved.messages], unique_name=True)
