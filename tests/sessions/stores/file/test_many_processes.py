"""Concurrent processes and threads, and a full disk, lose nothing that was acknowledged."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from prompt_objects.errors import NotFound
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import file_store_with_notices
from tests.support.paths import worker_path

WORKER = worker_path("append")
LISTING_WORKER = worker_path("listing")


def start(folder: Path, name: str, writer: str, count: int, *limit: int) -> "subprocess.Popen[str]":
    command = [sys.executable, WORKER, str(folder), name, writer, str(count), *map(str, limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def contents_in(folder: Path, name: str) -> list[str]:
    with closing(FileStore(folder)) as store:
        session = SessionManager(store, "reader").get(name)
        return [message["content"] for message in session.history]


def infos_in(folder: Path) -> list[SessionInfo]:
    with closing(FileStore(folder)) as store:
        return store.list()


def check_json(folder: Path) -> None:
    for path in (folder / "sessions").glob("*.json"):
        json.loads(path.read_bytes())


@pytest.mark.parametrize("names", [["One"] * 8, [f"Notes {number}" for number in range(8)]], ids=["one", "eight"])
def test_eight_processes_lose_nothing(tmp_path: Path, names: list[str]) -> None:
    workers = [start(tmp_path, name, f"w{number}", 20) for number, name in enumerate(names)]
    for worker in workers:
        worker.communicate()
        assert worker.returncode == 0
    everything = [content for name in dict.fromkeys(names) for content in contents_in(tmp_path, name)]
    for number in range(8):
        own = [content for content in everything if content.startswith(f"w{number} ")]
        assert own == [f"w{number} {index}" for index in range(20)]
    check_json(tmp_path)
    infos = infos_in(tmp_path)
    assert {info.name for info in infos} == set(names)
    assert sum(info.message_count for info in infos) == 160


def test_a_message_that_comes_while_another_looks_is_not_written_over(tmp_path: Path) -> None:
    """A reader takes no lock; it must not take bytes of a concurrent write for the footer."""
    with closing(FileStore(tmp_path)) as store:
        session = SessionManager(store, "reader").create("Notes")
    command = [sys.executable, LISTING_WORKER, str(tmp_path), session.id]
    workers = [
        subprocess.Popen([*command, f"w{number}", "1500"], stdout=subprocess.PIPE, text=True) for number in range(4)
    ]
    acknowledged = [int(worker.communicate()[0]) for worker in workers]
    assert len(contents_in(tmp_path, "Notes")) == sum(acknowledged)


def test_threads_and_processes_that_restore_the_same_session_get_it_once(tmp_path: Path) -> None:
    stores = [FileStore(tmp_path) for _ in range(6)]
    session = SessionManager(stores[0], "reader").create("Notes")

    def restore(store: FileStore) -> bool:
        try:
            store.trash()
            store.restore(session.id)
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        for _ in range(30):
            stores[0].delete(session.id)
            SessionManager(stores[0], "reader").create("Notes")  # so that restoring renames it as well
            assert sum(pool.map(restore, stores)) == 1
            assert stores[0].load(session.id).info.name == "Notes 2"
            SessionManager(stores[0], "reader").delete("Notes")
            stores[0].update(session.id, name="Notes")
    for store in stores:
        store.close()


def test_a_store_may_be_closed_while_threads_write(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    sessions = [SessionManager(store, "reader").create() for _ in range(4)]

    def write(session: Session) -> None:
        for number in range(60):
            session.append({"role": "user", "content": number})
            SessionManager(store, "reader").get(session.id)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(write, session) for session in sessions]
        while not all(future.done() for future in done):
            store.close()
        for future in done:
            future.result()
    assert [info.message_count for info in infos_in(tmp_path)] == [60] * 4
    store.close()


@pytest.mark.parametrize("limit", [*range(1500, 1700, 40), 4096, 4097, 4180, 8300])  # within a block, and beyond
def test_a_full_disk_refuses_and_changes_nothing(tmp_path: Path, limit: int) -> None:
    worker = start(tmp_path, "Notes", "w", 1000, limit)
    *acknowledged, refusal = worker.communicate()[0].splitlines()
    assert worker.returncode == 0
    assert refusal.startswith("refused The file would exceed the maximum file size.")
    assert contents_in(tmp_path, "Notes") == [f"w {index}" for index in range(len(acknowledged))]
    assert len(acknowledged) > 3
    check_json(tmp_path)
    assert start(tmp_path, "Notes", "later", 1).communicate()[0] == "0\n"
    assert contents_in(tmp_path, "Notes")[-1] == "later 0"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_and_its_parent_do_not_share_a_lock(tmp_path: Path) -> None:
    session = SessionManager(FileStore(tmp_path), "reader").create("Notes")
    session.append({"role": "user", "content": "parent"})
    child = os.fork()
    if child == 0:
        try:
            session.append({"role": "user", "content": "child"})
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert [message["content"] for message in session.refresh()] == ["child"]
    session.append({"role": "user", "content": "parent again"})
    assert contents_in(tmp_path, "Notes") == ["parent", "child", "parent again"]


def test_a_reader_never_takes_another_s_write_for_damage(tmp_path: Path) -> None:
    worker = start(tmp_path, "Notes", "w", 400)
    assert worker.stdout
    worker.stdout.readline()
    store, notices = file_store_with_notices(tmp_path)
    session = SessionManager(store, "reader").get("Notes")
    while worker.poll() is None:
        session.refresh()
        assert store.list()[0].name == "Notes"
    worker.communicate()
    session.refresh()
    assert session.message_count == 400
    assert notices == []
    assert not list(tmp_path.rglob("*.corrupt"))
