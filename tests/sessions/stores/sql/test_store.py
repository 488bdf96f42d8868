"""Guarantees of the SQL store only: its URL, tables, privacy, compression."""

import json
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prompt_objects.errors import NewerEnvironment, StoreError, UsageError
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.sessions.stores.sql.store import SqlStore
from tests.support.sessions import new_info, user_messages
from tests.support.sql_store import Ask, databases, sqlite_only
from tests.support.store_urls import FullStore, Opener, open_full_store

if TYPE_CHECKING:
    from prompt_objects.message import Message

pytest_plugins = ["tests.support.store_fixtures"]


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
    ask("UPDATE meta SET value = '3' WHERE name = 'schema_version'")
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
def test_the_tables_are_readable(store: FullStore, session: Session, ask: Ask) -> None:
    session.append(*user_messages("naïve"))
    ((body,),) = ask("SELECT body FROM messages JOIN sessions ON id = session_id WHERE live_name = 'Notes'")
    assert json.loads(body)["content"] == "naïve"
    assert "naïve" in body
