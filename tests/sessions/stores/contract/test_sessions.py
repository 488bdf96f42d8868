"""The contract of every store for its sessions; a new store is added by a line in store_urls.URLS."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from msgspec.structs import replace

from prompt_objects.errors import NameTaken, NotFound, StoreError, UsageError
from prompt_objects.sessions.info import ParentCall, SessionRecord, new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.names import MAX_NAME_LENGTH
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Checking, SessionFilter
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.utils.time import now
from tests.support.sessions import new_info, user_messages
from tests.support.store_urls import FullStore, Opener

pytest_plugins = ["tests.support.store_fixtures"]


UNKNOWN = "0190163d-8694-739b-aea5-966c26f8ad91"


class TestNames:
    def test_a_name_is_unique_within_its_object_only(self, store: FullStore) -> None:
        SessionManager(store, "reader").create("Notes")
        SessionManager(store, "writer").create("Notes")
        with pytest.raises(NameTaken) as caught:
            SessionManager(store, "reader").create("Notes")
        assert caught.value.suggestion == "Notes 2"

    @pytest.mark.parametrize(
        ("name", "next_ones"),
        [
            ("Notes", ["Notes 2", "Notes 3"]),
            ("Notes 7", ["Notes 2", "Notes 3"]),
            ('a "quoted" \\d+ (x) [é“]', ['a "quoted" \\d+ (x) [é“] 2', 'a "quoted" \\d+ (x) [é“] 3']),
            ("é" * MAX_NAME_LENGTH, ["é" * (MAX_NAME_LENGTH - 2) + " 2", "é" * (MAX_NAME_LENGTH - 2) + " 3"]),
        ],
    )
    def test_a_taken_name_gets_the_lowest_number_that_is_free(
        self, store: FullStore, name: str, next_ones: list[str]
    ) -> None:
        reader, writer = SessionManager(store, "reader"), SessionManager(store, "writer")
        writer.create(next_ones[0])
        reader.create("Notes and more")
        assert [reader.create(name, unique_name=True).name for _ in range(3)] == [name, *next_ones]

    def test_many_at_once_cannot_make_the_same_name(self, open_again: Opener) -> None:
        managers = [SessionManager(open_again(), "reader") for _ in range(8)]

        def make(manager: SessionManager) -> bool:
            try:
                manager.create("Same")
            except NameTaken:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(make, managers)) == 1
        assert [info.name for info in managers[0].list()] == ["Same"]

    def test_many_at_once_get_the_lowest_numbers_each_its_own(self, open_again: Opener) -> None:
        managers = [SessionManager(open_again(), "reader") for _ in range(4)]
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda n: managers[n % 4].create("Same", unique_name=True).name, range(24)))
        assert set(made) == {"Same", *(f"Same {number}" for number in range(2, 25))}
        assert {info.name for info in managers[0].list()} == set(made)

    def test_a_taken_id_is_refused_even_if_the_name_may_get_a_number(self, store: FullStore) -> None:
        taken = SessionManager(store, "reader").create("Notes")
        with pytest.raises(StoreError, match="already"):
            store.create(replace(taken.info, name="Other"), {}, unique_name=True)
        assert store.load(taken.id).info.name == "Notes"

    def test_many_at_once_make_one_default(self, open_again: Opener) -> None:
        managers = [SessionManager(open_again(), "reader") for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            ids = {session.id for session in pool.map(SessionManager.current, managers)}
        assert len(ids) == 1

    def test_a_rename_is_seen_by_other_handles_when_they_write(
        self, manager: SessionManager, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*user_messages(1))
        other = reopened()
        manager.rename("Notes", 'Ideas: “größer” \\ "quoted"')
        other.append(*user_messages(2))
        assert other.name == 'Ideas: “größer” \\ "quoted"'
        assert list(reopened().history) == user_messages(1, 2)
        with pytest.raises(NameTaken):
            manager.create(other.name)

    def test_metadata_is_kept_through_renames_and_appends(
        self, manager: SessionManager, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.set_metadata({"history": [{"a": 1}], "note": "x\u2028"})
        session.append(*user_messages(1))
        manager.rename("Notes", "Other")
        assert dict(reopened().metadata) == {"history": [{"a": 1}], "note": "x\u2028"}
        assert list(reopened().history) == user_messages(1)


class TestTrash:
    def test_a_deleted_session_is_gone_until_it_is_restored(
        self, store: FullStore, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*user_messages(1, 2))
        store.delete(session.id)
        assert store.list() == []
        with pytest.raises(NotFound):
            session.append(*user_messages(3))
        (entry,) = store.trash()
        assert (entry.info.id, entry.info.name, entry.info.message_count) == (session.id, "Notes", 2)
        assert store.restore(session.id).info.message_count == 2
        assert store.trash() == []
        session.append(*user_messages(3))
        assert list(reopened().history) == user_messages(1, 2, 3)

    def test_a_restored_session_gets_another_name_if_its_own_is_taken(
        self, manager: SessionManager, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*user_messages(1))
        manager.delete("Notes")
        manager.create("Notes")
        assert manager.restore().name == "Notes 2"
        assert list(reopened().history) == user_messages(1)
        assert sorted(info.name for info in manager.list()) == ["Notes", "Notes 2"]

    def test_a_session_in_the_trash_can_be_read_and_stays_there(self, store: FullStore, session: Session) -> None:
        session.set_metadata({"note": "x"})
        session.append(*user_messages(1, 2))
        with pytest.raises(NotFound):
            store.read_trashed(session.id)
        store.delete(session.id)
        record, messages = store.read_trashed(session.id)
        assert (record.info.name, record.metadata, messages) == ("Notes", {"note": "x"}, user_messages(1, 2))
        assert [entry.info for entry in store.trash()] == [record.info]

    def test_the_last_deleted_comes_first(self, store: FullStore, manager: SessionManager) -> None:
        ids = [manager.create(f"Notes {number}").id for number in range(3)]
        for key in (ids[1], ids[2], ids[0]):
            store.delete(key)
            time.sleep(0.01)  # the resolution of times on some file systems
        assert [entry.info.id for entry in store.trash()] == [ids[0], ids[2], ids[1]]
        assert all(entry.deleted_at.tzinfo for entry in store.trash())

    def test_purging_is_for_good_and_only_from_the_trash(self, store: FullStore, session: Session) -> None:
        session.append(*user_messages(1))
        with pytest.raises(NotFound):
            store.purge(session.id)
        store.delete(session.id)
        store.purge(session.id)
        assert store.trash() == []
        for use in (store.purge, store.restore, store.read_trashed, store.load):
            with pytest.raises(NotFound):
                use(session.id)

    def test_a_name_is_free_once_its_session_is_in_the_trash(self, store: FullStore, manager: SessionManager) -> None:
        for _ in range(3):
            store.delete(manager.create("Notes").id)
        assert len(store.trash()) == 3
        assert [store.restore(entry.info.id).info.name for entry in store.trash()] == ["Notes", "Notes 2", "Notes 3"]

    def test_a_session_in_the_trash_cannot_be_changed(self, store: FullStore, session: Session) -> None:
        store.delete(session.id)
        for use in (
            lambda: store.append(session.id, user_messages(1), expected=0),
            lambda: store.update(session.id, name="Other"),
            lambda: store.truncate(session.id, 0),
            lambda: store.archive(session.id),
            lambda: store.delete(session.id),
            lambda: store.read(session.id, 0, 1),
        ):
            with pytest.raises(NotFound):
                use()


class TestMaking:
    def test_counts_sums_and_times_are_those_of_the_messages(self, store: FullStore) -> None:
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "cost": 0.25}
        messages = [{"role": "assistant", "content": str(number), "usage": usage} for number in range(4)]
        wrong = new_info(message_count=99, prompt_tokens=99, archived=True, tags=("a", "b"), user_id="ann")
        parent = ParentCall(session=new_id(), call="call 1")
        info = store.create(replace(wrong, parent=parent), {"note": [1]}, iter(messages)).info
        assert (info.message_count, info.prompt_tokens, info.completion_tokens, info.cost) == (4, 12, 8, 1.0)
        assert (info.tags, info.user_id, info.parent, info.archived) == (("a", "b"), "ann", parent, False)
        assert (info.created_at, info.updated_at) == (wrong.created_at, wrong.updated_at)
        assert store.load(info.id) == SessionRecord(info, {"note": [1]})
        assert store.list() == [info]
        assert store.read(info.id, 0, 9) == messages

    def test_an_id_is_taken_once(self, store: FullStore) -> None:
        info = store.create(new_info(), {}, user_messages(1)).info
        with pytest.raises(StoreError, match=info.id):
            store.create(replace(info, name="Other"), {})
        assert store.read(info.id, 0, 9) == user_messages(1)
        store.delete(info.id)
        with pytest.raises(StoreError, match=info.id):
            store.create(replace(info, name="Other"), {})
        assert store.list() == []

    def test_data_that_json_cannot_encode_creates_no_session(self, store: FullStore) -> None:
        for metadata, messages in (({"x": {1}}, []), ({}, user_messages(b"bytes"))):
            with pytest.raises(UsageError):
                store.create(new_info(), metadata, messages)
        assert store.list() == []

    def test_many_messages_are_made_and_added_at_once(self, store: FullStore) -> None:
        info = store.create(new_info(), {}, user_messages(*range(3000))).info
        assert store.append(info.id, user_messages(*range(3000, 5000)), expected=3000).message_count == 5000
        assert store.read(info.id, 0, sys.maxsize) == user_messages(*range(5000))
        assert store.read(info.id, 4990, 5010) == user_messages(*range(4990, 5000))


class TestListing:
    def test_the_last_changed_comes_first_and_a_few_are_the_first_of_all(self, store: FullStore) -> None:
        moment = now()
        infos = [
            store.create(new_info(f"Notes {number}", updated_at=moment - timedelta(days=number * 7 % 5)), {}).info
            for number in range(12)
        ]
        ordered = sorted(infos, key=lambda info: (info.updated_at, info.id), reverse=True)
        assert store.list() == ordered
        for limit in (0, 1, 5, 12, 99):
            assert store.list(limit=limit) == ordered[:limit]
        changed = store.append(ordered[-1].id, user_messages(1), expected=0)
        assert store.list(limit=2) == [changed, ordered[0]]

    def test_a_filter_selects_by_object_user_and_parent(self, store: FullStore) -> None:
        root = store.create(new_info(user_id="ann"), {}).info
        other = store.create(new_info(po_name='a "quoted" ü', user_id="bob"), {}).info
        children = [
            store.create(new_info(po_name=po_name, parent=ParentCall(parent, "call_1")), {}).info
            for po_name, parent in (("reader", root.id), ("helper", root.id), ("helper", other.id))
        ]
        store.delete(store.create(new_info(parent=ParentCall(root.id, "call_2")), {}).info.id)
        everything = [*reversed(children), other, root]
        for where, expected in (
            (SessionFilter(), everything),
            (SessionFilter(po_name="helper"), [children[2], children[1]]),
            (SessionFilter(po_name=other.po_name), [other]),
            (SessionFilter(po_name="help"), []),
            (SessionFilter(user_id="ann"), [root]),
            (SessionFilter(parents=[root.id]), [children[1], children[0]]),
            (SessionFilter(parents=[root.id, other.id]), [*reversed(children)]),
            (SessionFilter(parents=[]), []),
            (SessionFilter(parents=[UNKNOWN]), []),
            (SessionFilter(parents=["no id"]), []),
            (SessionFilter(top_level=True), [other, root]),
            (SessionFilter(po_name="reader", top_level=True), [root]),
            (SessionFilter(po_name="helper", parents=[root.id]), [children[1]]),
            (SessionFilter(parents=[root.id], top_level=True), []),
        ):
            assert store.list(where) == expected == where.select(everything)
            for limit in (0, 1, 2, 9):
                assert store.list(where, limit=limit) == expected[:limit]

    def test_a_rename_does_not_change_the_order(self, store: FullStore) -> None:
        first, second = (store.create(new_info(name), {}).info for name in ("One", "Two"))
        store.update(first.id, name="Other", metadata={"x": 1})
        assert [info.id for info in store.list()] == [second.id, first.id]

    def test_a_valid_store_has_no_findings(self, store: FullStore, session: Session) -> None:
        session.append(*user_messages(*range(5)))
        store.archive(store.create(new_info(), {}, user_messages(1)).info.id)
        store.delete(store.create(new_info(), {}, user_messages(2)).info.id)
        if isinstance(store, Checking):  # the one in memory cannot be damaged
            assert store.check() == store.check(repair=True) == []
        assert list(session.history) == user_messages(*range(5))


class TestArchive:
    def test_an_archived_session_is_unchanged_until_its_next_message(
        self, store: FullStore, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.set_metadata({"note": 1})
        session.append(*user_messages("long " * 500, 2, 3))
        before = store.load(session.id)
        archived = store.archive(session.id)
        assert archived == SessionRecord(replace(before.info, archived=True), {"note": 1})
        assert store.archive(session.id) == archived == store.load(session.id)
        assert store.list() == [archived.info]
        assert store.read(session.id, 1, 3) == user_messages(2, 3)
        assert store.update(session.id, name="Other").info.archived
        assert store.truncate(session.id, 2).info.archived
        store.delete(session.id)
        assert store.restore(session.id).info.archived
        assert not store.append(session.id, user_messages(4), expected=2).archived
        assert not reopened().info.archived
        assert list(reopened().history) == user_messages("long " * 500, 2, 4)


def test_a_store_that_was_closed_opens_again_when_it_is_used(store: FullStore, session: Session) -> None:
    store.close()
    session.append(*user_messages(1))
    store.close()
    store.close()
    assert store.read(session.id, 0, 9) == user_messages(1)


def test_an_unknown_store_url_is_refused_with_the_available_ones() -> None:
    for url in ("carrier-pigeon:home", "files:", "", "files"):
        with pytest.raises(UsageError) as caught:
            open_store(url)
        assert "files:" in caught.value.hint
        assert "postgresql:" in caught.value.hint
