"""Leases in a database expire, and are released with their store."""

import threading

import pytest

from prompt_objects.errors import Busy
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.sessions.stores.sql.store import SqlStore
from tests.support.sql_store import Ask, databases
from tests.support.store_urls import FullStore, Opener

pytest_plugins = ["tests.support.store_fixtures"]


@databases
def test_a_lease_that_is_not_renewed_expires(
    store: FullStore, open_again: Opener, session: Session, ask: Ask
) -> None:
    assert isinstance(store, SqlStore)
    ann, bob = ProcessInfo.current("ann"), ProcessInfo.current("bob")
    first = store.lease(session.id, ann)
    ask("UPDATE leases SET place = 'elsewhere', expires_at = expires_at - 29000")
    with pytest.raises(Busy):
        open_again().lease(session.id, bob)
    assert store._leases.renew()
    ask("UPDATE leases SET expires_at = expires_at - 29000")
    assert store.holder(session.id) == ann
    ask("UPDATE leases SET expires_at = expires_at - 1001")
    assert store.holder(session.id) is None
    second = open_again().lease(session.id, bob)
    first.release()
    assert store.holder(session.id) == bob
    second.release()
    assert ask("SELECT count(*) FROM leases") == [(0,)]


@databases
def test_closing_a_store_releases_its_leases(store: FullStore, open_again: Opener, session: Session) -> None:
    other = open_again()
    other.lease(session.id, ProcessInfo.current("ann"))
    other.close()
    store.lease(session.id, ProcessInfo.current("bob")).release()
    assert not [thread for thread in threading.enumerate() if thread.name == "leases" and not thread.daemon]


@databases
def test_a_holder_that_cannot_be_read_is_reported_as_unknown(store: FullStore, session: Session, ask: Ask) -> None:
    lease = store.lease(session.id, ProcessInfo.current("ann"))
    ask("UPDATE leases SET holder = 'garbage'")
    holder = store.holder(session.id)
    assert holder
    assert holder.user == "another user"
    with pytest.raises(Busy, match="in use by another process"):
        store.lease(session.id, ProcessInfo.current("bob"))
    lease.release()


@databases
def test_expired_leases_are_removed(store: FullStore, session: Session, ask: Ask) -> None:
    store.lease(session.id, ProcessInfo.current("ann"))
    ask("UPDATE leases SET expires_at = 1")
    (finding,) = store.check()
    assert finding.place == "leases"
    assert store.check(repair=True)[0].repaired
    assert store.check() == []
