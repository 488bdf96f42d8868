"""Concurrent creations by threads: each gets its own outcome, and no acknowledged session is lost."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from msgspec.structs import replace

from prompt_objects.errors import NameTaken, StoreError, UsageError
from prompt_objects.sessions.info import ParentCall
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.paths import worker_path

WORKER = worker_path("creating")


def at_once(*operations: Callable[[], Any]) -> list[Any]:
    """Run each operation in its own thread; return the results or exceptions."""
    barrier = Barrier(len(operations))

    def do(operation: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return operation()
        except (StoreError, NameTaken, UsageError, UnicodeEncodeError) as error:
            return error

    with ThreadPoolExecutor(len(operations)) as pool:
        return list(pool.map(do, operations))


def test_each_thread_gets_only_its_own_outcome(tmp_path: Path) -> None:
    with closing(FileStore(tmp_path)) as store:
        manager = SessionManager(store, "reader")
        there = manager.create("There").info
        for number in range(10):
            name = f"New {number}"
            made, second, taken, known, unfit = at_once(
                partial(manager.create, name),
                partial(manager.create, name),
                partial(manager.create, "There"),
                partial(store.create, replace(there, name=f"{name} again"), {}),
                partial(manager.create, f"{name} unfit", metadata={"x": float("nan")}),
            )
            assert {type(made), type(second)} == {type(manager.get(name)), NameTaken}
            assert isinstance(taken, NameTaken)
            assert isinstance(known, StoreError)
            assert isinstance(unfit, UsageError)
        names = {info.name for info in manager.list()}
        assert names == {"There", *(f"New {number}" for number in range(10))}
        assert store.check() == []


def test_concurrent_creations_with_the_same_id_create_one_session(tmp_path: Path) -> None:
    with closing(FileStore(tmp_path)) as store:
        manager = SessionManager(store, "reader")
        for _ in range(20):
            info = manager.draft("Same").info
            candidates = [
                [{"role": "user", "content": f"{number}", "at": "2026-01-01T00:00:00Z"}] for number in range(3)
            ]
            made = at_once(*(partial(store.create, info, {}, messages, unique_name=True) for messages in candidates))
            (winner,) = (number for number, outcome in enumerate(made) if not isinstance(outcome, StoreError))
            assert store.read(info.id, 0, 9) == candidates[winner]
        assert store.check() == []


@pytest.mark.parametrize("unfit", ["name", "parent"])
def test_invalid_data_fails_only_its_own_creation(tmp_path: Path, unfit: str) -> None:
    with closing(FileStore(tmp_path)) as store:
        manager = SessionManager(store, "reader")
        for number in range(20):
            info = manager.draft("Bad").info
            info = (
                replace(info, name="\ud800") if unfit == "name" else replace(info, parent=ParentCall("s", "\ud800"))
            )
            bad = partial(store.create, info, {}, unique_name=True)
            good = partial(manager.create, f"Good {number}")
            outcomes = at_once(good, bad, partial(manager.create, f"Fine {number}"))
            assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
        assert len(manager.list()) == 40
        assert store.check() == []


def test_if_the_index_is_not_available_every_creation_fails_and_nothing_is_created(tmp_path: Path) -> None:
    obstacle = tmp_path / "sessions" / "index.json.lock"
    obstacle.mkdir(parents=True)
    with closing(FileStore(tmp_path)) as store:
        manager = SessionManager(store, "reader")
        operations = [partial(manager.create, "New", unique_name=True)] * 6
        assert [type(outcome) for outcome in at_once(*operations)] == [StoreError] * 6
        assert list((tmp_path / "sessions").glob("*-*")) == []
        obstacle.rmdir()
        assert {session.name for session in at_once(*operations)} == {
            "New",
            *(f"New {number}" for number in range(2, 7)),
        }


@pytest.mark.parametrize("milliseconds", [0, 3, 10, 30, 60, 100])
def test_a_killed_process_loses_no_session_it_acknowledged(tmp_path: Path, milliseconds: int) -> None:
    with subprocess.Popen([sys.executable, WORKER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(milliseconds / 1000)
        process.kill()
        acknowledged = (first + process.stdout.read()).decode().splitlines()
    with closing(FileStore(tmp_path)) as store:
        infos = {info.id: info for info in store.list()}
        assert [info.message_count for info in infos.values()] == [1] * len(infos)
        assert len({info.name for info in infos.values()}) == len(infos)
        for session_id, name in (line.split(" ", 1) for line in acknowledged):
            assert infos[session_id].name == name
        left = store.check(repair=True)
        assert all(finding.place.endswith(".tmp") for finding in left)
        assert {info.id for info in store.list()} == set(infos)
