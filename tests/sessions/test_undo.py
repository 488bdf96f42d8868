"""Undo of rename, clear, truncate and delete, also after a crash, without losing anything."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.errors import Busy, NameTaken, NotFound, SessionFull, UsageError
from prompt_objects.sessions.info import ParentCall
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store, StoreOptions
from prompt_objects.sessions.stores.lease import ProcessInfo, take_lease
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.sessions.undo import UndoEntry, UndoJournal
from prompt_objects.utils.time import now
from tests.support.sessions import user_messages
from tests.support.store_urls import Opener

pytest_plugins = ["tests.support.store_fixtures"]


@pytest.fixture
def notes(manager: SessionManager) -> Session:
    session = manager.create("Notes", metadata={"a": 1})
    session.append(*user_messages("one", "two", "three"))
    return session


def names(manager: SessionManager) -> list[str]:
    return sorted(info.name for info in manager.list())


def trashed(manager: SessionManager) -> list[str]:
    return [entry.info.name for entry in manager.trash()]


def assert_nothing_to_undo(manager: SessionManager) -> None:
    with pytest.raises(NotFound, match=r"^There is nothing to undo\.$"):
        manager.undo()


def test_undo_without_an_entry_raises_not_found(manager: SessionManager, notes: Session) -> None:
    assert_nothing_to_undo(manager)


def test_a_rename_is_undone(manager: SessionManager, notes: Session) -> None:
    manager.rename("Notes", "Other")
    manager.rename("Other", "Third")
    undone = manager.undo()
    assert (undone.operation, undone.name, undone.record.info.id) == ("rename", "Other", notes.id)
    assert names(manager) == ["Other"]
    assert manager.undo().name == "Notes"
    assert_nothing_to_undo(manager)


def test_an_undo_that_fails_is_reported_once_and_does_not_block_older_ones(
    manager: SessionManager, notes: Session
) -> None:
    manager.create("Older")
    manager.delete("Older")
    manager.rename("Notes", "Other")
    manager.create("Notes")
    with pytest.raises(NameTaken, match="'Notes'") as caught:
        manager.undo()
    assert caught.value.hint.endswith("the next undo applies to the operation before it.")
    assert names(manager) == ["Notes", "Other"]
    assert manager.undo().name == "Older"
    assert_nothing_to_undo(manager)


def test_a_truncation_followed_by_new_messages_cannot_be_undone_but_older_operations_can(
    manager: SessionManager, notes: Session
) -> None:
    manager.rename("Notes", "Renamed")
    manager.truncate("Renamed", 1).append(*user_messages("new"))
    with pytest.raises(UsageError, match="was changed after"):
        manager.undo()
    assert manager.undo().name == "Notes"
    assert [message["content"] for message in manager.get("Notes").history] == ["one", "new"]
    assert [message["content"] for message in manager.restore().history] == ["one", "two", "three"]


def test_a_rename_without_effect_is_not_recorded(manager: SessionManager, notes: Session) -> None:
    manager.create("Taken")
    manager.rename("Notes", "Notes")
    with pytest.raises(NameTaken):
        manager.rename("Notes", "Taken")
    assert_nothing_to_undo(manager)


@pytest.mark.parametrize("kept", [0, 1])
def test_undoing_a_truncation_restores_the_messages_and_removes_the_copy(
    manager: SessionManager, notes: Session, kept: int
) -> None:
    before = list(notes.history)
    cut = manager.truncate("Notes", kept) if kept else manager.clear("Notes")
    assert list(cut.history) == before[:kept]
    assert trashed(manager) == [f"Notes (before it was truncated to {kept} message{'' if kept == 1 else 's'})"]
    undone = manager.undo()
    assert (undone.operation, undone.record.info.message_count) == ("truncate" if kept else "clear", 3)
    assert list(manager.get("Notes").history) == before
    assert trashed(manager) == []


def test_undoing_a_truncation_ignores_the_size_limit(open_again: Opener, tmp_path: Path) -> None:
    store = open_again(StoreOptions(max_session_size=500))
    manager = SessionManager(store, "reader", journal=UndoJournal(tmp_path / "undo.json"))
    session = manager.create("Notes")
    session.append(*user_messages("x" * 200))
    session.append({"role": "assistant", "content": "y" * 800})
    with pytest.raises(SessionFull):
        session.append(*user_messages("more"))
    manager.clear("Notes")
    assert manager.undo().record.info.message_count == 2


def test_the_copy_made_before_a_truncation_is_complete_and_names_its_source(
    manager: SessionManager, notes: Session
) -> None:
    before = list(notes.history)
    manager.clear("Notes")
    copy = manager.restore()
    assert list(copy.history) == before
    assert copy.metadata == {"a": 1, "copy_of": notes.id}
    assert manager.get(notes.id).metadata == {"a": 1}


def test_messages_after_a_truncation_are_not_mixed_with_the_old_ones(manager: SessionManager, notes: Session) -> None:
    manager.truncate("Notes", 1).append(*user_messages("new"))
    with pytest.raises(UsageError) as caught:
        manager.undo()
    assert "'Notes (before it was truncated to 1 message)'" in caught.value.hint
    assert [message["content"] for message in manager.get("Notes").history] == ["one", "new"]
    assert len(trashed(manager)) == 1


def test_truncating_to_all_messages_changes_nothing_and_to_more_is_an_error(
    manager: SessionManager, notes: Session
) -> None:
    assert manager.truncate("Notes", 3).message_count == 3
    for count in (4, -1):
        with pytest.raises(UsageError, match="3 messages"):
            manager.truncate("Notes", count)
    assert trashed(manager) == []
    assert_nothing_to_undo(manager)


def test_a_session_in_use_is_neither_truncated_nor_undone(manager: SessionManager, notes: Session) -> None:
    lease = take_lease(manager.store, notes.id, ProcessInfo.current("ann"))
    with pytest.raises(Busy):
        manager.clear("Notes")
    lease.release()
    manager.clear("Notes")
    lease = take_lease(manager.store, notes.id, ProcessInfo.current("ann"))
    with pytest.raises(Busy):
        manager.undo()
    lease.release()
    assert manager.undo().record.info.message_count == 3


def test_undoing_a_deletion_restores_the_descendants_too(manager: SessionManager, notes: Session) -> None:
    child = manager.create("Child", parent=ParentCall(session=notes.id, call="c"))
    manager.create("Grandchild", parent=ParentCall(session=child.id, call="c"))
    manager.create("Own")
    manager.delete("Notes")
    assert names(manager) == ["Own"]
    assert manager.undo().record.info.id == notes.id
    assert names(manager) == ["Child", "Grandchild", "Notes", "Own"]


def test_deletions_that_were_restored_or_purged_are_skipped(manager: SessionManager, notes: Session) -> None:
    manager.rename("Notes", "Renamed")
    manager.create("Second")
    manager.delete("Second")
    manager.purge("Second")
    manager.delete("Renamed")
    manager.restore("Renamed")
    assert manager.undo().operation == "rename"
    assert names(manager) == ["Notes"]


def test_the_last_ten_operations_can_be_undone(manager: SessionManager, notes: Session) -> None:
    for number in range(12):
        manager.rename(notes.id, f"Name {number}")
    undone = [manager.undo().name for _ in range(10)]
    assert undone == [f"Name {number}" for number in range(10, 0, -1)]
    assert_nothing_to_undo(manager)


def test_a_manager_undoes_only_its_own_operations(store: Store) -> None:
    everywhere = SessionManager(store)
    hers = SessionManager(store, "reader", user_id="ann", journal=everywhere.journal)
    his = SessionManager(store, "reader", user_id="bob", journal=everywhere.journal)
    writer = everywhere.for_object("writer")
    for manager in (hers, his, writer):
        manager.rename(manager.create("Notes").id, "Other") if manager is not his else None
    assert_nothing_to_undo(his)
    assert hers.undo().record.info.user_id == "ann"
    assert everywhere.undo().record.info.po_name == "writer"
    assert_nothing_to_undo(writer)


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "undo.json"


@pytest.fixture
def window(store: Store, journal_path: Path) -> Callable[[], SessionManager]:
    """Return a function that opens another window on the same sessions."""
    return lambda: SessionManager(store, "reader", journal=UndoJournal(journal_path))


def test_another_window_can_undo_and_the_file_is_private(
    window: Callable[[], SessionManager], journal_path: Path
) -> None:
    session = window().create("Notes")
    window().rename("Notes", "Other")
    assert journal_path.stat().st_mode & 0o777 == 0o600
    assert window().undo().record.info.id == session.id
    assert_nothing_to_undo(window())


def test_windows_do_not_lose_each_others_entries(window: Callable[[], SessionManager]) -> None:
    ids = [window().create(f"Notes {number}").id for number in range(8)]
    threads = [threading.Thread(target=window().rename, args=(id_, f"Other {id_[-8:]}")) for id_ in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {window().undo().record.info.id for _ in ids} == set(ids)


def test_a_damaged_journal_counts_as_empty_and_is_set_aside(
    window: Callable[[], SessionManager], journal_path: Path
) -> None:
    manager = window()
    manager.create("Notes")
    for garbage in (b"", b"[", b'{"deeds": [{"operation": "destroy"}]}', b"[" * 100_000, b"\xff"):
        journal_path.parent.mkdir(exist_ok=True)
        journal_path.write_bytes(garbage)
        assert_nothing_to_undo(window())
        assert journal_path.with_name("undo.json.corrupt").read_bytes() == garbage
    manager.rename("Notes", "Other")
    assert window().undo().name == "Notes"


class TestKilled:
    """An entry is written before its operation, and a kill may come anywhere in between."""

    @pytest.fixture
    def entry(self, manager: SessionManager, notes: Session) -> Callable[..., UndoEntry]:
        """Records an operation that is not done, after one that was done."""
        manager.rename("Notes", "Renamed")

        def add(operation: Any, **more: Any) -> UndoEntry:
            entry = UndoEntry(
                operation=operation,
                session=notes.id,
                name="Renamed",
                po_name="reader",
                user_id=None,
                at=now(),
                **more,
            )
            with manager.journal.locked() as entries:
                entries.append(entry)
            return entry

        return add

    def test_before_an_operation(self, manager: SessionManager, entry: Callable[..., UndoEntry]) -> None:
        entry("rename")
        entry("delete")
        entry("truncate", kept=1, copy="01990000-0000-7000-8000-000000000000")
        assert manager.undo().name == "Notes"
        assert_nothing_to_undo(manager)

    def test_between_the_copy_and_the_truncation(
        self, manager: SessionManager, entry: Callable[..., UndoEntry], notes: Session
    ) -> None:
        copy = manager.create("Copy")
        copy.append(*notes.history)
        manager.store.delete(copy.id)
        entry("truncate", kept=1, copy=copy.id)
        assert manager.undo().name == "Notes"
        assert notes.refresh() == []
        assert trashed(manager) == []

    def test_between_deleting_a_session_and_its_descendants(
        self, manager: SessionManager, entry: Callable[..., UndoEntry], notes: Session
    ) -> None:
        child = manager.create("Child", parent=ParentCall(session=notes.id, call="c"))
        entry("delete", others=(child.id,))
        manager.store.delete(notes.id)
        assert manager.undo().record.info.id == notes.id
        assert names(manager) == ["Child", "Renamed"]

    def test_between_restoring_a_session_and_its_descendants(self, manager: SessionManager, notes: Session) -> None:
        manager.create("Child", parent=ParentCall(session=notes.id, call="c"))
        manager.delete("Notes")
        manager.store.restore(notes.id)
        assert manager.undo().record.info.name == "Child"
        assert names(manager) == ["Child", "Notes"]

    def test_after_a_kill_at_any_moment_everything_can_be_undone(self, tmp_path: Path) -> None:
        store = open_store(f"files:{tmp_path / 'data'}")
        manager = SessionManager(store, "reader", journal=UndoJournal(tmp_path / "data" / "undo.json"))
        session = manager.create("Notes")
        session.append(*user_messages("one", "two", "three", "four"))
        manager.create("Child", parent=ParentCall(session=session.id, call="c"))
        history = list(session.history)
        pauses = random.Random(7)
        for _ in range(12):
            kill_worker(tmp_path / "data", pauses.uniform(0.0, 0.1))
            with suppress(NotFound):
                while True:
                    manager.undo()
            assert list(manager.get(session.id).history) == history
            assert {"Notes", "Child"} <= {info.name for info in manager.list()}
            assert not [info for info in manager.list() if info.message_count not in (0, 4)]
        store.close()


WORKER = """
import sys
from pathlib import Path
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.sessions.undo import UndoJournal

data = Path(sys.argv[1])
manager = SessionManager(open_store(f"files:{data}"), "reader", journal=UndoJournal(data / "undo.json"))
session = next(info for info in manager.list() if info.name == "Notes")
print("ready", flush=True)
while True:
    manager.truncate(session.id, 2)
    manager.rename(session.id, "Renamed")
    manager.undo()
    manager.undo()
    manager.delete(session.id)
    manager.undo()
    manager.clear(session.id)
    manager.undo()
"""


def kill_worker(data: Path, after: float) -> None:
    """Kill a process that runs and undoes operations, after this many seconds."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(data)], stdout=subprocess.PIPE)
    assert worker.stdout
    assert worker.stdout.readline() == b"ready\n"
    time.sleep(after)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    assert worker.returncode == -signal.SIGKILL


def test_undoing_a_truncation_never_mixes_two_histories(manager: SessionManager) -> None:
    session = manager.create("Notes")
    session.append(*user_messages("old 0", "old 1", "old 2", "old 3", "old 4"))
    manager.truncate("Notes", 3)
    manager.clear("Notes")
    manager.purge()
    manager.get("Notes").append(*user_messages("new 0", "new 1", "new 2"))
    with pytest.raises((UsageError, NotFound)):
        manager.undo()
    assert [message["content"] for message in manager.get("Notes").history] == ["new 0", "new 1", "new 2"]


def test_a_journal_that_cannot_be_read_is_kept_and_the_user_is_told(tmp_path: Path, store: Store) -> None:
    notices: list[str] = []
    (tmp_path / "undo.json").write_text("garbage")
    manager = SessionManager(store, "reader", journal=UndoJournal(tmp_path / "undo.json", notices.append))
    with pytest.raises(NotFound):
        manager.undo()
    assert notices == [
        f"The list of operations to undo could not be read. It was renamed to {tmp_path / 'undo.json.corrupt'}."
    ]
