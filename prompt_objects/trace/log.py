"""The trace file: one event per line, as JSON. Messages are stored as references to the session."""

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

Moment = Annotated[datetime, Meta(tz=True)]


class CallName(Struct, frozen=True):
    """A tool call in a message."""

    id: str
    name: str


class MessageRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message without its content. `digest` identifies it in the session; `size` is that of its text in bytes."""

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
        """Return the reference to a message; invalid fields are left out."""
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


_STORED_NAMES: Mapping[type[Event], str] = {  # names of classes that were renamed since
    BudgetUpdated: "Spent",
    ExternalMessages: "MessagesArrived",
    ToolCallEnded: "CallEnded",
    ToolCallStarted: "CallStarted",
}


def line_of(event: Event) -> bytes:
    """Encode an event as a line. Raises `UsageError` if it cannot be written as JSON."""
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


def moment_of(message: Message) -> datetime | None:
    """Return the time at which a message was saved, if it is known."""
    try:
        moment = msgspec.convert(message.get("at"), Moment)
    except msgspec.ValidationError:
        return None
    return moment if _is_in_range(moment) else None


def _is_in_range(moment: datetime) -> bool:
    return MINYEAR < moment.year < MAXYEAR  # converting to another time zone must not overflow
