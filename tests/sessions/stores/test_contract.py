"""The contract of every store; a new one is added by a line in store_urls.URLS."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from prompt_objects.errors import Busy, Conflict, NameTaken, NotFound, SessionFull, StoreError, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.info import ParentCall, SessionInfo, SessionRecord, new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.names import MAX_NAME_LENGTH
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Checking, SessionFilter, StoreOptions
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.utils.time import now
from tests.support.store_urls import OUTSIDE, FullStore, Opener
from tests.support.store_workers import Worker

pytest_plugins = ["tests.support.store_fixtures"]

UNKNOWN = "0190163d-8694-739b-aea5-966c26f8ad91"

any_text = st.text(st.characters(exclude_categories=()), max_size=20)  # halves of surrogate pairs too
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
any_message = st.dictionaries(any_text, any_json, max_size=4).map(lambda extra: {**extra, "role": "user"})
same_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def user_messages(*contents: Any) -> list[Message]:
    return [{"role": "user", "content": content, "at": "2026-01-01T00:00:00.000000Z"} for content in contents]


def new_info(name: str | None = None, **changes: Any) -> SessionInfo:
    """Return the data of a new session; without `name`, its name is unique."""
    moment = now()
    info = SessionInfo(id=new_id(), name="", po_name="reader", message_count=0, created_at=moment, updated_at=moment)
    return replace(info, **{"name": name or f"Notes {info.id}", **changes})


@pytest.fixture
def reopened(open_again: Opener, session: Session) -> Callable[[], Session]:
    """The same session, opened by another store."""
    other = open_again()

    def reopen() -> Session:
        other.close()
        return Session(other, other.load(session.id))

    return reopen


class TestAppending:
    @same_files
    @given(batch=st.lists(any_message, min_size=1, max_size=4))
    def test_any_message_comes_back_as_it_was(
        self, session: Session, reopened: Callable[[], Session], batch: list[Message]
    ) -> None:
        before = session.message_count
        session.append(*batch)
        came = [dict(message) for message in reopened().history[before:]]
        stamps = [message.pop("at") if "at" not in sent else None for message, sent in zip(came, batch, strict=True)]
        assert came == batch
        assert all(stamp is None or len(stamp) == 27 for stamp in stamps)
        assert list(session.history) == list(reopened().history)

    @pytest.mark.parametrize("text", ["\u2028\u2029\x00\x7f\x85", "\ud800", "\U0001f600", '"\\\n],"updated_at"', "é"])
    def test_awkward_text_comes_back(self, session: Session, reopened: Callable[[], Session], text: str) -> None:
        session.append(*user_messages(text))
        assert list(reopened().history) == user_messages(text)

    def test_large_numbers_and_nesting_come_back(self, session: Session, reopened: Callable[[], Session]) -> None:
        nested: Any = 10**300
        for _ in range(150):
            nested = [nested]
        session.append(*user_messages(nested))
        assert list(reopened().history) == user_messages(nested)

    @pytest.mark.parametrize(
        "content", [float("nan"), float("inf"), {1, 2}, b"bytes", object(), pytest.param(10**5000, id="5000 digits")]
    )
    def test_content_that_json_cannot_encode_is_refused_and_nothing_written(
        self, session: Session, reopened: Callable[[], Session], content: Any
    ) -> None:
        with pytest.raises(UsageError):
            session.append(*user_messages("fine", content))
        assert reopened().message_count == 0

    def test_nesting_that_readers_may_not_bear_is_refused(self, session: Session) -> None:
        nested: Any = []
        for _ in range(500):
            nested = [nested]
        with pytest.raises(UsageError, match="deep"):
            session.append(*user_messages(nested))

    @pytest.mark.parametrize("message", ["hello", {"content": "no role"}, {"role": 3}, None])
    def test_an_invalid_message_is_refused(self, session: Session, message: Any) -> None:
        with pytest.raises(UsageError, match="role"):
            session.append(message)

    def test_messages_are_stamped_without_changing_the_caller_s(self, session: Session) -> None:
        message = {"role": "user", "content": "Hello"}
        session.append(message, *user_messages("x"))
        assert message == {"role": "user", "content": "Hello"}
        assert session.history[0]["at"].endswith("Z")
        assert session.history[1]["at"] == "2026-01-01T00:00:00.000000Z"

    def test_later_changes_to_a_message_do_not_reach_the_history(self, session: Session) -> None:
        message = user_messages(["part"])[0]
        assert list(session.history) == []
        session.append(message)
        message["content"].append("changed")
        assert session.history[0]["content"] == ["part"]

    def test_two_handles_cannot_write_over_each_other(
        self, session: Session, reopened: Callable[[], Session]
    ) -> None:
        other = reopened()
        other.append(*user_messages("first"))
        with pytest.raises(Conflict):
            session.append(*user_messages("second"))
        assert session.refresh() == user_messages("first")
        session.append(*user_messages("second"))
        assert list(reopened().history) == user_messages("first", "second")

    def test_refresh_without_news_is_empty(self, session: Session) -> None:
        session.append(*user_messages("x"))
        assert session.refresh() == []

    def test_a_handle_shows_what_it_knew_until_it_is_refreshed(
        self, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*user_messages(1))
        other = reopened()
        session.append(*user_messages(2))
        assert list(other.history) == user_messages(1) == other.tail(5)
        other.refresh()
        assert list(other.history) == user_messages(1, 2)

    def test_threads_may_share_a_handle(self, session: Session, reopened: Callable[[], Session]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: session.append(*user_messages(number)), range(80)))
        assert sorted(message["content"] for message in reopened().history) == list(range(80))

    def test_sums_of_usage_are_kept(
        self, session: Session, store: FullStore, reopened: Callable[[], Session]
    ) -> None:
        usage = {"prompt_tokens": 10, "completion_tokens": 4, "cached_tokens": 2, "cost": 0.5}
        session.append({"role": "assistant", "content": "", "usage": usage})
        reopened().append(
            {"role": "assistant", "content": "", "usage": {**usage, "prompt_tokens": "many", "cost": -1}}
        )
        (info,) = store.list()
        assert (info.prompt_tokens, info.completion_tokens, info.cached_tokens, info.cost) == (10, 8, 4, 0.5)


class TestReading:
    @pytest.mark.parametrize("count", [0, 1, 2, 40])
    def test_tail_and_page_are_slices_of_the_history(
        self, session: Session, reopened: Callable[[], Session], count: int
    ) -> None:
        messages = user_messages(*(f"{number} " * 1000 * (number % 3) for number in range(count)))
        session.append(*messages)
        for k in (0, 1, 2, 3, count - 1, count, count + 5):
            assert reopened().tail(k) == (messages[-k:] if k > 0 else [])
        for start, limit in ((0, 1), (1, 3), (count // 2, 4), (count, 2), (0, count + 1)):
            assert reopened().page(start, limit) == messages[start : start + limit]

    def test_tail_does_not_read_the_history_into_memory(
        self, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*user_messages(*range(100)))
        handle = reopened()
        assert handle.tail(2) == user_messages(98, 99)
        assert handle._messages is None

    def test_the_history_cannot_be_written(self, session: Session) -> None:
        session.append(*user_messages(1))
        with pytest.raises(TypeError):
            session.history[0] = {}  # type: ignore[index]  # that is the point
        assert not hasattr(session.history, "append")

    @pytest.mark.parametrize("key", [UNKNOWN, "../../etc/passwd", "", "x" * 36, f"trash/{UNKNOWN}"])
    def test_an_id_of_another_form_is_not_found(self, store: FullStore, key: str) -> None:
        for use in (store.load, store.delete, store.restore, lambda key: store.read(key, 0, 1)):
            with pytest.raises(NotFound):
                use(key)
        with pytest.raises(NotFound):
            store.append(key, user_messages(1), expected=0)


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


class TestCutting:
    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_the_first_messages_stay_and_sums_are_theirs(
        self, store: FullStore, session: Session, reopened: Callable[[], Session], count: int
    ) -> None:
        usage = {"prompt_tokens": 3, "cost": 0.5}
        messages = [{**message, "usage": usage} for message in user_messages(1, 2, 3)]
        session.append(*messages)
        info = store.truncate(session.id, count).info
        assert (info.message_count, info.prompt_tokens) == (count, 3 * count)
        assert info.cost == (0.5 * count if count else None)
        assert reopened().info == info
        assert list(reopened().history) == messages[:count]
        with pytest.raises(Conflict):
            store.append(session.id, user_messages(4), expected=4)
        store.append(session.id, user_messages(4), expected=count)
        assert reopened().tail(1) == user_messages(4)

    def test_messages_added_meanwhile_are_not_dropped(self, store: FullStore, session: Session) -> None:
        session.append(*user_messages("one", "two", "three"))
        for archived in (False, True):
            if archived:
                store.archive(session.id)
            with pytest.raises(Conflict):
                store.truncate(session.id, 1, expected=2)
            assert len(store.read(session.id, 0, 9)) == 3
        assert store.truncate(session.id, 1, expected=3).info.message_count == 1

    def test_truncating_to_more_messages_than_exist_is_refused(self, store: FullStore, session: Session) -> None:
        session.append(*user_messages(1))
        for count in (2, -1):
            with pytest.raises(UsageError):
                store.truncate(session.id, count)
        assert store.load(session.id).info == session.info


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


class TestSize:
    def test_the_size_limit_applies_to_user_messages_and_not_to_replies(self, open_again: Opener) -> None:
        store = open_again(StoreOptions(max_session_size=4000))
        key = store.create(new_info(), {}).info.id
        store.append(key, user_messages("x" * 2000), expected=0)
        with pytest.raises(SessionFull, match="max_session_size"):
            store.append(key, user_messages("x" * 3000), expected=1)
        with pytest.raises(Conflict):
            store.append(key, user_messages("x" * 3000), expected=0)
        answer = {"role": "assistant", "content": "x" * 3000}
        assert store.append(key, [answer], expected=1).message_count == 2
        with pytest.raises(SessionFull):
            store.append(key, user_messages(""), expected=2)
        assert store.append(key, user_messages("again"), expected=2, enforce_limit=False).message_count == 3
        store.truncate(key, 0)
        store.append(key, user_messages("x" * 3000), expected=0)

    def test_the_first_message_of_a_draft_counts_as_well(self, open_again: Opener) -> None:
        manager = SessionManager(open_again(StoreOptions(max_session_size=4000)), "reader")
        with pytest.raises(SessionFull, match="max_session_size"):
            manager.draft("Notes").append(*user_messages("x" * 5000))
        assert manager.list() == []
        assert manager.store.create(new_info(), {}, user_messages("x" * 5000)).info.message_count == 1


class TestLeases:
    def test_a_busy_lease_names_its_holder(self, store: FullStore, open_again: Opener, session: Session) -> None:
        ann, bob = ProcessInfo.current("ann"), ProcessInfo.current("bob")
        lease = store.lease(session.id, ann)
        for other in (store, open_again()):
            with pytest.raises(Busy) as caught:
                other.lease(session.id, bob)
            assert str(caught.value) == f'"Notes" is in use by {ann}.'
            assert caught.value.hint == "Wait until it is free, continue in a branch, or watch it."
            assert caught.value.holder == ann == other.holder(session.id)
        lease.release()
        lease.release()
        assert store.holder(session.id) is None
        second = open_again().lease(session.id, bob)
        lease.release()
        assert store.holder(session.id) == bob
        second.release()

    def test_a_session_not_yet_created_can_be_leased(self, store: FullStore) -> None:
        key = new_id()
        store.lease(key, ProcessInfo.current("ann"))
        with pytest.raises(Busy, match=key):
            store.lease(key, ProcessInfo.current("bob"))
        assert store.holder(new_id()) is None

    def test_a_lease_does_not_block_reading_or_writing(
        self, store: FullStore, session: Session, reopened: Callable[[], Session]
    ) -> None:
        lease = store.lease(session.id, ProcessInfo.current("ann"))
        reopened().append(*user_messages(1))
        assert session.refresh() == user_messages(1)
        lease.release()

    def test_a_lease_has_one_holder_at_a_time(self, open_again: Opener, session: Session) -> None:
        stores = [open_again() for _ in range(4)]
        at_it, most = set[int](), [0]

        def work(number: int) -> None:
            for _ in range(8):
                with suppress(Busy):
                    lease = stores[number].lease(session.id, ProcessInfo.current())
                    at_it.add(number)
                    most.append(len(at_it))
                    at_it.remove(number)
                    lease.release()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert max(most) == 1

    @pytest.mark.parametrize("url", OUTSIDE, indirect=True)
    def test_killing_the_holder_frees_the_lease_at_once(self, url: str, store: FullStore, session: Session) -> None:
        with Worker(url) as other:
            other.do("lease", session.id, "ann")
            holder = store.holder(session.id)
            assert holder
            assert (holder.user, holder.pid) == ("ann", other.process.pid)
            with pytest.raises(Busy):
                store.lease(session.id, ProcessInfo.current("bob"))
            other.kill()
            assert store.holder(session.id) is None
            store.lease(session.id, ProcessInfo.current("bob")).release()

    @pytest.mark.parametrize("key", ["../../etc/passwd", "", "x" * 36])
    def test_an_invalid_id_cannot_be_leased(self, store: FullStore, key: str) -> None:
        with pytest.raises(NotFound):
            store.lease(key, ProcessInfo.current())


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
