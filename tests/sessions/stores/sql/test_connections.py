"""A commit happens exactly once, however connections are lost, shared or forked."""

import os
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from prompt_objects.errors import Conflict, StoreError
from prompt_objects.sessions.info import SessionInfo, new_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.utils import waiting
from prompt_objects.utils.time import now
from prompt_objects.utils.waiting import fail_fast
from tests.support.cutting_proxy import CuttingProxy
from tests.support.postgres import Server
from tests.support.sessions import new_info, user_messages
from tests.support.sql_store import Ask, databases, sqlite_only
from tests.support.store_urls import FullStore, Opener, open_full_store

pytest_plugins = ["tests.support.store_fixtures"]


postgresql_only = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


@databases
def test_writers_of_one_session_are_serialized(open_again: Opener, session: Session) -> None:
    stores = [open_again() for _ in range(4)]

    def write(writer: int) -> None:
        handle = Session(stores[writer], stores[writer].load(session.id))
        for number in range(10):
            append_with_retries(handle, f"{writer} {number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = [message["content"] for message in stores[0].read(session.id, 0, 99)]
    assert sorted(found) == sorted(f"{writer} {number}" for writer in range(4) for number in range(10))
    for writer in range(4):
        assert [each for each in found if each[0] == str(writer)] == [f"{writer} {number}" for number in range(10)]


def append_with_retries(handle: Session, content: str) -> None:
    while True:
        try:
            return handle.append(*user_messages(content))
        except Conflict:
            handle.refresh()


@sqlite_only
def test_a_full_disk_is_reported_and_nothing_is_written_partially(
    store: FullStore, session: Session, ask: Ask
) -> None:
    session.append(*user_messages(1))
    (pages,) = ask("PRAGMA page_count")[0]
    store.close()
    ask(f"PRAGMA max_page_count = {pages + 2}")  # of the one open connection
    with pytest.raises(StoreError, match="full") as caught:
        session.append(*user_messages(*("x" * 100 for _ in range(1000))))
    assert "Free some space" in caught.value.hint
    assert store.load(session.id).info == session.info
    session.append(*user_messages(2))
    assert store.read(session.id, 0, 9) == user_messages(1, 2)


@pytest.fixture
def proxy(postgres_schema: str) -> Iterator[CuttingProxy]:
    with CuttingProxy(postgres_schema) as proxy:
        yield proxy


OPERATIONS: dict[str, Callable[[FullStore, SessionInfo], object]] = {
    "append": lambda store, info: store.append(info.id, user_messages(3, 4), expected=2),
    "rename": lambda store, info: store.update(info.id, name="Other"),
    "note": lambda store, info: store.update(info.id, metadata={"a": 1}),
    "truncate": lambda store, info: store.truncate(info.id, 1),
    "archive": lambda store, info: store.archive(info.id),
    "create": lambda store, info: store.create(replace(info, id=new_id(), name="New"), {}, user_messages(1)),
    "delete": lambda store, info: store.delete(info.id),
    "restore": lambda store, info: store.restore(trashed(store)),
    "purge": lambda store, info: store.purge(trashed(store)),
    "lease": lambda store, info: store.lease(info.id, ProcessInfo.current("ann")).release(),
}


def trashed(store: FullStore) -> str:
    return store.trash()[0].info.id


def everything(store: FullStore) -> Any:
    """Return the content of a store, without ids and times."""
    live = [
        (info.name, info.archived, store.load(info.id).metadata, store.read(info.id, 0, 9)) for info in store.list()
    ]
    return sorted(live, key=str), [(entry.info.name, store.read_trashed(entry.info.id)[1]) for entry in store.trash()]


@pytest.mark.parametrize("before", [True, False], ids=["lost", "unheard"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_commit_without_a_response_happens_once(proxy: CuttingProxy, operation: str, before: bool) -> None:
    outcomes = []
    for cuts in (0, 2):
        with closing(open_full_store(proxy.url)) as store:
            info = store.create(new_info("Notes"), {}, user_messages(1, 2)).info
            store.delete(store.create(new_info("Old"), {}, user_messages(0)).info.id)
            proxy.cuts, proxy.before = cuts, before
            OPERATIONS[operation](store, info)
            assert proxy.cuts == 0
            outcomes.append(everything(store))
            assert store.check() == []
            for each in store.list():
                store.delete(each.id)
            for entry in store.trash():
                store.purge(entry.info.id)
    assert outcomes[0] == outcomes[1]


def test_a_retried_truncation_keeps_messages_added_after_it(proxy: CuttingProxy, postgres_schema: str) -> None:
    with closing(open_full_store(proxy.url)) as store, closing(open_full_store(postgres_schema)) as other:
        key = store.create(new_info(), {}, user_messages(1, 2, 3)).info.id
        proxy.cuts = 1
        done = threading.Event()

        def follow() -> list[str]:
            while not done.is_set():
                if other.load(key).info.message_count == 1:
                    other.append(key, user_messages("after"), expected=1)
                    return ["after"]
            return []

        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(follow)
            with suppress(Conflict):
                store.truncate(key, 1)
            done.set()
            found = following.result()
        assert store.read(key, 0, 9) == user_messages(1, *found)


@postgresql_only
def test_connections_that_are_closed_repeatedly_lose_no_messages(url: str, open_again: Opener, ask: Ask) -> None:
    with closing(open_full_store(f"{url}&application_name=ended")) as store:
        acknowledged = append_from_threads(
            store,
            lambda: ask(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'ended'"
            ),
        )
        check(open_again(), acknowledged)


def test_a_restart_of_the_server_loses_no_messages() -> None:
    server = Server()

    def restart() -> None:
        server.stop()
        time.sleep(0.2)
        server.start()

    try:
        with closing(open_full_store(server.url)) as store:
            check(store, append_from_threads(store, restart, times=2))
    finally:
        server.remove()


def test_fail_fast_reports_a_lost_server_immediately() -> None:
    server = Server()
    try:
        with closing(open_full_store(server.url)) as store:
            session_id = store.create(new_info(), {}).info.id
            server.stop()
            start = time.monotonic()
            with fail_fast(), pytest.raises(StoreError, match="could not be used"):
                store.load(session_id)
            assert time.monotonic() - start < 2
            server.start()
            with fail_fast():
                assert store.load(session_id).info.id == session_id
    finally:
        server.remove()


def append_from_threads(store: FullStore, disturb: Callable[[], object], times: int = 12) -> dict[str, list[str]]:
    """Append from threads, each to its own session and all to one, while `disturb` runs."""
    shared = store.create(new_info("Shared"), {}).info.id
    acknowledged: dict[str, list[str]] = {shared: []}
    over = threading.Event()

    def write(writer: int) -> None:
        own = store.create(new_info(f"Own {writer}"), {}).info.id
        acknowledged[own] = []
        handles = [Session(store, store.load(key)) for key in (own, shared)]
        number = 0
        while not over.is_set():
            for handle in handles:
                append_with_retries(handle, f"{writer} {number}")
                acknowledged[handle.id].append(f"{writer} {number}")
            number += 1

    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write, writer) for writer in range(3)]
        for _ in range(times):
            time.sleep(0.1)
            disturb()
        time.sleep(0.1)
        over.set()
        for each in writing:
            each.result()
    return acknowledged


def check(store: FullStore, acknowledged: dict[str, list[str]]) -> None:
    """Check that each acknowledged message exists once, in the order of its writer, and no other does."""
    for key, contents in acknowledged.items():
        found = [message["content"] for message in store.read(key, 0, sys.maxsize)]
        assert contents
        assert sorted(found) == sorted(contents)
        for writer in "012":
            own = [each for each in found if each.startswith(writer)]
            assert own == [each for each in contents if each.startswith(writer)]
    assert store.check() == []


@postgresql_only
def test_the_pool_size_is_limited(url: str, ask: Ask) -> None:
    with closing(open_full_store(f"{url}&application_name=pooled", StoreOptions(pool_size=2))) as store:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: store.list(), range(64)))
        count = ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pooled'")
        assert 1 <= count[0][0] <= 2


@databases
def test_a_forked_child_has_its_own_connections_and_no_leases(store: FullStore, session: Session) -> None:
    lease = store.lease(session.id, ProcessInfo.current("ann"))
    with warnings.catch_warnings():  # about threads that the child does not have
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            lease.release()  # it is the parent's, so this does nothing
            write_forty(store, store.create(new_info("The child's"), {}).info.id)
            store.close()
            status = 0
        finally:
            os._exit(status)
    write_forty(store, session.id)  # at the same time
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [len(store.read(info.id, 0, 99)) for info in store.list()] == [40, 40]
    assert store.holder(session.id)
    lease.release()


def write_forty(store: FullStore, key: str) -> None:
    for number in range(40):
        store.append(key, user_messages(number), expected=number)
        assert store.read(key, number, 99) == user_messages(number)


def test_a_wait_for_a_locked_database_is_reported_and_can_be_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "REPORT_SECONDS", 0.1)
    reports: list[str] = []
    with closing(open_store(f"sqlite:///{tmp_path}/s.db")) as store:
        info = SessionInfo(
            id=new_id(), name="Notes", po_name="scout", message_count=0, created_at=now(), updated_at=now()
        )
        store.create(info, {})
        with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with waiting.work(reports.append) as work:
                threading.Timer(0.7, work.give_up).start()
                with pytest.raises(StoreError, match=r"Gave up waiting|database is locked"):
                    store.append(info.id, [{"role": "user", "content": "Hello"}], expected=0)
        assert reports == [f"Waiting for {tmp_path}/s.db.", ""]
        assert store.append(info.id, [{"role": "user", "content": "Hello"}], expected=0).message_count == 1
