"""The contract of every store for the messages of a session; a new store is added by a line in store_urls.URLS."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_objects.errors import Conflict, NotFound, SessionFull, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from tests.support.sessions import new_info, user_messages
from tests.support.store_urls import FullStore, Opener

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
