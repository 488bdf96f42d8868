"""Moving sessions from one store into another, whatever kinds of store they are.

Nothing in the source is changed, and nothing that is in the target already is overwritten, so that a copying which
was interrupted can be run again: what is there and the same is passed over.
"""

import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from prompt_objects.errors import Damaged, NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.copies import create_numbered
from prompt_objects.sessions.record import Record
from prompt_objects.sessions.stores import Store
from prompt_objects.sessions.stores.encoding import encode

__all__ = ["Copied", "Outcome", "copy_all", "digest", "outcomes"]

Outcome: TypeAlias = Literal["copied", "completed", "same", "different", "damaged"]


class Copied(Struct, frozen=True):
    """What became of a session: `renamed` is its name in the target, where that had to be another one.

    One that is `different` in the target was left there as it is; one that is `damaged` cannot be read in the source.
    """

    id: str
    name: str
    po_name: str
    outcome: Outcome
    in_trash: bool = False
    renamed: str | None = None


def outcomes(copied: Sequence[Copied]) -> dict[Outcome, int]:
    """Count the sessions by what became of them."""
    return {outcome: sum(each.outcome == outcome for each in copied) for outcome in get_args(Outcome)}


def digest(messages: Sequence[Message]) -> str:
    """Return the SHA-256 of messages, each as a line of JSON, in hexadecimal digits."""
    content = sha256()
    for message in messages:
        content.update(encode(message) + b"\n")
    return content.hexdigest()


def copy_all(source: Store, target: Store, progress: Callable[[int, int], None]) -> list[Copied]:
    """Copy every session, those in the trash as well, and read back what was written to compare it.

    `progress` is told how many of how many are done. In the target the last changed and the last deleted come last,
    as in the source; the moment of a deletion is that of the copying. Raises `StoreError` where a store refuses, or
    what was written is not what is read back.
    """
    trash = [entry.info for entry in reversed(source.trash())]
    live = source.sessions()[::-1]
    copied = []
    for number, info in enumerate((*trash, *live)):
        progress(number, len(trash) + len(live))
        in_trash = number < len(trash)
        try:
            record, messages = _read(source, info.id, in_trash=in_trash)
        except NotFound:
            continue  # deleted, restored or purged in between: it was not there at the end
        except Damaged:
            copied.append(Copied(info.id, info.name, info.po_name, "damaged", in_trash))
        else:
            copied.append(_bring(target, record, messages, in_trash=in_trash))
    progress(len(trash) + len(live), len(trash) + len(live))
    return copied


def _read(store: Store, session_id: str, *, in_trash: bool) -> tuple[Record, list[Message]]:
    if in_trash:
        return store.read_trashed(session_id)
    record = store.load(session_id)
    return record, store.read(session_id, 0, record.info.message_count)


def _bring(target: Store, record: Record, messages: list[Message], *, in_trash: bool) -> Copied:
    info, renamed = record.info, None
    outcome = _compare(target, record, messages, in_trash=in_trash)
    if outcome == "copied":
        made = create_numbered(target, info, record.metadata, messages)
        renamed = made.info.name if made.info.name != info.name else None
    elif outcome == "completed":
        there = target.load(info.id).info.message_count
        target.append(info.id, messages[there:], expected=there)
    if outcome in ("copied", "completed"):
        _settle(target, record, messages, in_trash=in_trash)
    return Copied(info.id, info.name, info.po_name, outcome, in_trash, renamed)


def _compare(target: Store, record: Record, messages: list[Message], *, in_trash: bool) -> Outcome:
    """Say what is to become of a session, by what the target has under its id."""
    session_id = record.info.id
    try:
        there, found = _read(target, session_id, in_trash=in_trash)
    except Damaged:
        return "different"
    except NotFound:
        return _compare_elsewhere(target, record, messages, in_trash=in_trash)
    if digest(found) == digest(messages):
        return "same" if there.metadata == record.metadata else "different"
    is_shorter = len(found) < len(messages) and digest(found) == digest(messages[: len(found)])
    return "completed" if is_shorter and not in_trash else "different"


def _compare_elsewhere(target: Store, record: Record, messages: list[Message], *, in_trash: bool) -> Outcome:
    """Say it for a session that is not where it belongs, but may be in the trash instead, or the reverse."""
    try:
        _, found = _read(target, record.info.id, in_trash=not in_trash)
    except NotFound:
        return "copied"
    except Damaged:
        return "different"
    if in_trash and digest(found) == digest(messages):
        target.delete(record.info.id)  # a copying was interrupted before it did
        return "same"
    return "different"


def _settle(target: Store, record: Record, messages: list[Message], *, in_trash: bool) -> None:
    """Put what was written where it belongs, once it has been read back and is the same."""
    session_id = record.info.id
    found = target.read(session_id, 0, sys.maxsize)
    if len(found) != len(messages) or digest(found) != digest(messages):
        raise StoreError(
            f"What was written of {record.info.name!r} ({session_id}) is not what is read back.",
            hint="Nothing was changed where it is copied from. Look through the target with: prompt-objects doctor",
        )
    if in_trash:
        target.delete(session_id)
    elif record.info.archived:
        target.archive(session_id)
