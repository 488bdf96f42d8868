"""`Session`: one conversation of one prompt object."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from msgspec import Struct

from prompt_objects.errors import NotFound, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.frames import frames_of, readable_frames
from prompt_objects.sessions.info import ParentCall, SessionInfo, SessionRecord
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.json_lines import decode
from prompt_objects.sessions.stores.lease import ProcessInfo, lease_holder
from prompt_objects.utils.time import timestamp
from prompt_objects.utils.waiting import Mutex

if TYPE_CHECKING:
    from prompt_objects.sessions.requests import SentRequest


class History(Sequence[Message]):
    """A read-only view of a session's messages; it grows with the session."""

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

    __hash__ = None  # type: ignore[assignment]  # it is mutable

    def __repr__(self) -> str:
        return f"History({self._messages!r})"


class SessionUpdate(Struct, frozen=True):
    """The messages that other writers added since the last poll, and the process that holds the session."""

    messages: list[Message]
    holder: ProcessInfo | None


class Session:
    """A handle on one session. Several may be open on the same session, and threads may share one.

    It shows the session as it was when it was opened, plus everything appended or refreshed here. A draft is saved
    with its first message; its name may get a number then.
    """

    def __init__(self, store: Store, record: SessionRecord, *, is_draft: bool = False) -> None:
        self.id = record.info.id  # a UUIDv7; it never changes
        self._store = store
        self._record = record
        self._is_draft = is_draft
        self._messages: list[Message] | None = None
        self._lock = Mutex(f"the session {record.info.name}", recursive=True)

    @property
    def info(self) -> SessionInfo:
        """Everything that is known without reading the history."""
        return self._record.info

    @property
    def name(self) -> str:
        """The name, unique among the sessions of its prompt object."""
        return self._record.info.name

    @property
    def po_name(self) -> str:
        """The name of the prompt object."""
        return self._record.info.po_name

    @property
    def user_id(self) -> str | None:
        """The user it belongs to, in an environment with several users."""
        return self._record.info.user_id

    @property
    def parent(self) -> ParentCall | None:
        """The call that started the session; None if the user did."""
        return self._record.info.parent

    @property
    def created_at(self) -> datetime:
        """The time of creation, in UTC."""
        return self._record.info.created_at

    @property
    def updated_at(self) -> datetime:
        """The time of the last message, or of creation if there is none, in UTC."""
        return self._record.info.updated_at

    @property
    def message_count(self) -> int:
        """The number of messages."""
        return self._record.info.message_count

    @property
    def is_draft(self) -> bool:
        """Whether the session is not saved yet."""
        return self._is_draft

    @property
    def metadata(self) -> Mapping[str, Any]:
        """A read-only view of the metadata; change it with `set_metadata`."""
        return MappingProxyType(self._record.metadata)

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata, durably. Raises the errors of `append`, except `Conflict`."""
        with self._lock:
            changed = dict(metadata)
            if not self._is_draft:
                changed = self._store.update(self.id, metadata=changed).metadata
            self._record = SessionRecord(self.info, changed)

    @property
    def history(self) -> Sequence[Message]:
        """The messages, oldest first; they are read from the store on the first access."""
        with self._lock:
            if self._messages is None:
                self._messages = [] if self._is_draft else self._store.read(self.id, 0, self.message_count)
            return History(self._messages)

    def tail(self, k: int) -> list[Message]:
        """Return the last `k` messages, or all if there are fewer, without reading the others."""
        with self._lock:
            return self.page(max(0, self.message_count - k), max(0, k))

    def page(self, start: int, limit: int) -> list[Message]:
        """Return up to `limit` messages, the first one with index `start`."""
        with self._lock:
            stop = min(start + limit, self.message_count)
            if self._messages is not None:
                return self._messages[start:stop]
            return self._store.read(self.id, start, stop) if start < stop else []

    @property
    def frames(self) -> dict[str, Any]:
        """The request frames of its answers, without missing ones, by digest."""
        found = readable_frames(self._store.frames, frames_of(self.history))
        return {digest: decode(frame) for digest, frame in found.items()}

    def request(self, answer: int) -> "SentRequest":
        """Return the request that led to an answer, counted from 1: its body, rebuilt, and whether it is exact.

        An answer is a message of the role assistant, also an interrupted one, one with calls, and one that a retry
        has replaced. Raises `NotFound` if there is no such answer, if its request was not recorded, or if the frame
        is missing, and `Damaged`.
        """
        from prompt_objects.sessions.requests import find_answer, rebuild, record_of

        history = self.history
        message = history[find_answer(history, answer)]
        return rebuild(message, history, self._store.frames.get(record_of(message).frame))

    def append(self, *messages: Message, frames: Iterable[bytes] = ()) -> None:
        """Add messages, all or none; they are on disk when this returns.

        `frames` are those that the messages refer to; they are on disk before the messages. A message without `at`
        gets the current time. Raises `Conflict` if another writer has added messages since the last refresh,
        `UsageError` for values that JSON cannot represent, `NotFound` if the session was deleted, and `StoreError` if
        writing fails; no message is written then. (Only if the disk reports an error after it has accepted a message,
        its state is unknown; `refresh` shows it.)
        """
        if not messages:
            return
        moment = timestamp()
        stamped = [_stamped(message, moment) for message in messages]
        with self._lock:
            for frame in frames:
                self._store.frames.keep(frame)
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
        """Read changes by other writers; return the messages that they added since the last refresh."""
        with self._lock:
            known = self.message_count
            try:
                self._record = self._store.load(self.id)
            except NotFound:
                if self._is_draft:
                    return []
                raise
            self._is_draft = False  # saving its first message may have succeeded although the disk reported an error
            if self.message_count < known:
                self._messages = None
            added = self._store.read(self.id, known, self.message_count) if self.message_count > known else []
            if self._messages is not None:
                self._messages.extend(added)
            return added

    def poll(self) -> SessionUpdate:
        """Refresh, and return the new messages with the current holder. Raises the errors of `refresh`."""
        holder = lease_holder(self._store, self._record.info.id)  # first: a past holder has written all it will
        return SessionUpdate(self.refresh(), holder)

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.name!r} of {self.po_name}, {self.message_count} messages>"


def _copied(value: Any) -> Any:
    """Return a deep copy of a JSON value, ten times as fast as `deepcopy`."""
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(inner) for inner in value]
    return value


def _stamped(message: Message, moment: str) -> Message:
    given: object = message  # callers without a type checker may pass anything
    if not isinstance(given, dict) or not isinstance(given.get("role"), str):
        raise UsageError(
            f"A message is a JSON object with a role, not {message!r:.80}.",
            hint='Such as {"role": "user", "content": "Hello"}.',
        )
    return message if "at" in message else {**message, "at": moment}


def trace_file(data_dir: Path, session_id: str) -> Path:
    """Return the path of a session's trace."""
    return data_dir / "traces" / f"{session_id}.jsonl"
