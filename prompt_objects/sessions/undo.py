"""Undoing what was done to sessions: how each deed in the journal is taken back."""

from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from prompt_objects.errors import Damaged, NameTaken, NotFound, SessionFull, UsageError
from prompt_objects.holder import Holder
from prompt_objects.sessions.journal import Deed, Operation, UndoJournal
from prompt_objects.sessions.record import Record
from prompt_objects.sessions.stores import Store
from prompt_objects.wording import count

__all__ = ["Undone", "undo_last"]

_PASSED_OVER = "It is not tried again: the next undo is of what was done before."


class Undone(Struct, frozen=True):
    """What was undone, and the session as it is again; it was called `name` then, and may have got a number."""

    operation: Operation
    name: str
    record: Record

    def __str__(self) -> str:
        info = self.record.info
        match self.operation:
            case "rename":
                return f"Session {info.name} has its old name again."
            case "delete":
                return f"Session {info.name} is back, {count(info.message_count, 'message')}."
            case _:
                return f"Session {info.name} is as it was before, {count(info.message_count, 'message')}."


def undo_last(store: Store, journal: UndoJournal, *, po_name: str | None, user_id: str | None) -> Undone:
    """Undo the last deed, of one prompt object or user where they are given, and forget it.

    What was noted and never done, or cannot be undone any more since its session is gone, is forgotten, and the one
    before it is undone. Raises `NotFound` where there is none; `NameTaken`, `UsageError`, `SessionFull` and `Damaged`
    where something stands in the way, which is said once: the deed is forgotten then; and `Busy` and `StoreError`,
    after which it can still be undone.
    """
    with journal.held() as deeds:
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
                return Undone(deed.operation, deed.name, record)
    raise NotFound("There is nothing to undo.")


def _rename_back(store: Store, deed: Deed) -> Record | None:
    try:
        record = store.load(deed.session)
        return None if record.info.name == deed.name else store.update(deed.session, name=deed.name)
    except NotFound:
        return None


def _restore(store: Store, deed: Deed) -> Record | None:
    """Restore what is in the trash of it: all, or, where an undoing was killed, the rest."""
    restored: dict[str, Record] = {}
    for session_id in (deed.session, *deed.others):
        with suppress(NotFound):
            restored[session_id] = store.restore(session_id)
    return restored.get(deed.session) or next(iter(restored.values()), None)


def _put_back(store: Store, deed: Deed) -> Record | None:
    """Put the messages that were cut off back behind those that were kept; the copy is not needed any more then."""
    try:
        copy, messages = store.read_trashed(deed.copy)
    except NotFound:
        _put_away(store, deed)
        return None
    try:
        lease = store.lease(deed.session, Holder.here(deed.user_id))
    except NotFound:
        return None
    try:
        there = store.read(deed.session, 0, len(messages) + 1)
        is_new = there != messages
        if is_new and there != messages[: deed.kept]:
            raise _in_between(deed, copy)
        if is_new:
            store.append(deed.session, messages[deed.kept :], expected=deed.kept, measured=False)
        store.purge(deed.copy)
        return store.load(deed.session) if is_new else None
    except NotFound:
        return None
    finally:
        lease.release()


def _put_away(store: Store, deed: Deed) -> None:
    """Move the copy to the trash where a kill came before that, and before anything was cut off."""
    with suppress(NotFound):
        length = store.load(deed.copy).info.message_count
        if store.read(deed.session, deed.kept, length) == store.read(deed.copy, deed.kept, length):
            store.delete(deed.copy)


def _in_between(deed: Deed, copy: Record) -> UsageError:
    return UsageError(
        f"{deed.name!r} was changed after it was cut to {count(deed.kept, 'message')}; nothing was undone.",
        hint=f"Restore the copy of how it was, and have both: it is called {copy.info.name!r}.",
    )


_HOW: dict[Operation, Callable[[Store, Deed], Record | None]] = {
    "rename": _rename_back,
    "delete": _restore,
    "clear": _put_back,
    "truncate": _put_back,
}
