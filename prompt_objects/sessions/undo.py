"""Undo: a journal of the last operations on sessions, and how each of them is undone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.errors import Conflict, Damaged, NameTaken, NotFound, SessionFull, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionRecord
from prompt_objects.sessions.names import with_suffix
from prompt_objects.sessions.stores.base import Store
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.process import ProcessInfo
from prompt_objects.utils.text import pluralize

__all__ = [
    "Operation",
    "UndoEntry",
    "UndoJournal",
    "UndoResult",
    "copy_to_trash",
    "undo_last",
]

Operation: TypeAlias = Literal["rename", "clear", "truncate", "delete"]
_MOST = 10


class UndoEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something done to a session, which was called `name` before, with all that it takes to undo it."""

    operation: Operation
    session: str
    name: str
    po_name: str
    user_id: str | None
    at: datetime
    others: tuple[str, ...] = ()  # delete: the sessions that went with it
    kept: int = 0  # clear, truncate: how many messages are left
    copy: str = ""  # clear, truncate: the copy in the trash


class _Journal(Struct, frozen=True):
    deeds: list[UndoEntry]


_DECODE = msgspec.json.Decoder(_Journal).decode


class UndoJournal:
    """The last ten deeds, kept in a file for all windows, or, without one, for as long as this lives.

    A file that cannot be read counts as empty, and is set aside as `.corrupt`. Raises `StoreError` where the disk
    refuses.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._mutex = Lock()
        self._deeds: list[UndoEntry] = []

    @contextmanager
    def locked(self) -> Iterator[list[UndoEntry]]:
        """Have the deeds to oneself, the oldest first; however this ends, the list is kept as it is then."""
        with self._mutex:
            if self._path is None:
                yield self._deeds
                return
            with disk.locked_file(self._path.with_name(f"{self._path.name}.lock")):
                before = self._read(self._path)
                deeds = list(before)
                try:
                    yield deeds
                finally:
                    if deeds != before:
                        _write(self._path, deeds)

    @contextmanager
    def recording(self, deed: UndoEntry) -> Iterator[None]:
        """Note a deed that is about to be done here, and forget it again where it is refused."""
        with self.locked() as deeds:
            deeds.append(deed)
            del deeds[:-_MOST]
        try:
            yield
        except (Conflict, NameTaken, NotFound, UsageError):
            with self.locked() as deeds, suppress(ValueError):
                deeds.remove(deed)
            raise

    def _read(self, path: Path) -> list[UndoEntry]:
        try:
            return _DECODE(disk.read_file(path)).deeds
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, RecursionError):
            with suppress(OSError):
                path.replace(path.with_name(f"{path.name}.corrupt"))
            return []


def _write(path: Path, deeds: list[UndoEntry]) -> None:
    try:
        disk.replace_file(path, [msgspec.json.format(msgspec.json.encode(_Journal(deeds)), indent=1)])
    except OSError as error:
        raise disk.store_error("written", path, error) from error


def copy_to_trash(
    store: Store, record: SessionRecord, messages: Sequence[Message], *, copy_id: str, kept: int
) -> SessionRecord:
    """Put a copy of a session into the trash, as it is before all but its first `kept` messages are dropped."""
    name = with_suffix(record.info.name, f"(before it was cut to {pluralize(kept, 'message')})")
    info = replace(record.info, id=copy_id, name=name, parent=None)
    copy = store.create(info, {**record.metadata, "copy_of": record.info.id}, messages, unique_name=True)
    store.delete(copy_id)
    return copy


_PASSED_OVER = "It is not tried again: the next undo is of what was done before."


class UndoResult(Struct, frozen=True):
    """What was undone, and the session as it is again; it was called `name` then, and may have got a number."""

    operation: Operation
    name: str
    record: SessionRecord

    def __str__(self) -> str:
        info = self.record.info
        match self.operation:
            case "rename":
                return f"Session {info.name} has its old name again."
            case "delete":
                return f"Session {info.name} is back, {pluralize(info.message_count, 'message')}."
            case _:
                return f"Session {info.name} is as it was before, {pluralize(info.message_count, 'message')}."


def undo_last(store: Store, journal: UndoJournal, *, po_name: str | None, user_id: str | None) -> UndoResult:
    """Undo the last deed, of one prompt object or user where they are given, and forget it.

    What was noted and never done, or cannot be undone any more since its session is gone, is forgotten, and the one
    before it is undone. Raises `NotFound` where there is none; `NameTaken`, `UsageError`, `SessionFull` and `Damaged`
    where something stands in the way, which is said once: the deed is forgotten then; and `Busy` and `StoreError`,
    after which it can still be undone.
    """
    with journal.locked() as deeds:
        for deed in deeds[::-1]:
            if po_name not in (None, deed.po_name) or user_id not in (None, deed.user_id):
                continue
            try:
                record = _HOW[deed.operation](store, deed)
            except (NameTaken, UsageError, SessionFull, Damaged) as error:
                deeds.remove(deed)
                error.hint = f"{error.hint} {_PASSED_OVER}".lstrip()
                raise
            deeds.remove(deed)
            if record:
                return UndoResult(deed.operation, deed.name, record)
    raise NotFound("There is nothing to undo.")


def _rename_back(store: Store, deed: UndoEntry) -> SessionRecord | None:
    try:
        record = store.load(deed.session)
        return None if record.info.name == deed.name else store.update(deed.session, name=deed.name)
    except NotFound:
        return None


def _restore(store: Store, deed: UndoEntry) -> SessionRecord | None:
    """Restore what is in the trash of it: all, or, where an undoing was killed, the rest."""
    restored: dict[str, SessionRecord] = {}
    for session_id in (deed.session, *deed.others):
        with suppress(NotFound):
            restored[session_id] = store.restore(session_id)
    return restored.get(deed.session) or next(iter(restored.values()), None)


def _put_back(store: Store, deed: UndoEntry) -> SessionRecord | None:
    """Put the messages that were cut off back behind those that were kept; the copy is not needed any more then."""
    try:
        copy, messages = store.read_trashed(deed.copy)
    except NotFound:
        _put_away(store, deed)
        return None
    try:
        lease = store.lease(deed.session, ProcessInfo.current(deed.user_id))
    except NotFound:
        return None
    try:
        there = store.read(deed.session, 0, len(messages) + 1)
        is_new = there != messages
        if is_new and there != messages[: deed.kept]:
            raise _in_between(deed, copy)
        if is_new:
            store.append(deed.session, messages[deed.kept :], expected=deed.kept, enforce_limit=False)
        store.purge(deed.copy)
        return store.load(deed.session) if is_new else None
    except NotFound:
        return None
    finally:
        lease.release()


def _put_away(store: Store, deed: UndoEntry) -> None:
    """Move the copy to the trash where a kill came before that, and before anything was cut off."""
    with suppress(NotFound):
        length = store.load(deed.copy).info.message_count
        if store.read(deed.session, deed.kept, length) == store.read(deed.copy, deed.kept, length):
            store.delete(deed.copy)


def _in_between(deed: UndoEntry, copy: SessionRecord) -> UsageError:
    return UsageError(
        f"{deed.name!r} was changed after it was cut to {pluralize(deed.kept, 'message')}; nothing was undone.",
        hint=f"Restore the copy of how it was, and have both: it is called {copy.info.name!r}.",
    )


_HOW: dict[Operation, Callable[[Store, UndoEntry], SessionRecord | None]] = {
    "rename": _rename_back,
    "delete": _restore,
    "clear": _put_back,
    "truncate": _put_back,
}
