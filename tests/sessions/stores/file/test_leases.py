"""Leases of sessions across threads, processes, kills and forks."""

import gc
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import pytest

from prompt_objects.errors import Busy, NotFound, StoreError
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from prompt_objects.sessions.stores.lease import ProcessInfo
from tests.support.paths import worker_path

pytest_plugins = ["tests.support.file_store_fixtures"]

WORKER = worker_path("lease")
ANN = ProcessInfo.current("ann")


def lease_file(folder: Path, session_id: str) -> Path:
    return folder / "sessions" / "leases" / f"{session_id}.json"


@contextmanager
def another_process_has(folder: Path, session_id: str, *fork: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Runs a process that holds the lease; yields it and its longest-lived process ID."""
    command = [sys.executable, WORKER, str(folder), session_id, *fork]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        last = int(process.stdout.readline())
        try:
            yield process, last
        finally:
            for number in {process.pid, last}:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)


def test_a_busy_lease_names_its_holder_and_the_options(file_store: FileStore, notes: Session) -> None:
    file_store.lease(notes.id, ANN)
    with pytest.raises(Busy) as caught:
        file_store.lease(notes.id, ProcessInfo.current("bob"))
    assert str(caught.value) == f'"Notes" is in use by {ANN}.'
    assert caught.value.holder == ANN == file_store.holder(notes.id)
    assert caught.value.hint == "Wait until it is free, continue in a branch, or watch it."


def test_a_lease_on_a_session_not_yet_created_names_it_by_its_id(file_store: FileStore) -> None:
    key = new_id()
    file_store.lease(key, ANN)
    with pytest.raises(Busy, match=key):
        file_store.lease(key, ANN)


def test_a_released_lease_is_free_and_leaves_no_file(folder: Path, file_store: FileStore, notes: Session) -> None:
    for _ in range(3):
        lease = file_store.lease(notes.id, ANN)
        assert json.loads(lease_file(folder, notes.id).read_bytes())["user"] == "ann"
        assert stat.S_IMODE(lease_file(folder, notes.id).stat().st_mode) == 0o600
        lease.release()
        lease.release()
        assert file_store.holder(notes.id) is None
        assert not lease_file(folder, notes.id).exists()


def test_releasing_again_does_not_release_the_lease_of_the_next_holder(file_store: FileStore, notes: Session) -> None:
    first = file_store.lease(notes.id, ANN)
    first.release()
    bob = ProcessInfo.current("bob")
    second = file_store.lease(notes.id, bob)
    first.release()
    assert file_store.holder(notes.id) == bob
    second.release()


def test_the_holding_process_is_named_and_killing_it_frees_the_lease(folder: Path, notes: Session) -> None:
    store = FileStore(folder)
    with another_process_has(folder, notes.id) as (process, _):
        holder = store.holder(notes.id)
        assert holder
        assert (holder.user, holder.pid) == ("ann", process.pid)
        with pytest.raises(Busy, match=rf'"Notes" is in use by ann \(process {process.pid} on '):
            store.lease(notes.id, ANN)
        process.kill()
        process.wait()
        assert store.holder(notes.id) is None
        store.lease(notes.id, ANN).release()


def test_a_forked_child_does_not_keep_the_leases_of_its_parent(folder: Path, notes: Session) -> None:
    store = FileStore(folder)
    with another_process_has(folder, notes.id, "fork") as (process, child):
        holder = store.holder(notes.id)
        assert holder
        assert holder.pid == process.pid
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        store.lease(notes.id, ANN).release()


def test_a_lease_has_one_holder_at_a_time(folder: Path, notes: Session) -> None:
    stores = [FileStore(folder) for _ in range(6)]
    at_it: list[int] = []
    most: list[int] = []

    def work(number: int) -> int:
        turns = 0
        while turns < 15:
            try:
                lease = stores[number].lease(notes.id, ANN)
            except Busy:
                continue
            at_it.append(number)
            most.append(len(at_it))
            stores[number].holder(notes.id)
            at_it.remove(number)
            turns += 1
            lease.release()
        return turns

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, range(6))) == 90
    assert max(most) == 1


def test_reading_the_holder_does_not_block_acquiring(folder: Path, notes: Session) -> None:
    looker, taker = FileStore(folder), FileStore(folder)
    taker.lease(notes.id, ANN).release()
    done = Event()

    def look() -> None:
        while not done.wait(0.001):
            looker.holder(notes.id)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            for _ in range(200):
                lease_file(folder, notes.id).touch()  # as a killed process leaves it
                taker.lease(notes.id, ANN).release()
        finally:
            done.set()
        looking.result()


@pytest.mark.parametrize("garbage", [b"", b"\0" * 20, b"[]", b'{"user":'])
def test_a_holder_that_cannot_be_read_is_another_user(
    folder: Path, file_store: FileStore, notes: Session, garbage: bytes
) -> None:
    lease = file_store.lease(notes.id, ANN)
    lease_file(folder, notes.id).write_bytes(garbage)
    with pytest.raises(Busy, match=r'^"Notes" is in use by another process\.$'):
        file_store.lease(notes.id, ANN)
    holder = file_store.holder(notes.id)
    assert holder
    assert holder.user == "another user"
    lease.release()


def test_an_invalid_lease_file_without_a_holder_blocks_nothing(
    folder: Path, file_store: FileStore, notes: Session
) -> None:
    lease_file(folder, notes.id).parent.mkdir()
    lease_file(folder, notes.id).write_bytes(b"garbage" * 1000)
    assert file_store.holder(notes.id) is None
    lease_file(folder, notes.id).write_bytes(b"garbage" * 1000)
    lease = file_store.lease(notes.id, ANN)
    assert file_store.holder(notes.id) == ANN
    lease.release()


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "x" * 36])
def test_an_invalid_id_is_not_found(file_store: FileStore, key: str) -> None:
    for use in (file_store.holder, lambda key: file_store.lease(key, ANN)):
        with pytest.raises(NotFound):
            use(key)


def test_a_lease_that_cannot_be_written_raises_store_error(
    folder: Path, file_store: FileStore, notes: Session
) -> None:
    lease_file(folder, notes.id).parent.write_text("a file in the place of the folder")
    with pytest.raises(StoreError, match="could not be written"):
        file_store.lease(notes.id, ANN)
    assert file_store.load(notes.id).info == notes.info


def test_a_lease_ends_with_its_store(folder: Path, notes: Session) -> None:
    store = FileStore(folder)
    store.lease(notes.id, ANN)
    gc.collect()
    with pytest.raises(Busy):
        FileStore(folder).lease(notes.id, ANN)
    del store
    gc.collect()
    FileStore(folder).lease(notes.id, ANN).release()
