"""SessionManager: deleted sessions keep their descendants, and are restored or purged with them."""

from datetime import UTC, datetime

import pytest

from prompt_objects.errors import NotFound
from prompt_objects.sessions.info import ParentCall, SessionInfo, new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store
from tests.support.sessions import names

pytest_plugins = ["tests.support.store_fixtures"]


def test_delete_and_restore_the_last(manager: SessionManager) -> None:
    for name in ("One", "Two"):
        manager.create(name)
        assert manager.delete(name).name == name
    deleted = manager.trash()
    assert [entry.info.name for entry in deleted] == ["Two", "One"]
    assert (datetime.now(UTC) - deleted[0].deleted_at).total_seconds() < 60
    assert manager.restore().name == "Two"
    assert manager.restore("One").name == "One"
    with pytest.raises(NotFound, match="empty"):
        manager.restore()


@pytest.fixture
def family(manager: SessionManager) -> dict[str, Session]:
    """A session with a child and a grandchild."""
    root = manager.create("Root")
    child = manager.create("Child", parent=ParentCall(session=root.id, call="c"))
    grandchild = manager.create("Grandchild", parent=ParentCall(session=child.id, call="d"))
    manager.create("Stranger", parent=ParentCall(session="s", call="c"))
    return {session.name: session for session in (root, child, grandchild)}


def test_descendants_are_deleted_and_restored_with_their_session(
    store: Store, manager: SessionManager, family: dict[str, Session]
) -> None:
    other = SessionManager(store, "writer").create(
        "Of another", parent=ParentCall(session=family["Child"].id, call="e")
    )
    manager.delete("Root")
    assert names(SessionManager(store)) == ["Stranger"]
    assert {entry.info.name for entry in SessionManager(store).trash()} == {*family, "Of another"}
    manager.restore("Root")
    assert sorted(names(SessionManager(store))) == ["Child", "Grandchild", "Of another", "Root", "Stranger"]
    assert SessionManager(store).get("Of another").id == other.id


def test_restoring_without_a_key_restores_the_topmost_deleted_session(
    manager: SessionManager, family: dict[str, Session]
) -> None:
    manager.delete("Root")
    assert manager.restore().name == "Root"
    assert manager.trash() == []


def test_a_child_deleted_before_its_parent_stays_in_the_trash(
    manager: SessionManager, family: dict[str, Session]
) -> None:
    manager.delete("Grandchild")
    manager.delete("Root")
    manager.restore("Root")
    assert [entry.info.name for entry in manager.trash()] == ["Grandchild"]


def test_sessions_whose_parents_form_a_cycle_are_deleted_once(store: Store, manager: SessionManager) -> None:
    first, second = new_id(), new_id()
    moment = datetime.now(UTC)
    for name, own, parent in (("First", first, second), ("Second", second, first)):
        info = SessionInfo(
            id=own,
            name=name,
            po_name="reader",
            message_count=0,
            created_at=moment,
            updated_at=moment,
            parent=ParentCall(session=parent, call="c"),
        )
        store.create(info, {})
    manager.delete("First")
    assert len(manager.trash()) == 2
    assert len(manager.purge()) == 2


def test_purging_a_session_purges_its_descendants_and_nothing_else(
    manager: SessionManager, family: dict[str, Session]
) -> None:
    manager.create("Kept")
    for name in ("Kept", "Root"):
        manager.delete(name)
    assert [info.name for info in manager.purge("root")] == ["Root", "Child", "Grandchild"]
    assert [entry.info.name for entry in manager.trash()] == ["Kept"]
    with pytest.raises(NotFound):
        manager.restore("Root")


def test_purging_all_affects_only_the_own_trash(store: Store, manager: SessionManager) -> None:
    writer = SessionManager(store, "writer")
    for each in (manager, writer):
        each.create("Notes")
        each.delete("Notes")
    assert [info.po_name for info in manager.purge()] == ["reader"]
    assert manager.purge() == []
    assert len(writer.trash()) == 1
