"""What was renamed, cut or deleted can be undone, and nothing is lost where it cannot."""

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
from prompt_objects.sessions.stores.base import Store, StoreOptions, take_lease
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.sessions.undo import UndoEntry, UndoJournal
from prompt_objects.utils.process import ProcessInfo
from prompt_objects.utils.time import now
from tests.support.store_urls import Opener

pytest_plugins = ["tests.support.store_fixtures"]


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text} for text in texts]


@pytest.fixture
def notes(manager: SessionManager) -> Session:
    session = manager.create("Notes", metadata={"a": 1})
    session.append(*said("one", "two", "three"))
    return session


def names(manager: SessionManager) -> list[str]:
    return sorted(info.name for info in manager.list())


def trashed(manager: SessionManager) -> list[str]:
    return [entry.info.name for entry in manager.trash()]


def refuse_to_undo(manager: SessionManager) -> None:
    with pytest.raises(NotFound, match=r"^There is nothing to undo\.$"):
        manager.undo()


def test_there_is_nothing_to_undo_where_nothing_was_done(manager: SessionManager, notes: Session) -> None:
    refuse_to_undo(manager)


def test_renaming_is_undone(manager: SessionManager, notes: Session) -> None:
    manager.rename("Notes", "Other")
    manager.rename("Other", "Third")
    undone = manager.undo()
    assert (undone.operation, undone.name, undone.record.info.id) == ("rename", "Other", notes.id)
    assert names(manager) == ["Other"]
    assert manager.undo().name == "Notes"
    refuse_to_undo(manager)


def test_a_refused_undo_says_why_once_and_bars_no_older_one(manager: SessionManager, notes: Session) -> None:
    manager.create("Older")
    manager.delete("Older")
    manager.rename("Notes", "Other")
    manager.create("Notes")
    with pytest.raises(NameTaken, match="'Notes'") as caught:
        manager.undo()
    assert caught.value.hint.endswith("the next undo is of the operation before it.")
    assert names(manager) == ["Notes", "Other"]
    assert manager.undo().name == "Older"
    refuse_to_undo(manager)


def test_a_cut_that_messages_bar_from_being_undone_leaves_its_copy_and_the_older_deeds(
    manager: SessionManager, notes: Session
) -> None:
    manager.rename("Notes", "Renamed")
    manager.truncate("Renamed", 1).append(*said("new"))
    with pytest.raises(UsageError, match="was changed after"):
        manager.undo()
    assert manager.undo().name == "Notes"
    assert [message["content"] for message in manager.get("Notes").history] == ["one", "new"]
    assert [message["content"] for message in manager.restore().history] == ["one", "two", "three"]


def test_renaming_to_what_it_is_called_or_to_a_taken_name_is_no_deed(manager: SessionManager, notes: Session) -> None:
    manager.create("Taken")
    manager.rename("Notes", "Notes")
    with pytest.raises(NameTaken):
        manager.rename("Notes", "Taken")
    refuse_to_undo(manager)


@pytest.mark.parametrize("kept", [0, 1])
def test_what_was_cut_off_comes_back_and_the_copy_goes(manager: SessionManager, notes: Session, kept: int) -> None:
    before = list(notes.history)
    cut = manager.truncate("Notes", kept) if kept else manager.clear("Notes")
    assert list(cut.history) == before[:kept]
    assert trashed(manager) == [f"Notes (before it was cut to {kept} message{'' if kept == 1 else 's'})"]
    undone = manager.undo()
    assert (undone.operation, undone.record.info.message_count) == ("truncate" if kept else "clear", 3)
    assert list(manager.get("Notes").history) == before
    assert trashed(manager) == []


def test_what_was_cut_off_comes_back_however_large_sessions_may_be(open_again: Opener, tmp_path: Path) -> None:
    store = open_again(StoreOptions(max_session_size=500))
    manager = SessionManager(store, "reader", journal=UndoJournal(tmp_path / "undo.json"))
    session = manager.create("Notes")
    session.append(*said("x" * 200))
    session.append({"role": "assistant", "content": "y" * 800})
    with pytest.raises(SessionFull):
        session.append(*said("more"))
    manager.clear("Notes")
    assert manager.undo().record.info.message_count == 2


def test_the_copy_of_what_was_cut_is_whole_and_says_of_what_it_is(manager: SessionManager, notes: Session) -> None:
    before = list(notes.history)
    manager.clear("Notes")
    copy = manager.restore()
    assert list(copy.history) == before
    assert copy.metadata == {"a": 1, "copy_of": notes.id}
    assert manager.get(notes.id).metadata == {"a": 1}


def test_messages_that_came_after_the_cut_are_not_mixed_with_the_old_ones(
    manager: SessionManager, notes: Session
) -> None:
    manager.truncate("Notes", 1).append(*said("new"))
    with pytest.raises(UsageError) as caught:
        manager.undo()
    assert "'Notes (before it was cut to 1 message)'" in caught.value.hint
    assert [message["content"] for message in manager.get("Notes").history] == ["one", "new"]
    assert len(trashed(manager)) == 1


def test_cutting_to_all_there_is_does_nothing_and_to_more_is_refused(manager: SessionManager, notes: Session) -> None:
    assert manager.truncate("Notes", 3).message_count == 3
    for count in (4, -1):
        with pytest.raises(UsageError, match="3 messages"):
            manager.truncate("Notes", count)
    assert trashed(manager) == []
    refuse_to_undo(manager)


def test_a_session_that_is_in_use_is_not_cut(manager: SessionManager, notes: Session) -> None:
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


def test_deleting_is_undone_with_all_that_went_along(manager: SessionManager, notes: Session) -> None:
    child = manager.create("Child", parent=ParentCall(session=notes.id, call="c"))
    manager.create("Grandchild", parent=ParentCall(session=child.id, call="c"))
    manager.create("Own")
    manager.delete("Notes")
    assert names(manager) == ["Own"]
    assert manager.undo().record.info.id == notes.id
    assert names(manager) == ["Child", "Grandchild", "Notes", "Own"]


def test_what_was_restored_or_purged_by_hand_is_no_longer_to_be_undone(
    manager: SessionManager, notes: Session
) -> None:
    manager.rename("Notes", "Renamed")
    manager.create("Second")
    manager.delete("Second")
    manager.purge("Second")
    manager.delete("Renamed")
    manager.restore("Renamed")
    assert manager.undo().operation == "rename"
    assert names(manager) == ["Notes"]


def test_the_last_ten_deeds_can_be_undone(manager: SessionManager, notes: Session) -> None:
    for number in range(12):
        manager.rename(notes.id, f"Name {number}")
    undone = [manager.undo().name for _ in range(10)]
    assert undone == [f"Name {number}" for number in range(10, 0, -1)]
    refuse_to_undo(manager)


def test_only_ones_own_deeds_are_undone(store: Store) -> None:
    everywhere = SessionManager(store)
    hers = SessionManager(store, "reader", user_id="ann", journal=everywhere.journal)
    his = SessionManager(store, "reader", user_id="bob", journal=everywhere.journal)
    writer = everywhere.for_object("writer")
    for manager in (hers, his, writer):
        manager.rename(manager.create("Notes").id, "Other") if manager is not his else None
    refuse_to_undo(his)
    assert hers.undo().record.info.user_id == "ann"
    assert everywhere.undo().record.info.po_name == "writer"
    refuse_to_undo(writer)


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "undo.json"


@pytest.fixture
def window(store: Store, journal_path: Path) -> Callable[[], SessionManager]:
    """Opens another window on the same sessions."""
    return lambda: SessionManager(store, "reader", journal=UndoJournal(journal_path))


def test_another_window_can_undo_and_the_file_is_private(
    window: Callable[[], SessionManager], journal_path: Path
) -> None:
    session = window().create("Notes")
    window().rename("Notes", "Other")
    assert journal_path.stat().st_mode & 0o777 == 0o600
    assert window().undo().record.info.id == session.id
    refuse_to_undo(window())


def test_windows_do_not_lose_each_others_deeds(window: Callable[[], SessionManager]) -> None:
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
        refuse_to_undo(window())
        assert journal_path.with_name("undo.json.corrupt").read_bytes() == garbage
    manager.rename("Notes", "Other")
    assert window().undo().name == "Notes"


class TestKilled:
    """A deed is noted before it is done, and a kill may come anywhere in between."""

    @pytest.fixture
    def deed(self, manager: SessionManager, notes: Session) -> Callable[..., UndoEntry]:
        """Notes a deed that is not done; below it in the journal is one that was."""
        manager.rename("Notes", "Renamed")

        def note(operation: Any, **more: Any) -> UndoEntry:
            deed = UndoEntry(
                operation=operation,
                session=notes.id,
                name="Renamed",
                po_name="reader",
                user_id=None,
                at=now(),
                **more,
            )
            with manager.journal.locked() as deeds:
                deeds.append(deed)
            return deed

        return note

    def test_before_a_deed_was_done(self, manager: SessionManager, deed: Callable[..., UndoEntry]) -> None:
        deed("rename")
        deed("delete")
        deed("truncate", kept=1, copy="01990000-0000-7000-8000-000000000000")
        assert manager.undo().name == "Notes"
        refuse_to_undo(manager)

    def test_between_the_copy_and_the_cut(
        self, manager: SessionManager, deed: Callable[..., UndoEntry], notes: Session
    ) -> None:
        copy = manager.create("Copy")
        copy.append(*notes.history)
        manager.store.delete(copy.id)
        deed("truncate", kept=1, copy=copy.id)
        assert manager.undo().name == "Notes"
        assert notes.refresh() == []
        assert trashed(manager) == []

    def test_between_the_session_and_what_goes_along(
        self, manager: SessionManager, deed: Callable[..., UndoEntry], notes: Session
    ) -> None:
        child = manager.create("Child", parent=ParentCall(session=notes.id, call="c"))
        deed("delete", others=(child.id,))
        manager.store.delete(notes.id)
        assert manager.undo().record.info.id == notes.id
        assert names(manager) == ["Child", "Renamed"]

    def test_between_restoring_the_session_and_what_went_along(self, manager: SessionManager, notes: Session) -> None:
        manager.create("Child", parent=ParentCall(session=notes.id, call="c"))
        manager.delete("Notes")
        manager.store.restore(notes.id)
        assert manager.undo().record.info.name == "Child"
        assert names(manager) == ["Child", "Notes"]

    def test_at_any_moment_everything_can_be_undone(self, tmp_path: Path) -> None:
        store = open_store(f"files:{tmp_path / 'data'}")
        manager = SessionManager(store, "reader", journal=UndoJournal(tmp_path / "data" / "undo.json"))
        session = manager.create("Notes")
        session.append(*said("one", "two", "three", "four"))
        manager.create("Child", parent=ParentCall(session=session.id, call="c"))
        history = list(session.history)
        pauses = random.Random(7)
        for _ in range(12):
            kill_at_work(tmp_path / "data", pauses.uniform(0.0, 0.1))
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


def kill_at_work(data: Path, after: float) -> None:
    """Have another process do and undo for so many seconds, and kill it."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(data)], stdout=subprocess.PIPE)
    assert worker.stdout
    assert worker.stdout.readline() == b"ready\n"
    time.sleep(after)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    assert worker.returncode == -signal.SIGKILL


def test_undoing_a_cut_never_mixes_two_histories(manager: SessionManager) -> None:
    session = manager.create("Notes")
    session.append(*said("old 0", "old 1", "old 2", "old 3", "old 4"))
    manager.truncate("Notes", 3)
    manager.clear("Notes")
    manager.purge()
    manager.get("Notes").append(*said("new 0", "new 1", "new 2"))
    with pytest.raises((UsageError, NotFound)):
        manager.undo()
    assert [message["content"] for message in manager.get("Notes").history] == ["new 0", "new 1", "new 2"]
