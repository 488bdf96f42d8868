"""Sessions as data: ids, names, the facts that a store returns, holders, and totals over messages."""

import os
import re
import unicodedata
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from prompt_objects.errors import Ambiguous, InvalidName, NotFound
from prompt_objects.message import Message
from prompt_objects.utils.text import did_you_mean, pluralize
from prompt_objects.utils.time import time_ago, timestamp

# Fields of `SessionInfo`: summed over usages, summed over messages, and computed by the store.
TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens")
TOTAL_FIELDS = ("message_count", *TOKENS, "cost")
DERIVED_FIELDS = (*TOTAL_FIELDS, "archived")
MAX_TOTAL = 2**53  # far above any real total; a made-up figure must not break the index


def new_id() -> str:
    """Return a new UUIDv7: ids sort by their creation time, even within one millisecond of a process."""
    from uuid_utils import uuid7

    return str(uuid7())


def created_at_of(session_id: str) -> datetime | None:
    """Return the creation time in a UUIDv7 (its first 48 bits are milliseconds); None for any other id."""
    digits = session_id.replace("-", "")
    if digits[12:13] != "7":
        return None
    try:
        return datetime.fromtimestamp(int(digits[:12], 16) / 1000, UTC)
    except (ValueError, OverflowError):  # beyond the year 9999
        return None


class ParentCall(Struct, frozen=True):
    """The tool call that started a session: the id of its session, and its own."""

    session: str
    call: str


class SessionInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The facts about a session that need no history; times are UTC.

    Tokens and cost are sums over the `usage` of its messages; `cost` is None if no message has one. An `archived`
    session is stored compressed until its next message.
    """

    id: str
    name: str
    po_name: str
    message_count: int
    created_at: datetime
    updated_at: datetime
    user_id: str | None = None
    parent: ParentCall | None = None
    tags: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None
    archived: bool = False


class SessionRecord(Struct, frozen=True):
    """A session as a store returns it: everything except its history."""

    info: SessionInfo
    metadata: dict[str, Any]


class TrashedSession(Struct, frozen=True):
    """A deleted session that can be restored."""

    info: SessionInfo
    deleted_at: datetime


class StoreIssue(Struct, frozen=True, kw_only=True):
    """A problem in a store: its place, a sentence about it, and a sentence about its repair."""

    place: str
    problem: str
    remedy: str
    session_id: str | None = None
    repaired: bool = False


def header_of(info: SessionInfo, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a session document that precede its history."""
    known = msgspec.to_builtins(info)
    header = {key: value for key, value in known.items() if key not in (*DERIVED_FIELDS, "created_at", "updated_at")}
    return {**header, "created_at": timestamp(info.created_at), "metadata": metadata}


def add_usage(info: SessionInfo, messages: Iterable[Message], **changes: Any) -> SessionInfo:
    """Return the info with the `usage` of messages added, and with other fields changed.

    Invalid figures in a usage count as zero.
    """
    usages = [usage for message in messages if isinstance(usage := message.get("usage"), dict)]
    if not usages:
        return replace(info, **changes)
    cost = info.cost
    totals = {key: getattr(info, key) for key in TOKENS}
    for usage in usages:
        for key in TOKENS:
            count = usage.get(key)
            if isinstance(count, int) and 0 <= count <= MAX_TOTAL:
                totals[key] = min(totals[key] + count, MAX_TOTAL)
        price = usage.get("cost")
        if isinstance(price, int | float) and 0 <= price <= MAX_TOTAL:
            cost = (cost or 0.0) + price
    return replace(info, cost=cost, **totals, **changes)


def with_totals(info: SessionInfo, messages: Iterable[Message]) -> SessionInfo:
    """Return the info of a session with exactly these messages, not archived."""
    history = list(messages)
    bare = replace(info, prompt_tokens=0, completion_tokens=0, cached_tokens=0, cost=None, archived=False)
    return add_usage(bare, history, message_count=len(history))


_EPOCH = datetime.fromtimestamp(0, UTC)
_EMPTY = SessionInfo(id="", name="", po_name="", message_count=0, created_at=_EPOCH, updated_at=_EPOCH)


def totals_of(messages: Iterable[Message]) -> dict[str, Any]:
    """Return the `TOTAL_FIELDS` of a session with these messages."""
    info = with_totals(_EMPTY, messages)
    return {key: getattr(info, key) for key in TOTAL_FIELDS}


class ProcessInfo(Struct, frozen=True, kw_only=True):
    """A process of a user on a host, and since when (UTC) it holds the session."""

    user: str
    pid: int = field(name="process")  # the key in lease files
    host: str
    since: datetime

    @classmethod
    def current(cls, user: str | None = None) -> "ProcessInfo":
        """Return the current process and time; `user` is by default the user of the operating system."""
        import socket

        return cls(user=user or _login(), pid=os.getpid(), host=socket.gethostname(), since=datetime.now(UTC))

    @property
    def is_current(self) -> bool:
        """Whether this is the current process."""
        import socket

        return (self.pid, self.host) == (os.getpid(), socket.gethostname())

    def __str__(self) -> str:
        since = self.since.astimezone().strftime("%H:%M:%S")
        return f"{self.user} (process {self.pid} on {self.host}, since {since})"


@cache  # reads a file, and is called in every turn
def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the user has no entry in the password file, as in many containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


MAX_NAME_LENGTH = 100
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MAX_DIGITS = 9
_NUMBERED = re.compile(rf"(.*\S) (\d{{1,{_MAX_DIGITS}}})")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # Unicode categories; some also reorder the text around them
_MIN_PREFIX = 4
_SHORT_ID = 8


def is_id(text: str) -> bool:
    """Return whether this is a complete id, in lower case."""
    return _UUID.fullmatch(text) is not None


def require_id(session_id: str) -> None:
    """Raise `NotFound` for a text that is not the id of a session."""
    if not is_id(session_id):
        raise NotFound(f"{session_id!r:.60} is not the id of a session.")


def valid_name(name: str) -> str:
    """Return the name as it is stored: stripped and in NFC. Raises `InvalidName`."""
    stored = unicodedata.normalize("NFC", name.strip())
    if not stored:
        raise InvalidName("A session's name cannot be empty.")
    invisible = next(filter(_is_invisible, stored), None)
    if invisible is not None:
        raise InvalidName(
            f"A session's name cannot contain the character U+{ord(invisible):04X}.",
            hint="Use one line of visible characters.",
        )
    if len(stored) > MAX_NAME_LENGTH:
        raise InvalidName(f"A session's name has at most {MAX_NAME_LENGTH} characters; this has {len(stored)}.")
    if is_id(stored.lower()):
        raise InvalidName("A session's name cannot look like an id.", hint="Add a word to it.")
    return stored


def sanitized_name(name: str, created_at: datetime) -> str:
    """Return the valid name nearest to this one, or `recovered_name` if there is none."""
    composed = unicodedata.normalize("NFC", name)
    visible = " ".join("".join(" " if _is_invisible(c) else c for c in composed).split())
    with suppress(InvalidName):
        return valid_name(visible[:MAX_NAME_LENGTH])
    return recovered_name(created_at)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE or not character.isprintable()


def with_suffix(name: str, suffix: str, *, reserve: int = 0) -> str:
    """Return a name followed by more words, shortened so that `reserve` more characters fit."""
    return f"{name[: MAX_NAME_LENGTH - len(suffix) - 1 - reserve].rstrip()} {suffix}"


def unique_name(name: str, taken: Container[str]) -> str:
    """Return the name if it is free, or else with the lowest free number from 2 on: "API notes 2"."""
    if name not in taken:
        return name
    stem = _stem(name)
    for number in count(2):
        candidate = f"{stem[: MAX_NAME_LENGTH - len(f' {number}')].rstrip()} {number}"
        if candidate not in taken:
            return candidate
    raise AssertionError("there are more numbers than names")


def numbering_stem(name: str) -> str:
    """Return the common prefix of a name and of every name that `unique_name` may return for it."""
    return _stem(name)[: MAX_NAME_LENGTH - _MAX_DIGITS - 1].rstrip()


def _stem(name: str) -> str:
    numbered = _NUMBERED.fullmatch(name)
    return numbered[1] if numbered else name


def recovered_name(created_at: datetime) -> str:
    """Return a name for a session of which only the creation time is known."""
    return f"Recovered {created_at:%Y-%m-%d %H:%M}"


def resolve_key(key: str, infos: Sequence[SessionInfo], where: str) -> SessionInfo:
    """Return the one session that a key refers to: by name or id, prefix of an id, or name in another case.

    Raises `NotFound`, which says `where` it was searched, and `Ambiguous`.
    """
    folded = key.casefold()
    is_prefix = len(key) >= _MIN_PREFIX
    for found in (
        [info for info in infos if key in (info.name, info.id)],
        [info for info in infos if is_prefix and info.id.startswith(key.lower())],
        [info for info in infos if info.name.casefold() == folded],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            candidates = [_described(info, _short_id(info, infos)) for info in found]
            raise Ambiguous(
                f"{key!r} matches {len(found)} sessions.",
                candidates=candidates,
                hint="Use the beginning of an id:\n" + "\n".join(candidates[:10]),
            )
    nearest = did_you_mean(key, (info.name for info in infos))
    raise NotFound(f"There is no session {key!r} {where}.", hint=nearest)


def _short_id(info: SessionInfo, infos: Sequence[SessionInfo]) -> str:
    others = [other.id for other in infos if other.id != info.id]
    length = _SHORT_ID
    while any(other.startswith(info.id[:length]) for other in others):
        length += 1
    return info.id[:length]


def _described(info: SessionInfo, short_id: str) -> str:
    messages = pluralize(info.message_count, "message")
    return f"{short_id} {info.name} of {info.po_name}, {messages}, {time_ago(info.updated_at)}"
