"""Moving sessions from one store into another, whatever kinds of store they are.

Nothing in the source is changed, and nothing that is in the target already is overwritten, so that a copying which
was interrupted can be run again, and several can run at once: what is there and the same is passed over.
"""

import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple, TypeAlias, get_args

from msgspec import Struct

from prompt_objects.errors import Conflict, Damaged, NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionRecord
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.json_lines import encode

__all__ = [
    "CopyResult",
    "Outcome",
    "copy_store",
    "count_outcomes",
    "digest",
]

Outcome: TypeAlias = Literal["copied", "completed", "same", "different", "damaged"]


class CopyResult(Struct, frozen=True):
    """What became of a session: `renamed` is its name in the target, where that is another one.

    One that is `different` in the target was left there as it is; one that is `damaged` cannot be read in the source.
    """

    id: str
    name: str
    po_name: str
    outcome: Outcome
    in_trash: bool = False
    renamed: str | None = None


class _Session(NamedTuple):
    """A session of either store, whole."""

    record: SessionRecord
    messages: list[Message]
    in_trash: bool


_RIVALS = 20  # how often another copying may be faster before one gives up


def count_outcomes(copied: Sequence[CopyResult]) -> dict[Outcome, int]:
    """Count the sessions by what became of them."""
    return {outcome: sum(each.outcome == outcome for each in copied) for outcome in get_args(Outcome)}


def digest(messages: Sequence[Message]) -> str:
    """Return the SHA-256 of messages, each as a line of JSON, in hexadecimal digits."""
    content = sha256()
    for message in messages:
        content.update(encode(message) + b"\n")
    return content.hexdigest()


def copy_store(source: Store, target: Store, progress: Callable[[int, int], None]) -> list[CopyResult]:
    """Copy every session, those in the trash as well, and read back what was written to compare it.

    `progress` is told how many of how many are done. In the target the last changed and the last deleted come last,
    as in the source; the moment of a deletion is that of the copying. Raises `StoreError` where a store refuses, or
    what was written is not what is read back.
    """
    target.list(limit=1)  # a target that refuses says so, even where there is nothing to copy
    trash = [entry.info for entry in reversed(source.trash())]
    live = source.list()[::-1]
    copied = []
    for number, info in enumerate((*trash, *live)):
        progress(number, len(trash) + len(live))
        in_trash = number < len(trash)
        try:
            ours = _read(source, info.id, in_trash=in_trash)
        except NotFound:
            continue  # deleted, restored or purged in between: it was not there at the end
        except Damaged:
            copied.append(CopyResult(info.id, info.name, info.po_name, "damaged", in_trash))
        else:
            copied.append(_bring(target, ours))
    progress(len(trash) + len(live), len(trash) + len(live))
    return copied


def _read(store: Store, session_id: str, *, in_trash: bool) -> _Session:
    if in_trash:
        return _Session(*store.read_trashed(session_id), in_trash)
    record = store.load(session_id)
    return _Session(record, store.read(session_id, 0, record.info.message_count), in_trash)


def _bring(target: Store, ours: _Session) -> CopyResult:
    """Have it in the target, too; where another copying is faster, begin again with what is there then."""
    info = ours.record.info
    for _ in range(_RIVALS):
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
    raise StoreError(f"Others keep changing {info.name!r} ({info.id}) in the target.", hint="Try again in a moment.")


def _find(target: Store, ours: _Session) -> _Session | None:
    """Return what the target has under the id: where it belongs, or else among the others. Raises `Damaged`."""
    for in_trash in (ours.in_trash, not ours.in_trash, ours.in_trash):  # it may be moved while one looks
        try:
            return _read(target, ours.record.info.id, in_trash=in_trash)
        except NotFound:
            continue
    return None


def _compare(ours: _Session, theirs: _Session | None) -> Outcome:
    """Say what is to become of a session, by what the target has under its id."""
    if theirs is None:
        return "copied"
    if theirs.in_trash and not ours.in_trash:
        return "different"
    wanted, found = digest(ours.messages), digest(theirs.messages)
    if wanted == found:
        return "same" if theirs.record.metadata == ours.record.metadata else "different"
    count = len(theirs.messages)
    is_beginning = count < len(ours.messages) and found == digest(ours.messages[:count])
    return "completed" if is_beginning and not ours.in_trash else "different"


def _write(target: Store, ours: _Session, theirs: _Session | None, outcome: Outcome) -> str:
    """Write what the target lacks, also of what a copying that was interrupted left; return the name that it has."""
    info = ours.record.info
    name = theirs.record.info.name if theirs else info.name
    if outcome == "copied":
        name = target.create(info, ours.record.metadata, ours.messages, unique_name=True).info.name
    elif outcome == "completed" and theirs:
        there = len(theirs.messages)
        target.append(info.id, ours.messages[there:], expected=there, enforce_limit=False)
    if outcome in ("copied", "completed"):
        _check(target, ours)
    is_live = not (theirs and theirs.in_trash)
    if is_live and outcome != "different":
        is_packed = outcome == "same" and theirs is not None and theirs.record.info.archived
        _settle(target, ours, is_packed=is_packed)
    return name


def _check(target: Store, ours: _Session) -> None:
    """Read back what was written, and compare it."""
    info = ours.record.info
    found = target.read(info.id, 0, sys.maxsize)
    if len(found) != len(ours.messages) or digest(found) != digest(ours.messages):
        raise StoreError(
            f"What was written of {info.name!r} ({info.id}) is not what is read back.",
            hint="Nothing was changed where it is copied from. Look through the target with: prompt-objects doctor",
        )


def _settle(target: Store, ours: _Session, *, is_packed: bool) -> None:
    """Archive it if it is archived, then put it into the trash if it is there."""
    if ours.record.info.archived and not is_packed:
        target.archive(ours.record.info.id)
    if ours.in_trash:
        target.delete(ours.record.info.id)
