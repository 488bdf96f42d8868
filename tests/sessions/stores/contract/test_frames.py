"""The contract of request frames in every store: each is kept once, under its digest, until it is removed."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from prompt_objects.errors import Damaged, NotFound, StoreError
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.frames import digest_of
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.sessions.stores.sql.store import SqlStore
from tests.support.store_urls import OUTSIDE, FullStore, Opener
from tests.support.store_workers import Worker

pytest_plugins = ["tests.support.store_fixtures"]

NEVER = "0" * 64
ALWAYS = timedelta(seconds=-1)  # every frame is unused for so long
HOUR = timedelta(hours=1)
databases = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


def frame(prompt: Any = "You look.") -> bytes:
    return encode({"model": "m", "messages": [{"role": "system", "content": prompt}], "tools": []})


@pytest.fixture
def ask(store: FullStore) -> Callable[..., list[Any]]:
    """Runs a statement in the database, bypassing the store, and returns its rows."""
    assert isinstance(store, SqlStore)
    database = store._database
    store.list()  # creates the tables

    def run_statement(statement: str, **values: Any) -> list[Any]:
        with database._engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    return run_statement


@pytest.mark.parametrize("prompt", ["", "naïve \u2028 日本語 \x00", "\ud800", "long " * 50_000, {"a": [1.5, None]}])
def test_a_frame_comes_back_byte_for_byte(store: FullStore, open_again: Opener, prompt: Any) -> None:
    digest = store.frames.keep(frame(prompt))
    assert digest == digest_of(frame(prompt))
    assert store.frames.get(digest) == open_again().frames.get(digest) == frame(prompt)


def test_a_frame_is_kept_once_by_any_number_of_threads_and_handles(open_again: Opener) -> None:
    stores = [open_again() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda number: stores[number % 4].frames.keep(frame(number % 3)), range(48)))
    assert digests == stores[0].frames.list().keys() == {digest_of(frame(number)) for number in range(3)}


@pytest.mark.parametrize("digest", [NEVER, "../../etc/passwd", "", "x" * 64, "\x00"])
def test_a_frame_that_was_never_kept_is_not_found_and_not_removed(store: FullStore, digest: str) -> None:
    with pytest.raises(NotFound):
        store.frames.get(digest)
    assert not store.frames.remove(digest, unused_for=ALWAYS)
    assert store.frames.list() == {}


def test_a_frame_is_removed_only_if_it_was_not_used_in_the_given_time(store: FullStore) -> None:
    digest, other = store.frames.keep(frame(1)), store.frames.keep(frame(2))
    assert all(timedelta(seconds=-1) < age < timedelta(minutes=1) for age in store.frames.list().values())
    assert not store.frames.remove(digest, unused_for=HOUR)
    assert store.frames.get(digest) == frame(1)
    assert store.frames.remove(digest, unused_for=ALWAYS)
    assert not store.frames.remove(digest, unused_for=ALWAYS)
    assert store.frames.list().keys() == {other}
    with pytest.raises(NotFound):
        store.frames.get(digest)
    assert store.frames.keep(frame(1)) == digest
    assert store.frames.get(digest) == frame(1)


def test_a_removal_beside_a_writer_never_loses_a_frame_in_use(
    open_again: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer renews the time at each use; the remover only removes what is unused for a minute."""
    for module in ("file", "sql"):
        monkeypatch.setattr(f"prompt_objects.sessions.stores.{module}.frames.RENEW", timedelta(0))
    writer, remover = open_again(), open_again()
    digest = writer.frames.keep(frame())

    def keep() -> None:
        for _ in range(300):
            writer.frames.keep(frame())

    with ThreadPoolExecutor(2) as pool:
        keeping = pool.submit(keep)
        while not keeping.done():
            assert not remover.frames.remove(digest, unused_for=timedelta(minutes=1))
        keeping.result()
    assert open_again().frames.get(digest) == frame()


def test_a_frame_kept_after_a_removal_has_begun_is_there(open_again: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("file", "sql"):
        monkeypatch.setattr(f"prompt_objects.sessions.stores.{module}.frames.RENEW", timedelta(0))
    writer, remover = open_again(), open_again()
    with ThreadPoolExecutor(2) as pool:
        for number in range(60):
            digest = writer.frames.keep(frame(number))
            removing = pool.submit(remover.frames.remove, digest, unused_for=ALWAYS)
            kept = pool.submit(writer.frames.keep, frame(number))
            was_removed = removing.result()
            kept.result()
            writer.frames.keep(frame(number))
            assert was_removed
            assert writer.frames.get(digest) == frame(number)


@pytest.mark.parametrize("url", OUTSIDE, indirect=True)
def test_an_acknowledged_frame_survives_the_death_of_its_writer(url: str, store: FullStore) -> None:
    with Worker(url) as other:
        other.do("keep", frame().decode())
        other.kill()
    assert store.frames.get(digest_of(frame())) == frame()


def test_a_forked_child_and_its_parent_keep_frames(store: FullStore) -> None:
    store.frames.keep(frame("before"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.frames.keep(frame("child"))
            code = int(store.frames.get(digest_of(frame("before"))) != frame("before"))
        finally:
            os._exit(code)
    store.frames.keep(frame("parent"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.frames.get(digest_of(frame("parent"))) == frame("parent")


class TestDatabases:
    @databases
    def test_a_known_frame_is_not_written_again(
        self, store: FullStore, open_again: Opener, ask: Callable[..., list[Any]]
    ) -> None:
        store.frames.keep(frame())
        ask("UPDATE frames SET used_at = 1")
        store.frames.keep(frame())
        assert ask("SELECT used_at FROM frames") == [(1,)]
        open_again().frames.keep(frame())  # another process renews it
        ((used_at,),) = ask("SELECT used_at FROM frames")
        assert abs(used_at / 1_000_000 - time.time()) < 60

    @databases
    def test_a_damaged_frame_is_reported_and_repaired_by_the_next_keep(
        self, store: FullStore, ask: Callable[..., list[Any]]
    ) -> None:
        digest = store.frames.keep(frame())
        ask("UPDATE frames SET content = '{}'")
        with pytest.raises(Damaged):
            store.frames.get(digest)
        store.frames.keep(frame())
        assert store.frames.get(digest) == frame()

    @databases
    def test_tables_of_version_1_are_upgraded_once_by_any_number_of_stores(
        self, open_again: Opener, ask: Callable[..., list[Any]]
    ) -> None:
        ask("DROP TABLE frames")
        ask("UPDATE meta SET value = '1' WHERE name = 'schema_version'")
        stores = [open_again() for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda store: store.frames.keep(frame()), stores))
        assert ask("SELECT value FROM meta WHERE name = 'schema_version'") == [("2",)]
        assert ask("SELECT digest FROM frames") == [(digest_of(frame()),)]

    @databases
    def test_tables_of_version_1_are_read_without_an_upgrade(
        self, open_again: Opener, ask: Callable[..., list[Any]]
    ) -> None:
        ask("DROP TABLE frames")
        ask("UPDATE meta SET value = '1' WHERE name = 'schema_version'")
        reader = open_again(StoreOptions(read_only=True))
        assert (reader.list(), reader.frames.list()) == ([], {})
        with pytest.raises(NotFound):
            reader.frames.get(NEVER)
        with pytest.raises(StoreError, match="for reading only"):
            reader.frames.keep(frame())
        assert ask("SELECT value FROM meta WHERE name = 'schema_version'") == [("1",)]

    @databases
    def test_a_table_of_another_program_named_frames_is_not_used(
        self, open_again: Opener, ask: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("prompt_objects.sessions.stores.sql.database._TABLE_PAUSE", 0)
        ask("DROP TABLE frames")
        ask("CREATE TABLE frames (picture text)")
        ask("UPDATE meta SET value = '1' WHERE name = 'schema_version'")
        with pytest.raises(StoreError, match="another program"):
            open_again().list()
        assert ask("SELECT value FROM meta WHERE name = 'schema_version'") == [("1",)]
