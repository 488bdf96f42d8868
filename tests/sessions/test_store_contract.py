"""What every store keeps; a new one joins by a line in every_store.URLS."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_objects.errors import Conflict, NameTaken, NotFound, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.record import new_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores import Store, open_store

pytest_plugins = ["every_store"]

any_text = st.text(st.characters(exclude_categories=()), max_size=20)  # halves of surrogate pairs too
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
any_message = st.dictionaries(any_text, any_json, max_size=4).map(lambda extra: {**extra, "role": "user"})
same_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def said(*contents: Any) -> list[Message]:
    return [{"role": "user", "content": content, "at": "2026-01-01T00:00:00.000000Z"} for content in contents]


@pytest.fixture
def reopened(open_again: Callable[[], Store], session: Session) -> Callable[[], Session]:
    """The same session, as somebody else finds it."""

    def reopen() -> Session:
        store = open_again()
        return Session(store, store.load(session.id))

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
        session.append(*said(text))
        assert list(reopened().history) == said(text)

    def test_large_numbers_and_nesting_come_back(self, session: Session, reopened: Callable[[], Session]) -> None:
        nested: Any = 10**300
        for _ in range(150):
            nested = [nested]
        session.append(*said(nested))
        assert list(reopened().history) == said(nested)

    @pytest.mark.parametrize(
        "content",
        [float("nan"), float("inf"), {1, 2}, b"bytes", object(), pytest.param(10**5000, id="5000 digits")],
    )
    def test_what_json_cannot_say_is_refused_and_nothing_written(
        self, session: Session, reopened: Callable[[], Session], content: Any
    ) -> None:
        with pytest.raises(UsageError):
            session.append(*said("fine", content))
        assert reopened().message_count == 0

    def test_nesting_that_readers_may_not_bear_is_refused(self, session: Session) -> None:
        nested: Any = []
        for _ in range(500):
            nested = [nested]
        with pytest.raises(UsageError, match="deep"):
            session.append(*said(nested))

    @pytest.mark.parametrize("message", ["hello", {"content": "no role"}, {"role": 3}, None])
    def test_what_is_no_message_is_refused(self, session: Session, message: Any) -> None:
        with pytest.raises(UsageError, match="role"):
            session.append(message)

    def test_messages_are_stamped_without_changing_the_caller_s(self, session: Session) -> None:
        message = {"role": "user", "content": "Hello"}
        session.append(message, *said("x"))
        assert message == {"role": "user", "content": "Hello"}
        assert session.history[0]["at"].endswith("Z")
        assert session.history[1]["at"] == "2026-01-01T00:00:00.000000Z"

    def test_later_changes_to_a_message_do_not_reach_the_history(self, session: Session) -> None:
        message = said(["part"])[0]
        assert list(session.history) == []
        session.append(message)
        message["content"].append("changed")
        assert session.history[0]["content"] == ["part"]

    def test_two_handles_cannot_write_over_each_other(
        self, session: Session, reopened: Callable[[], Session]
    ) -> None:
        other = reopened()
        other.append(*said("first"))
        with pytest.raises(Conflict):
            session.append(*said("second"))
        assert session.refresh() == said("first")
        session.append(*said("second"))
        assert list(reopened().history) == said("first", "second")

    def test_refresh_without_news_is_empty(self, session: Session) -> None:
        session.append(*said("x"))
        assert session.refresh() == []

    def test_a_handle_shows_what_it_knew_until_it_is_refreshed(
        self, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*said(1))
        other = reopened()
        session.append(*said(2))
        assert list(other.history) == said(1) == other.tail(5)
        other.refresh()
        assert list(other.history) == said(1, 2)

    def test_threads_may_share_a_handle(self, session: Session, reopened: Callable[[], Session]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: session.append(*said(number)), range(80)))
        assert sorted(message["content"] for message in reopened().history) == list(range(80))

    def test_sums_of_usage_are_kept(self, session: Session, store: Store, reopened: Callable[[], Session]) -> None:
        usage = {"prompt_tokens": 10, "completion_tokens": 4, "cached_tokens": 2, "cost": 0.5}
        session.append({"role": "assistant", "content": "", "usage": usage})
        reopened().append(
            {"role": "assistant", "content": "", "usage": {**usage, "prompt_tokens": "many", "cost": -1}}
        )
        (info,) = store.sessions()
        assert (info.prompt_tokens, info.completion_tokens, info.cached_tokens, info.cost) == (10, 8, 4, 0.5)


class TestReading:
    @pytest.mark.parametrize("count", [0, 1, 2, 40])
    def test_tail_and_page_are_slices_of_the_history(
        self, session: Session, reopened: Callable[[], Session], count: int
    ) -> None:
        messages = said(*(f"{number} " * 1000 * (number % 3) for number in range(count)))
        session.append(*messages)
        for k in (0, 1, 2, 3, count - 1, count, count + 5):
            assert reopened().tail(k) == (messages[-k:] if k > 0 else [])
        for start, limit in ((0, 1), (1, 3), (count // 2, 4), (count, 2), (0, count + 1)):
            assert reopened().page(start, limit) == messages[start : start + limit]

    def test_tail_does_not_read_the_history_into_memory(
        self, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*said(*range(100)))
        handle = reopened()
        assert handle.tail(2) == said(98, 99)
        assert handle._messages is None

    def test_the_history_cannot_be_written(self, session: Session) -> None:
        session.append(*said(1))
        with pytest.raises(TypeError):
            session.history[0] = {}  # type: ignore[index]  # that is the point
        assert not hasattr(session.history, "append")

    @pytest.mark.parametrize("key", [new_id(), "../../etc/passwd", "", "x" * 36, "trash/" + new_id()])
    def test_an_id_that_is_none_of_ours_is_not_found(self, store: Store, key: str) -> None:
        for use in (store.load, store.delete, store.restore, lambda key: store.read(key, 0, 1)):
            with pytest.raises(NotFound):
                use(key)
        with pytest.raises(NotFound):
            store.append(key, said(1), expected=0)


class TestNames:
    def test_a_name_is_unique_within_its_object_only(self, store: Store) -> None:
        SessionManager(store, "reader").create("Notes")
        SessionManager(store, "writer").create("Notes")
        with pytest.raises(NameTaken) as caught:
            SessionManager(store, "reader").create("Notes")
        assert caught.value.suggestion == "Notes 2"

    def test_many_at_once_cannot_make_the_same_name(self, open_again: Callable[[], Store]) -> None:
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

    def test_many_at_once_make_one_default(self, open_again: Callable[[], Store]) -> None:
        managers = [SessionManager(open_again(), "reader") for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            ids = {session.id for session in pool.map(SessionManager.current, managers)}
        assert len(ids) == 1

    def test_a_rename_is_seen_by_other_handles_when_they_write(
        self, manager: SessionManager, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*said(1))
        other = reopened()
        manager.rename("Notes", 'Ideas: “größer” \\ "quoted"')
        other.append(*said(2))
        assert other.name == 'Ideas: “größer” \\ "quoted"'
        assert list(reopened().history) == said(1, 2)
        with pytest.raises(NameTaken):
            manager.create(other.name)

    def test_metadata_is_kept_through_renames_and_appends(
        self, manager: SessionManager, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.set_metadata({"history": [{"a": 1}], "note": "x\u2028"})
        session.append(*said(1))
        manager.rename("Notes", "Other")
        assert dict(reopened().metadata) == {"history": [{"a": 1}], "note": "x\u2028"}
        assert list(reopened().history) == said(1)


class TestTrash:
    def test_a_deleted_session_is_gone_until_it_is_restored(
        self, store: Store, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*said(1, 2))
        store.delete(session.id)
        assert store.sessions() == []
        with pytest.raises(NotFound):
            session.append(*said(3))
        (entry,) = store.trash()
        assert (entry.info.id, entry.info.name, entry.info.message_count) == (session.id, "Notes", 2)
        assert store.restore(session.id).info.message_count == 2
        assert store.trash() == []
        session.append(*said(3))
        assert list(reopened().history) == said(1, 2, 3)

    def test_a_restored_session_gets_another_name_where_its_own_is_taken(
        self, manager: SessionManager, session: Session, reopened: Callable[[], Session]
    ) -> None:
        session.append(*said(1))
        manager.delete("Notes")
        manager.create("Notes")
        assert manager.restore().name == "Notes 2"
        assert list(reopened().history) == said(1)
        assert sorted(info.name for info in manager.list()) == ["Notes", "Notes 2"]


def test_a_url_of_no_store_is_refused_with_those_there_are() -> None:
    for url in ("carrier-pigeon:home", "files:", "", "files"):
        with pytest.raises(UsageError) as caught:
            open_store(url)
        assert "files:" in caught.value.hint
