"""`Session`: one conversation of one prompt object, and its files besides the messages."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import RLock
from types import MappingProxyType
from typing import Any, overload

from msgspec import Struct

from prompt_objects.errors import Damaged, NotFound, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.info import ParentCall, ProcessInfo, SessionInfo, SessionRecord, is_id
from prompt_objects.sessions.stores.base import Store, lease_holder
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp

POLL_SECONDS = 0.25
_SHOWN_FIRST = 10


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
        self._lock = RLock()

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

    def append(self, *messages: Message) -> None:
        """Add messages, all or none; they are on disk when this returns.

        A message without `at` gets the current time. Raises `Conflict` if another writer has added messages since
        the last refresh, `UsageError` for values that JSON cannot represent, `NotFound` if the session was deleted,
        and `StoreError` if writing fails; nothing is written then. (Only if the disk reports an error after it has
        accepted a message, its state is unknown; `refresh` shows it.)
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


class SessionChange(Struct, frozen=True):
    """New messages, the first of which is number `number` (from 1), and the holder, if it changed."""

    number: int
    messages: Sequence[Message]
    is_new_holder: bool
    holder: ProcessInfo | None


async def follow(session: Session) -> AsyncGenerator[list[Message], None]:
    """Yield new messages of a session for as long as a process holds it."""
    while True:
        update = await asyncio.to_thread(session.poll)
        if update.messages:
            yield update.messages
        if update.holder is None:
            return
        await asyncio.sleep(POLL_SECONDS)


def poll_forever(session: Session) -> Iterator[SessionChange]:
    """Yield the last messages of a session, then each change; this never ends by itself."""
    last = session.tail(_SHOWN_FIRST)
    yield SessionChange(session.message_count - len(last) + 1, last, is_new_holder=False, holder=None)
    holder = None
    while True:
        update = session.poll()
        number = session.message_count - len(update.messages) + 1
        if update.messages or update.holder != holder:
            yield SessionChange(number, update.messages, update.holder != holder, update.holder)
        holder = update.holder
        time.sleep(POLL_SECONDS)


def workspace_of(info: SessionInfo, store: Store, folder: Path) -> Path:
    """Return the workspace, in the folder of all workspaces, that a session shares with its parents.

    It is named after the topmost session, and may not exist. Reads the parents from the store. Raises `StoreError`.
    """
    seen = {info.id}
    while info.parent and info.parent.session not in seen and is_id(info.parent.session):
        seen.add(info.parent.session)
        try:
            info = store.load(info.parent.session).info
        except (NotFound, Damaged):  # the parent was deleted, its child was not
            break
    return folder / info.id


@contextmanager
def copied_workspace(source: Path, target: Path) -> Iterator[None]:
    """Copy a workspace, if it exists, for a new session; remove the copy if the block fails. Raises `StoreError`."""
    import shutil

    with disk.store_errors("copied", source):
        if source.is_dir():
            disk.make_folder(target.parent)
            shutil.copytree(source, target, symlinks=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def trace_file(data_dir: Path, session_id: str) -> Path:
    """Return the path of a session's trace."""
    return data_dir / "traces" / f"{session_id}.jsonl"


def exists(store: Store, session_id: str) -> bool:
    """Return whether a session with this id exists outside the trash."""
    try:
        store.load(session_id)
    except NotFound:
        return False
    except Damaged:
        return True
    return True


def remove_session_files(data_dir: Path, session_id: str) -> None:
    """Remove all files of a session that was purged. Raises `StoreError`."""
    for folder in (data_dir / "logs" / session_id, data_dir / "workspace" / session_id):
        with disk.store_errors("removed", folder):
            disk.remove_folder(folder)
    trace = trace_file(data_dir, session_id)
    with disk.store_errors("removed", trace):
        trace.unlink(missing_ok=True)


class SteeringQueue:
    """The messages to a running turn that it has not read yet, in a file. Safe to use from several threads.

    Each message has a time (`at`), which identifies it. A message stays in the file until it is certainly in the
    session, so that after a crash it may be in both; `undelivered` compares them.
    """

    def __init__(self, workspace: Path, session_id: str) -> None:
        self._file = workspace / session_id / "unread.jsonl"
        self._lock = threading.Lock()

    def add(self, message: Message) -> None:
        """Save a message, durably. Raises `StoreError`."""
        with self._lock, disk.store_errors("written", self._file):
            disk.make_folder(self._file.parent)
            disk.append_once(self._file, json.dumps(message).encode() + b"\n")

    def undelivered(self, session: Session) -> list[Message]:
        """Return the messages that a crash kept from the session."""
        queued = self._read()
        return [message for message in queued if message not in session.history]

    def remove(self, delivered: Sequence[Message]) -> None:
        """Remove messages that are in the session now. Raises `StoreError`."""
        with self._lock, disk.store_errors("written", self._file):
            rest = [message for message in self._read() if message not in delivered]
            if rest:
                disk.replace_file(self._file, [json.dumps(message).encode() + b"\n" for message in rest])
            else:
                self._file.unlink(missing_ok=True)

    def _read(self) -> list[Message]:
        try:
            lines = disk.read_file(self._file).splitlines()
        except OSError:
            return []
        return [message for line in lines if (message := _parsed(line))]


def _parsed(line: bytes) -> Message | None:
    """Return the message of a line; None if a crash cut the line short."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
