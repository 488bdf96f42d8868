"""The trace files: one event per line, as JSON, with references to the messages in the session.

A thread writes them in the background; turns neither wait for it nor fail because of it.
"""

import atexit
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from prompt_objects.errors import UsageError
from prompt_objects.message import Message, calls_of, text_of
from prompt_objects.runtime.events import (
    BudgetUpdated,
    Event,
    ExternalMessages,
    MessageSaved,
    TextDelta,
    ToolCallEnded,
    ToolCallStarted,
)
from prompt_objects.sessions.info import is_id
from prompt_objects.sessions.session import trace_file
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.forks import after_fork_in_child

MAX_WAITING_EVENTS = 10_000
"""Events that may wait for the disk; further events are dropped."""
BATCH_SECONDS = 0.05
"""How long events are collected before they are written together."""
IDLE_SECONDS = 1.0
FLUSH_SECONDS = 2.0
AwareDatetime = Annotated[datetime, Meta(tz=True)]


class CallRef(Struct, frozen=True):
    """A tool call in a message."""

    id: str
    name: str


class MessageRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message without its content. `digest` identifies it in the session; `size` is that of its text in bytes."""

    role: str
    digest: str
    size: int = 0
    tool_call_id: str | None = None
    calls: tuple[CallRef, ...] = ()
    model: str | None = None
    usage: dict[str, Any] | None = None
    interrupted: str | None = None

    @classmethod
    def of(cls, message: Message) -> "MessageRef":
        usage = message.get("usage")
        return cls(
            role=str(message.get("role")),
            digest=_digest(message),
            size=len(text_of(message).encode(errors="replace")),
            tool_call_id=_text(message, "tool_call_id"),
            calls=tuple(CallRef(call["id"], str(call["function"].get("name", ""))) for call in calls_of(message)),
            model=_text(message, "model"),
            usage=usage if isinstance(usage, dict) else None,
            interrupted=_text(message, "interrupted"),
        )


def _text(message: Message, key: str) -> str | None:
    value = message.get(key)
    return value if isinstance(value, str) else None


def _digest(message: Message) -> str:
    """Return a digest of a message without its time, which is added only when it is saved."""
    from hashlib import blake2b

    try:
        data = encode({key: value for key, value in message.items() if key != "at"})
    except UsageError:  # only in a file that another program wrote
        return ""
    return blake2b(data, digest_size=12).hexdigest()


class TraceRecord(Struct, frozen=True, kw_only=True):
    """A line of the file, with the fields of all kinds of events; `event` is the stored name of the kind."""

    event: str
    at: AwareDatetime
    run: str
    parent: str | None = None
    path: tuple[str, ...] = ()
    call_id: str | None = None
    name: str = ""
    size: int | None = None
    failed: bool = False
    seconds: float | None = None
    outcome: str | None = None
    error: str = ""
    text: str = ""
    message: MessageRef | None = None
    messages: tuple[MessageRef, ...] = ()


_STORED_NAMES: Mapping[type[Event], str] = {  # the former names of renamed classes stay in the files
    BudgetUpdated: "Spent",
    ExternalMessages: "MessagesArrived",
    ToolCallEnded: "CallEnded",
    ToolCallStarted: "CallStarted",
}


def encode_event(event: Event) -> bytes:
    """Encode an event as a line. Raises `UsageError` if it cannot be written as JSON."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name != "session_id"}
    match event:
        case MessageSaved():
            fields["message"] = MessageRef.of(event.message)
        case ExternalMessages():
            fields["messages"] = [MessageRef.of(message) for message in event.messages]
        case ToolCallStarted():
            fields["size"] = _size(fields.pop("arguments"))
        case ToolCallEnded():
            fields["size"] = _size(fields.pop("result"))
    name = _STORED_NAMES.get(type(event), type(event).__name__)
    return encode(msgspec.to_builtins({"event": name, **fields}, enc_hook=str)) + b"\n"


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))


def add_lines(path: Path, lines: bytes) -> None:
    """Append lines to a file, after ending an incomplete last line. Raises `OSError`."""
    descriptor = disk.open_in_folder(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        is_incomplete = size > 0 and disk.pread(descriptor, 1, size - 1) != b"\n"
        disk.write_all(descriptor, b"\n" + lines if is_incomplete else lines)
    finally:
        os.close(descriptor)


_decode = msgspec.json.Decoder(TraceRecord).decode


def read_records(path: Path) -> Iterator[TraceRecord]:
    """Yield the records of a file, without invalid lines; none if the file does not exist. Raises `StoreError`."""
    try:
        data = disk.read_file(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk.store_error("read", path, error) from error
    for line in data.split(b"\n"):
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = _decode(line)
            if _is_in_range(record.at):
                yield record


def saved_at(message: Message) -> datetime | None:
    """Return the time at which a message was saved, if it is known."""
    try:
        moment = msgspec.convert(message.get("at"), AwareDatetime)
    except msgspec.ValidationError:
        return None
    return moment if _is_in_range(moment) else None


def _is_in_range(moment: datetime) -> bool:
    return MINYEAR < moment.year < MAXYEAR  # converting to another time zone must not overflow


class Recorder:
    """Writes events, except text deltas, to the trace files of their sessions, in a thread.

    `notify` gets the first problem. The thread ends one second after the last event. The files are not synced: a
    power failure may lose events, but never messages, which are in the store.
    """

    def __init__(self, data_dir: Path, notify: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._notify = notify
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        """Start empty. In a forked child, the waiting events are the parent's and the thread does not exist."""
        self._changed = threading.Condition()
        self._waiting: list[Event] = []
        self._is_flushing = False
        self._thread: threading.Thread | None = None
        self._has_notified = False

    def put(self, event: Event) -> None:
        """Queue an event to be written; never waits for the disk or raises."""
        if isinstance(event, TextDelta):
            return
        with self._changed:
            if len(self._waiting) >= MAX_WAITING_EVENTS:
                self._notify_once("Some events are missing in traces: the disk is too slow.")
                return
            self._waiting.append(event)
            if self._thread is None:
                self._start()
            elif len(self._waiting) == 1:  # otherwise the thread is awake, or collecting
                self._changed.notify_all()

    def _start(self) -> None:
        thread = threading.Thread(target=self._write, name="trace", daemon=True)
        with suppress(RuntimeError):  # no thread can be started now; the next event tries again
            thread.start()
            self._thread = thread
            atexit.register(self.flush)  # the program may not close its environment

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all events so far are written, at most `seconds`."""
        with self._changed:
            self._is_flushing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting, seconds)
            self._is_flushing = False

    def _notify_once(self, notice: str) -> None:  # a full disk fails again and again
        if not self._has_notified:
            self._has_notified = True
            self._notify(notice)

    def _write(self) -> None:
        while batch := self._next_batch():
            self._save(batch)
            with self._changed:
                del self._waiting[: len(batch)]
                self._changed.notify_all()

    def _next_batch(self) -> list[Event]:
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, IDLE_SECONDS):
                self._thread = None
                atexit.unregister(self.flush)
            elif not self._is_flushing:
                self._changed.wait_for(lambda: self._is_flushing, BATCH_SECONDS)
            return self._waiting[:]

    def _save(self, batch: Sequence[Event]) -> None:
        lines: defaultdict[str, bytearray] = defaultdict(bytearray)
        for event in batch:
            if is_id(event.session_id):
                with suppress(UsageError):  # it cannot be written as JSON
                    lines[event.session_id] += encode_event(event)
        for session_id, added in lines.items():
            path = trace_file(self._data_dir, session_id)
            try:
                add_lines(path, bytes(added))
            except OSError as error:
                failure = disk.store_error("written", path, error)
                with self._changed:
                    self._notify_once(f"Traces are not recorded: {failure} {failure.hint}")
