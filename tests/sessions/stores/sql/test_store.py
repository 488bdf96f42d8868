"""Guarantees of the SQL store only: tables, privacy, compression, lost connections, repair."""

import json
import os
import sqlite3
import stat
import subprocess
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
from sqlalchemy import text

from prompt_objects.errors import Busy, Conflict, Damaged, NewerEnvironment, StoreError, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, new_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.sessions.stores.sql.store import SqlStore
from prompt_objects.utils import waiting
from prompt_objects.utils.time import now
from prompt_objects.utils.waiting import fail_fast
from tests.support.cutting_proxy import CuttingProxy
from tests.support.postgres import Server
from tests.support.store_urls import FullStore, Opener, open_full_store

pytest_plugins = ["tests.support.store_fixtures"]

databases = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
sqlite_only = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


def user_messages(*contents: Any) -> list[Message]:
    return [{"role": "user", "content": content, "at": "2026-01-01T00:00:00.000000Z"} for content in contents]


def new_info(name: str = "Notes", **changes: Any) -> SessionInfo:
    moment = now()
    info = SessionInfo(
        id=new_id(), name=name, po_name="reader", message_count=0, created_at=moment, updated_at=moment
    )
    return replace(info, **changes)


Ask = Callable[..., list[Any]]


@pytest.fixture
def ask(store: FullStore) -> Ask:
    """Runs a statement in the database, bypassing the store, and returns its rows."""
    assert isinstance(store, SqlStore)
    database = store._database

    def run_statement(statement: str, **values: Any) -> list[Any]:
        with database._engine.begin() as connection:
            if statement.startswith("PRAGMA"):
                return list(connection.exec_driver_sql(statement))
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    store.list()  # creates the tables
    return run_statement


# Opening


@pytest.mark.parametrize(
    "url", ["sqlite:PATH", "sqlite://host/x", "sqlite:///", "sqlite:///:memory:", "postgresql://h:port/x"]
)
def test_a_url_without_a_database_is_invalid(url: str) -> None:
    with pytest.raises(UsageError):
        open_store(url)


def test_without_the_extra_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from prompt_objects.errors import UsageError\n"
        "from prompt_objects.sessions.stores.registry import open_store\n"
        "for url in ('sqlite:///x', 'postgresql://h/x'):\n"
        "    try: open_store(url)\n"
        "    except UsageError as error: print(error, error.hint)\n"
    )
    lines = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("Sessions in a database need sqlalchemy, which is not installed.")
        assert line.endswith("pip install 'prompt-objects[sql]'")


def test_other_stores_do_not_import_sqlalchemy(tmp_path: Path) -> None:
    code = (
        "import sys; from prompt_objects.sessions.stores.registry import open_store\n"
        f"open_store('files:{tmp_path}'); open_store('memory:'); print('sqlalchemy' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_a_server_that_does_not_answer_is_reported_immediately_without_the_password() -> None:
    with closing(open_full_store("postgresql://ann:s3cret@127.0.0.1:1/notes")) as store:
        start = time.monotonic()
        with pytest.raises(StoreError, match=r"^The database notes on 127\.0\.0\.1 could not be used") as caught:
            store.list()
    assert time.monotonic() - start < 5
    assert "s3cret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


@databases
def test_tables_of_a_newer_version_are_not_changed(open_again: Opener, ask: Ask) -> None:
    ask("UPDATE meta SET value = '2' WHERE name = 'schema_version'")
    with pytest.raises(NewerEnvironment, match="newer version"):
        open_again().create(new_info(), {})
    assert ask("SELECT count(*) FROM sessions") == [(0,)]


@databases
def test_tables_of_another_program_are_not_changed(open_again: Opener, ask: Ask) -> None:
    ask("DELETE FROM meta")
    with pytest.raises(StoreError, match="another program"):
        open_again().list()
    ask("DROP TABLE meta")
    with pytest.raises(StoreError, match="another program"):
        open_again().list()
    assert ask("SELECT count(*) FROM sessions") == [(0,)]


@databases
@pytest.mark.parametrize("table", ["meta", "sessions", "messages", "leases"])
def test_a_table_of_another_program_with_the_same_name_is_not_changed(
    open_again: Opener, ask: Ask, table: str
) -> None:
    for ours in ("meta", "messages", "leases", "corrupt", "sessions"):
        ask(f"DROP TABLE {ours}")
    ask(f"CREATE TABLE {table} (track text)")
    with pytest.raises(StoreError, match="has tables of another program"):
        open_again().list()
    assert ask(f"SELECT * FROM {table}") == []


@pytest.mark.parametrize(
    "url",
    ["postgresql://a:ab@s3cret@127.0.0.1/x", "postgresql://a:ab@top/s3cret@h/x", "postgresql://a:b@c?s3cret@h/x"],
)
def test_an_unescaped_at_sign_in_a_password_is_an_error(url: str) -> None:
    with pytest.raises(UsageError, match="is not a valid database URL") as caught:
        open_store(url)
    assert "s3cret" not in str(caught.value)
    assert "@ is %40" in caught.value.hint


@databases
def test_several_processes_create_the_tables_once(open_again: Opener) -> None:
    stores = [open_again() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda store: store.list(), stores)) == [[]] * 8


@sqlite_only
def test_only_the_owner_can_read_the_files(store: FullStore, tmp_path: Path) -> None:
    os.umask(os.umask(0o000))
    store.create(new_info(), {}, user_messages(1))
    files = sorted((tmp_path / "data").iterdir())
    assert [file.name for file in files] == ["sessions.db", "sessions.db-shm", "sessions.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@sqlite_only
def test_sqlite_uses_a_write_ahead_log_and_full_synchronization(store: FullStore, ask: Ask) -> None:
    assert isinstance(store, SqlStore)
    assert ask("PRAGMA journal_mode") == [("wal",)]
    assert ask("PRAGMA synchronous") == [(2,)]
    assert ask("PRAGMA foreign_keys") == [(1,)]


def test_a_symbolic_link_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    with (
        closing(open_full_store(f"sqlite:///{tmp_path / 'link.db'}")) as store,
        pytest.raises(StoreError, match="link"),
    ):
        store.list()
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_file_that_is_not_a_database_is_named_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("My notes, and no database at all. " * 100)
    with closing(open_full_store(f"sqlite:///{file}")) as store, pytest.raises(StoreError, match="not a database"):
        store.list()
    assert file.read_text() == "My notes, and no database at all. " * 100


# Messages


@databases
def test_long_messages_are_stored_compressed_and_read_unchanged(open_again: Opener, ask: Ask) -> None:
    store = open_again(StoreOptions(compress=1000))
    messages: list[Message] = [
        {"role": "user", "content": "hi"},
        *user_messages("long " * 1000, os.urandom(20_000).hex()),
    ]
    info = store.create(new_info(), {}, messages).info
    assert ask("SELECT n FROM messages WHERE packed IS NOT NULL ORDER BY n") == [(1,), (2,)]
    assert store.read(info.id, 0, 9) == messages
    never = open_again(StoreOptions(compress=None))
    never.append(info.id, messages[1:2], expected=3)
    assert ask("SELECT n FROM messages WHERE body IS NOT NULL ORDER BY n") == [(0,), (3,)]
    store.archive(info.id)
    assert ask("SELECT n FROM messages WHERE body IS NOT NULL ORDER BY n") == [(0,)]
    assert never.read(info.id, 0, 9) == [*messages, messages[1]]


@databases
def test_names_that_a_database_cannot_store_are_errors(store: FullStore) -> None:
    for name in ("a\0b", "\ud800"):
        with pytest.raises(UsageError):
            store.create(new_info(name), {})
        with pytest.raises(UsageError):
            store.create(new_info(user_id=name), {})
    key = store.create(new_info(), {}).info.id
    with pytest.raises(UsageError):
        store.update(key, name="a\0b")


@databases
def test_invalid_usage_figures_do_not_break_the_totals(store: FullStore) -> None:
    key = store.create(new_info(), {}).info.id
    most: Message = {"role": "assistant", "content": "", "usage": {"prompt_tokens": 2**53, "cost": 1e308}}
    for number in range(4):
        info = store.append(key, [most], expected=number)
    assert info.prompt_tokens == 2**53
    assert store.check() == []


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


# Connections


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
            info = store.create(new_info(), {}, user_messages(1, 2)).info
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


# Leases


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


# Repair


@databases
def test_issues_are_found_and_repaired_without_loss(store: FullStore, session: Session, ask: Ask) -> None:
    usage = {"prompt_tokens": 5, "cost": 0.5}
    session.append(*({**message, "usage": usage} for message in user_messages(*range(6))))
    ask("UPDATE messages SET body = '{\"role\": tor' WHERE n = 1")
    ask("UPDATE messages SET body = NULL, packed = :packed WHERE n = 2", packed=b"never compressed")
    ask("DELETE FROM messages WHERE n = 4")
    with pytest.raises(Damaged, match=session.id) as caught:
        store.read(session.id, 0, 9)
    assert "doctor" in caught.value.hint
    found = store.check()
    assert [(finding.session_id, finding.problem) for finding in found] == [
        (session.id, "2 of its messages cannot be read: 1, 2."),
        (session.id, "1 of its messages is missing."),
    ]
    assert store.check() == found
    repaired = store.check(repair=True)
    assert [(each.place, each.problem, each.repaired) for each in repaired] == [
        (each.place, each.problem, True) for each in found
    ]
    assert store.check() == store.check(repair=True) == []
    info = store.load(session.id).info
    assert (info.message_count, info.prompt_tokens, info.cost) == (3, 15, 1.5)
    assert [message["content"] for message in store.read(session.id, 0, 9)] == [0, 3, 5]
    assert ask("SELECT part, body FROM corrupt WHERE body IS NOT NULL") == [("message 1", '{"role": tor')]
    assert ask("SELECT count(*) FROM corrupt") == [(2,)]
    store.append(session.id, user_messages("new"), expected=3)


@databases
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE sessions SET message_count = 7",
        "UPDATE sessions SET message_count = 1",
        "UPDATE messages SET n = n - 10",
        "UPDATE sessions SET prompt_tokens = 1, cost = NULL",
        "UPDATE sessions SET bytes = 0",
        "UPDATE messages SET n = n + 10",
        "UPDATE sessions SET metadata = '[1]'",
        "UPDATE sessions SET parent = '{', tags = '3'",
    ],
)
def test_any_damage_is_repaired_in_one_run(store: FullStore, session: Session, ask: Ask, damage: str) -> None:
    usage = {"prompt_tokens": 5, "cost": 0.5}
    session.append(*({**message, "usage": usage} for message in user_messages(1, 2)))
    before = store.load(session.id).info
    ask(damage)
    assert all(not finding.repaired for finding in store.check())
    assert store.check()
    assert all(finding.repaired for finding in store.check(repair=True))
    assert store.check() == []
    assert store.load(session.id).info == before
    assert [message["content"] for message in store.read(session.id, 0, 9)] == [1, 2]


@databases
def test_messages_without_a_session_become_a_session(store: FullStore, ask: Ask) -> None:
    keys = [f"01990000-0000-7000-8000-00000000000{number}" for number in range(2)]
    for number, key in enumerate(keys):
        store.create(new_info(f"Notes {number}", id=key), {}, user_messages(number))
    assert isinstance(store, SqlStore)
    lose_sessions(store)
    assert store.list() == []
    assert {finding.session_id for finding in store.check()} == set(keys)
    store.check(repair=True)
    assert store.check() == []
    assert {info.id for info in store.list()} == set(keys)
    names = sorted(info.name for info in store.list())
    assert names == ["Recovered 2025-08-31 12:00", "Recovered 2025-08-31 12:00 2"]
    assert store.read(keys[1], 0, 9) == user_messages(1)


def lose_sessions(store: SqlStore) -> None:
    """Delete rows of sessions with the foreign keys switched off."""
    with store._database._engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            driver = connection.connection.driver_connection
            assert driver
            driver.executescript("PRAGMA foreign_keys=0; DELETE FROM sessions; PRAGMA foreign_keys=1;")
        else:
            for statement in (
                "ALTER TABLE messages DISABLE TRIGGER ALL",
                "ALTER TABLE sessions DISABLE TRIGGER ALL",
                "DELETE FROM sessions",
                "ALTER TABLE messages ENABLE TRIGGER ALL",
                "ALTER TABLE sessions ENABLE TRIGGER ALL",
            ):
                connection.execute(text(statement))
            connection.commit()


@databases
def test_expired_leases_are_removed(store: FullStore, session: Session, ask: Ask) -> None:
    store.lease(session.id, ProcessInfo.current("ann"))
    ask("UPDATE leases SET expires_at = 1")
    (finding,) = store.check()
    assert finding.place == "leases"
    assert store.check(repair=True)[0].repaired
    assert store.check() == []


@databases
def test_the_tables_are_readable(store: FullStore, session: Session, ask: Ask) -> None:
    session.append(*user_messages("naïve"))
    ((body,),) = ask("SELECT body FROM messages JOIN sessions ON id = session_id WHERE live_name = 'Notes'")
    assert json.loads(body)["content"] == "naïve"
    assert "naïve" in body


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
