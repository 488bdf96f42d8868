"""Undo: the journal of the last operations on sessions, and how each one is undone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.errors import Conflict, Damaged, NameTaken, NotFound, SessionFull, UsageError
from prompt_objects.sessions.info import SessionInfo, SessionRecord, new_id
from prompt_objects.sessions.names import with_suffix
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.errors import check_count
from prompt_objects.sessions.stores.lease import leased
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.resources import raise_if_exhausted
from prompt_objects.utils.text import pluralize, quoted
from prompt_objects.utils.time import now
from prompt_objects.utils.waiting import Mutex

Operation: TypeAlias = Literal["rename", "clear", "truncate", "delete"]
_MAX_ENTRIES = 10


class UndoEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operation on a session named `name`, with everything needed to undo it."""

    operation: Operation
    session: str
    name: str
    po_name: str
    user_id: str | None
    at: datetime
    others: tuple[str, ...] = ()  # delete: the descendants deleted with it
    kept: int = 0  # clear, truncate: the number of messages that stay
    copy: str = ""  # clear, truncate: the id of the copy in the trash

    @classmethod
    def of(cls, operation: Operation, info: SessionInfo, **details: Any) -> "UndoEntry":
        """Return the entry of an operation that is about to change a session."""
        name, po_name, user_id = info.name, info.po_name, info.user_id
        return cls(
            operation=operation, session=info.id, name=name, po_name=po_name, user_id=user_id, at=now(), **details
        )


class _Journal(Struct, frozen=True):
    entries: list[UndoEntry] = msgspec.field(name="deeds")  # its name in the file


_DECODE = msgspec.json.Decoder(_Journal).decode


class UndoJournal:
    """The last ten operations, in a file shared by all processes, or in memory if there is no `path`.

    A file that cannot be read counts as empty and is renamed to `.corrupt`; `notify` gets a notice. Raises
    `StoreError` if writing fails.
    """

    def __init__(self, path: Path | None = None, notify: Callable[[str], None] = lambda _: None) -> None:
        self._path = path
        self._notify = notify
        self._mutex = Mutex("the undo journal")
        self._entries: list[UndoEntry] = []

    @contextmanager
    def locked(self) -> Iterator[list[UndoEntry]]:
        """Lock the journal and yield its entries, oldest first; changes to the list are saved, even after errors."""
        with self._mutex:
            if self._path is None:
                yield self._entries
                return
            with disk.locked_file(self._path.with_name(f"{self._path.name}.lock")):
                before = self._read(self._path)
                entries = list(before)
                try:
                    yield entries
                finally:
                    if entries != before:
                        _write(self._path, entries)

    @contextmanager
    def recording(self, entry: UndoEntry) -> Iterator[None]:
        """Record the operation of the block, before it runs; remove the entry if the operation is rejected."""
        with self.locked() as entries:
            entries.append(entry)
            del entries[:-_MAX_ENTRIES]
        try:
            yield
        except (Conflict, NameTaken, NotFound, UsageError):
            with self.locked() as entries, suppress(ValueError):
                entries.remove(entry)
            raise

    def _read(self, path: Path) -> list[UndoEntry]:
        try:
            return _DECODE(disk.read_file(path)).entries
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            raise_if_exhausted(error)
            with suppress(OSError):
                kept = path.replace(path.with_name(f"{path.name}.corrupt"))
                self._notify(f"The list of operations to undo could not be read. It was renamed to {kept}.")
            return []


def _write(path: Path, entries: list[UndoEntry]) -> None:
    with disk.store_errors("written", path):
        disk.replace_file(path, [msgspec.json.format(msgspec.json.encode(_Journal(entries)), indent=1)])


def truncate_undoably(  # noqa: PLR0913 - the last two are keyword arguments
    store: Store, journal: UndoJournal, session_id: str, count: int, *, operation: Operation, user_id: str | None
) -> SessionRecord:
    """Keep the first `count` messages of a session; a copy of the whole session goes into the trash first."""
    with leased(store, session_id, user_id):
        record = store.load(session_id)
        info = record.info
        check_count(info.name, info.message_count, count)
        if count == info.message_count:
            return record
        entry = UndoEntry.of(operation, info, kept=count, copy=new_id())
        with journal.recording(entry):
            name = with_suffix(info.name, f"(before it was truncated to {pluralize(count, 'message')})")
            copied = replace(info, id=entry.copy, name=name, parent=None)
            messages = store.read(session_id, 0, info.message_count)
            store.create(copied, {**record.metadata, "copy_of": session_id}, messages, unique_name=True)
            store.delete(entry.copy)
            try:
                return store.truncate(session_id, count, expected=info.message_count)
            except Conflict:
                store.purge(entry.copy)
                raise


_NOT_RETRIED = "Its undo entry was removed; the next undo applies to the operation before it."


class UndoResult(Struct, frozen=True):
    """The operation that was undone, the name before it, and the session now; a restored name may have a number."""

    operation: Operation
    name: str
    record: SessionRecord

    def __str__(self) -> str:
        info = self.record.info
        match self.operation:
            case "rename":
                return f"Session {info.name} has its old name again."
            case _:
                return f"Session {info.name} restored, {pluralize(info.message_count, 'message')}."


def undo_last(store: Store, journal: UndoJournal, *, po_name: str | None, user_id: str | None) -> UndoResult:
    """Undo the last operation, of one prompt object or user if given, and remove its entry.

    Entries of operations that never happened, or whose session is gone, are removed, and the entry before them is
    undone. Raises `NotFound` if there is no entry; `NameTaken`, `UsageError`, `SessionFull` and `Damaged` if the
    operation cannot be undone, after which its entry is removed; and `Busy` and `StoreError`, after which undo can
    be tried again.
    """
    with journal.locked() as entries:
        for entry in entries[::-1]:
            if po_name not in (None, entry.po_name) or user_id not in (None, entry.user_id):
                continue
            try:
                record = _UNDO[entry.operation](store, entry)
            except (NameTaken, UsageError, SessionFull, Damaged) as error:
                entries.remove(entry)
                error.hint = f"{error.hint} {_NOT_RETRIED}".lstrip()
                raise
            entries.remove(entry)
            if record:
                return UndoResult(entry.operation, entry.name, record)
    raise NotFound("There is nothing to undo.")


def _rename_back(store: Store, entry: UndoEntry) -> SessionRecord | None:
    try:
        record = store.load(entry.session)
        return None if record.info.name == entry.name else store.update(entry.session, name=entry.name)
    except NotFound:
        return None


def _restore(store: Store, entry: UndoEntry) -> SessionRecord | None:
    """Restore the session and its descendants from the trash, or the rest of them after an interrupted undo."""
    restored: dict[str, SessionRecord] = {}
    for session_id in (entry.session, *entry.others):
        with suppress(NotFound):
            restored[session_id] = store.restore(session_id)
    return restored.get(entry.session) or next(iter(restored.values()), None)


def _append_again(store: Store, entry: UndoEntry) -> SessionRecord | None:
    try:
        copy, messages = store.read_trashed(entry.copy)
    except NotFound:
        _delete_unused_copy(store, entry)
        return None
    with suppress(NotFound), leased(store, entry.session, entry.user_id):
        found = store.read(entry.session, 0, len(messages) + 1)
        is_truncated = found != messages
        if is_truncated and found != messages[: entry.kept]:
            raise _changed_since(entry, copy)
        if is_truncated:
            store.append(entry.session, messages[entry.kept :], expected=entry.kept, enforce_limit=False)
        store.purge(entry.copy)
        return store.load(entry.session) if is_truncated else None
    return None


def _delete_unused_copy(store: Store, entry: UndoEntry) -> None:
    """Move the copy to the trash if a crash interrupted the operation before the truncation."""
    with suppress(NotFound):
        length = store.load(entry.copy).info.message_count
        if store.read(entry.session, entry.kept, length) == store.read(entry.copy, entry.kept, length):
            store.delete(entry.copy)


def _changed_since(entry: UndoEntry, copy: SessionRecord) -> UsageError:
    kept = pluralize(entry.kept, "message")
    return UsageError(
        f"{quoted(entry.name)} was changed after it was truncated to {kept}; nothing was undone.",
        hint=f"To have both, restore the copy from before, {quoted(copy.info.name)}.",
    )


_UNDO: dict[Operation, Callable[[Store, UndoEntry], SessionRecord | None]] = {
    "rename": _rename_back,
    "delete": _restore,
    "clear": _append_again,
    "truncate": _append_again,
}
