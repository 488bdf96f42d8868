"""The contract of every store for its leases; a new store is added by a line in store_urls.URLS."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from prompt_objects.errors import Busy, NotFound
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.lease import ProcessInfo
from tests.support.sessions import user_messages
from tests.support.store_urls import OUTSIDE, FullStore, Opener
from tests.support.store_workers import Worker

pytest_plugins = ["tests.support.store_fixtures"]


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
