"""Copying sessions from one store to another of any kind.

The source is not changed, and no session in the target is overwritten. A copy that was interrupted can be run again,
and several can run at the same time: a session that is the same in the target is skipped.
"""

import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple, TypeAlias, get_args

from msgspec import Struct

from prompt_objects.errors import Conflict, Damaged, NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.frames import frames_of, readable_frames
from prompt_objects.sessions.info import SessionRecord
from prompt_objects.sessions.stores.base import Archiving, Store
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.utils.text import quoted

Outcome: TypeAlias = Literal["copied", "completed", "same", "different", "damaged"]


class CopyResult(Struct, frozen=True):
    """The outcome for one session; `renamed` is its name in the target if that differs.

    A session that is `different` in the target is not changed there; a `damaged` one cannot be read in the source.
    """

    id: str
    name: str
    po_name: str
    outcome: Outcome
    in_trash: bool = False
    renamed: str | None = None


class _Session(NamedTuple):
    record: SessionRecord
    messages: list[Message]
    in_trash: bool


_ATTEMPTS = 20  # another process may copy the same session


def count_outcomes(copied: Sequence[CopyResult]) -> dict[Outcome, int]:
    """Return the number of sessions with each outcome."""
    return {outcome: sum(each.outcome == outcome for each in copied) for outcome in get_args(Outcome)}


def digest(messages: Sequence[Message]) -> str:
    """Return the SHA-256 of messages, one JSON line each, in hexadecimal."""
    content = sha256()
    for message in messages:
        content.update(encode(message) + b"\n")
    return content.hexdigest()


def copy_store(source: Store, target: Store, progress: Callable[[int, int], None]) -> list[CopyResult]:
    """Copy every session, also those in the trash, with the frames of its requests; verify each by reading it back.

    `progress` is called with the number of sessions done and in all. The target keeps the order of changes and of
    deletions, but not the times of deletions. Raises `StoreError` if a store fails, or if a written session differs
    when it is read back.
    """
    target.list(limit=1)  # raises if the target cannot be used, even if there is nothing to copy
    trash = [entry.info for entry in reversed(source.trash())]
    live = source.list()[::-1]
    copied, kept = [], set[str]()
    for number, info in enumerate((*trash, *live)):
        progress(number, len(trash) + len(live))
        in_trash = number < len(trash)
        try:
            session = _read(source, info.id, in_trash=in_trash)
        except NotFound:
            continue  # deleted, restored or purged meanwhile
        except Damaged:
            copied.append(CopyResult(info.id, info.name, info.po_name, "damaged", in_trash))
        else:
            for frame in readable_frames(source.frames, frames_of(session.messages) - kept).values():
                kept.add(target.frames.keep(frame))
            copied.append(_copy(target, session))
    progress(len(trash) + len(live), len(trash) + len(live))
    return copied


def _read(store: Store, session_id: str, *, in_trash: bool) -> _Session:
    if in_trash:
        return _Session(*store.read_trashed(session_id), in_trash)
    record = store.load(session_id)
    return _Session(record, store.read(session_id, 0, record.info.message_count), in_trash)


def _copy(target: Store, ours: _Session) -> CopyResult:
    """Copy a session to the target; if another process copies it at the same time, start again."""
    info = ours.record.info
    for _ in range(_ATTEMPTS):
        try:
            theirs = _find(target, ours)
        except Damaged:
            return CopyResult(info.id, info.name, info.po_name, "different", ours.in_trash)
        outcome = _compare(ours, theirs)
        try:
            name = _write(target, ours, theirs, outcome)
        except (Conflict, NotFound):
            continue
        except StoreError:
            if theirs or not _find(target, ours):
                raise
            continue
        renamed = name if name != info.name else None
        return CopyResult(info.id, info.name, info.po_name, outcome, ours.in_trash, renamed)
    raise StoreError(
        f"Other processes keep changing {quoted(info.name)} ({info.id}) in the target.", hint="Try again in a moment."
    )


def _find(target: Store, ours: _Session) -> _Session | None:
    """Return the session with the same id in the target, in or outside the trash. Raises `Damaged`."""
    for in_trash in (ours.in_trash, not ours.in_trash, ours.in_trash):  # it may be moved meanwhile
        try:
            return _read(target, ours.record.info.id, in_trash=in_trash)
        except NotFound:
            continue
    return None


def _compare(ours: _Session, theirs: _Session | None) -> Outcome:
    if theirs is None:
        return "copied"
    if theirs.in_trash and not ours.in_trash:
        return "different"
    found = digest(theirs.messages)
    if found == digest(ours.messages):
        return "same" if theirs.record.metadata == ours.record.metadata else "different"
    count = len(theirs.messages)
    is_beginning = count < len(ours.messages) and found == digest(ours.messages[:count])
    return "completed" if is_beginning and not ours.in_trash else "different"


def _write(target: Store, ours: _Session, theirs: _Session | None, outcome: Outcome) -> str:
    """Write the session, or the rest of it after an interrupted copy; return its name in the target."""
    info = ours.record.info
    name = theirs.record.info.name if theirs else info.name
    if outcome == "copied":
        name = target.create(info, ours.record.metadata, ours.messages, unique_name=True).info.name
    elif outcome == "completed" and theirs:
        count = len(theirs.messages)
        target.append(info.id, ours.messages[count:], expected=count, enforce_limit=False)
    if outcome in ("copied", "completed"):
        _verify(target, ours)
    is_live = not (theirs and theirs.in_trash)
    if is_live and outcome != "different":
        is_archived = outcome == "same" and theirs is not None and theirs.record.info.archived
        _set_state(target, ours, is_archived=is_archived)
    return name


def _verify(target: Store, ours: _Session) -> None:
    info = ours.record.info
    found = target.read(info.id, 0, sys.maxsize)
    if len(found) != len(ours.messages) or digest(found) != digest(ours.messages):
        raise StoreError(
            f"{quoted(info.name)} ({info.id}) differs when it is read back from the target.",
            hint="The source was not changed. Check the target with: prompt-objects doctor",
        )


def _set_state(target: Store, ours: _Session, *, is_archived: bool) -> None:
    if ours.record.info.archived and not is_archived and isinstance(target, Archiving):
        target.archive(ours.record.info.id)
    if ours.in_trash:
        target.delete(ours.record.info.id)
