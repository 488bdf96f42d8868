"""The lines of a trace's file: an event each, as JSON; a message is told by what identifies it in the session."""

import os
from collections.abc import Iterator, Mapping
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
    ToolCallEnded,
    ToolCallStarted,
)
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.utils import filesystem as disk

__all__ = [
    "CallName",
    "MessageRef",
    "TraceRecord",
    "add_lines",
    "line_of",
    "moment_of",
    "read_entries",
]

Moment = Annotated[datetime, Meta(tz=True)]


class CallName(Struct, frozen=True):
    """A call in a message."""

    id: str
    name: str


class MessageRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message, without its content: by `digest` it is found in the session, `size` is that of its text in bytes."""

    role: str
    digest: str
    size: int = 0
    tool_call_id: str | None = None
    calls: tuple[CallName, ...] = ()
    model: str | None = None
    usage: dict[str, Any] | None = None
    interrupted: str | None = None

    @classmethod
    def to(cls, message: Message) -> "MessageRef":
        """Make the reference to a message; whatever in it is not as it should be is left out."""
        usage = message.get("usage")
        return cls(
            role=str(message.get("role")),
            digest=_digest(message),
            size=len(text_of(message).encode(errors="replace")),
            tool_call_id=_text(message, "tool_call_id"),
            calls=tuple(CallName(call["id"], str(call["function"].get("name", ""))) for call in calls_of(message)),
            model=_text(message, "model"),
            usage=usage if isinstance(usage, dict) else None,
            interrupted=_text(message, "interrupted"),
        )


def _text(message: Message, key: str) -> str | None:
    value = message.get(key)
    return value if isinstance(value, str) else None


def _digest(message: Message) -> str:
    """Identify a message by what it says; the time is added only when it is saved."""
    from hashlib import blake2b

    try:
        written = encode({key: value for key, value in message.items() if key != "at"})
    except UsageError:  # in a file that others wrote: we save no such message
        return ""
    return blake2b(written, digest_size=12).hexdigest()


class TraceRecord(Struct, frozen=True, kw_only=True):
    """A line, with all that is known of any kind of event; `event` is the name of its class in bus.py."""

    event: str
    at: Moment
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


_STORED_NAMES: Mapping[type[Event], str] = {  # as trace files have called these events from the beginning
    BudgetUpdated: "Spent",
    ExternalMessages: "MessagesArrived",
    ToolCallEnded: "CallEnded",
    ToolCallStarted: "CallStarted",
}


def line_of(event: Event) -> bytes:
    """Write an event. Raises `UsageError` for one that JSON cannot say."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name != "session_id"}
    match event:
        case MessageSaved():
            fields["message"] = MessageRef.to(event.message)
        case ExternalMessages():
            fields["messages"] = [MessageRef.to(message) for message in event.messages]
        case ToolCallStarted():
            fields["size"] = _size(fields.pop("arguments"))
        case ToolCallEnded():
            fields["size"] = _size(fields.pop("result"))
    return (
        encode(
            msgspec.to_builtins(
                {"event": _STORED_NAMES.get(type(event), type(event).__name__), **fields}, enc_hook=str
            )
        )
        + b"\n"
    )


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))


def add_lines(path: Path, lines: bytes) -> None:
    """Add lines to a file, below one that a killed program may have left without its end. Raises `OSError`."""
    descriptor = disk.open_in_folder(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        is_torn = size > 0 and disk.pread(descriptor, 1, size - 1) != b"\n"
        disk.write_all(descriptor, b"\n" + lines if is_torn else lines)
    finally:
        os.close(descriptor)


_decode = msgspec.json.Decoder(TraceRecord).decode


def read_entries(path: Path) -> Iterator[TraceRecord]:
    """Read a file, passing over what is no entry; one that is not there has none. Raises `StoreError`."""
    try:
        data = disk.read_file(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk.store_error("read", path, error) from error
    for line in data.split(b"\n"):
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            entry = _decode(line)
            if _is_sane(entry.at):
                yield entry


def moment_of(message: Message) -> datetime | None:
    """Return when a message was saved, where it says so."""
    try:
        moment = msgspec.convert(message.get("at"), Moment)
    except msgspec.ValidationError:
        return None
    return moment if _is_sane(moment) else None


def _is_sane(moment: datetime) -> bool:
    """Keep off the ends of the calendar, where another time zone would be beyond it."""
    return MINYEAR < moment.year < MAXYEAR
