"""A session: one conversation of one prompt object, to be read and added to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import RLock
from types import MappingProxyType
from typing import Any, overload

from prompt_objects.errors import NotFound, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.info import ParentCall, SessionInfo, SessionRecord
from prompt_objects.sessions.stores.base import Store
from prompt_objects.utils.time import timestamp

__all__ = [
    "Session",
]


class History(Sequence[Message]):
    """The messages of a session, to be read and not written; it grows when the session does."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        return self._messages[index]

    def __len__(self) -> int:
        return len(self._messages)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"History({self._messages!r})"


class Session:
    """A live handle on one session; several may be open on the same one, and threads may share one.

    What it shows is the session as it was when it was opened, plus what was appended or refreshed here. A draft is
    in the store from its first message on; its name may get a number then.
    """

    def __init__(self, store: Store, record: SessionRecord, *, is_draft: bool = False) -> None:
        self._store = store
        self._record = record
        self._is_draft = is_draft
        self._messages: list[Message] | None = None
        self._lock = RLock()

    @property
    def info(self) -> SessionInfo:
        """All that is known without the history."""
        return self._record.info

    @property
    def id(self) -> str:
        """A UUIDv7, the same for ever."""
        return self.info.id

    @property
    def name(self) -> str:
        """Unique among the sessions of its prompt object."""
        return self.info.name

    @property
    def po_name(self) -> str:
        """The prompt object that it is a conversation with."""
        return self.info.po_name

    @property
    def user_id(self) -> str | None:
        """Whose it is, where an environment has several users."""
        return self.info.user_id

    @property
    def parent(self) -> ParentCall | None:
        """The call that started it; None where a person did."""
        return self.info.parent

    @property
    def created_at(self) -> datetime:
        """When it was made, in UTC."""
        return self.info.created_at

    @property
    def updated_at(self) -> datetime:
        """When the last message came, in UTC; when it was made, where none has."""
        return self.info.updated_at

    @property
    def message_count(self) -> int:
        """The length of the history."""
        return self.info.message_count

    @property
    def is_draft(self) -> bool:
        """Whether it is still to be made, with its first message."""
        return self._is_draft

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What else was noted about it; changed by `set_metadata`."""
        return MappingProxyType(self._record.metadata)

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata, durably. Raises what `append` raises, but for `Conflict`."""
        with self._lock:
            changed = dict(metadata)
            if not self._is_draft:
                changed = self._store.update(self.id, metadata=changed).metadata
            self._record = SessionRecord(self.info, changed)

    @property
    def history(self) -> Sequence[Message]:
        """The messages, oldest first; read from the store when this is first asked for."""
        with self._lock:
            if self._messages is None:
                self._messages = [] if self._is_draft else self._store.read(self.id, 0, self.message_count)
            return History(self._messages)

    def tail(self, k: int) -> list[Message]:
        """Return the last `k` messages (fewer where there are fewer) without reading the others."""
        with self._lock:
            return self.page(max(0, self.message_count - k), max(0, k))

    def page(self, start: int, limit: int) -> list[Message]:
        """Return up to `limit` messages from number `start` on, which counts from 0."""
        with self._lock:
            stop = min(start + limit, self.message_count)
            if self._messages is not None:
                return self._messages[start:stop]
            return self._store.read(self.id, start, stop) if start < stop else []

    def append(self, *messages: Message) -> None:
        """Add messages, all or none of them; they are on disk when this returns.

        A message without `at` gets the present moment. Raises `Conflict` when another writer added some since
        this handle last looked, `UsageError` for what JSON cannot say, `NotFound` when the session has been
        deleted and `StoreError` when the disk refuses; nothing is written then. (Only where the disk took a message
        and failed while it was waited for is it uncertain; `refresh` shows what became of it.)
        """
        if not messages:
            return
        moment = timestamp()
        stamped = [_stamped(message, moment) for message in messages]
        with self._lock:
            known = self._record
            if self._is_draft:
                self._record = self._store.create(
                    known.info, known.metadata, stamped, unique_name=True, enforce_limit=True
                )
                self._is_draft = False
            else:
                info = self._store.append(known.info.id, stamped, expected=known.info.message_count)
                self._record = SessionRecord(info, known.metadata)
            if self._messages is not None:
                self._messages.extend(map(_copied, stamped))

    def refresh(self) -> list[Message]:
        """Catch up with other writers; return the messages that they added since this handle last looked."""
        with self._lock:
            known = self.message_count
            try:
                self._record = self._store.load(self.id)
            except NotFound:
                if self._is_draft:
                    return []
                raise
            self._is_draft = False  # it may be there although the disk failed while its first message was waited for
            if self.message_count < known:
                self._messages = None
            came = self._store.read(self.id, known, self.message_count) if self.message_count > known else []
            if self._messages is not None:
                self._messages.extend(came)
            return came

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.name!r} of {self.po_name}, {self.message_count} messages>"


def _copied(value: Any) -> Any:
    """Copy a JSON value through and through; `deepcopy`, which minds all that is no JSON, takes ten times as long."""
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(inner) for inner in value]
    return value


def _stamped(message: Message, moment: str) -> Message:
    given: object = message  # which may be anything, where no type checker looked
    if not isinstance(given, dict) or not isinstance(given.get("role"), str):
        raise UsageError(
            f"A message is a JSON object with a role, not {message!r:.80}.",
            hint='Such as {"role": "user", "content": "Hello"}.',
        )
    return message if "at" in message else {**message, "at": moment}
