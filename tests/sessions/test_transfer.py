"""Copying between stores: all of it, verified, again and again, and nothing overwritten."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.record import Parent
from prompt_objects.sessions.stores import Store, open_store
from prompt_objects.sessions.transfer import Copied, copy_all, digest

pytest_plugins = ["every_store"]


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text} for text in texts]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"files:{tmp_path / 'target'}")
    yield store
    store.close()


@pytest.fixture
def copy(store: Store, target: Store) -> Callable[[], dict[str, Copied]]:
    return lambda: {copied.name: copied for copied in copy_all(store, target, lambda _done, _all: None)}


@pytest.fixture
def sessions(manager: SessionManager) -> dict[str, str]:
    """Fill the source; return the ids by name."""
    notes = manager.create("Notes", metadata={"a": [1, {"b": "\u2028"}]})
    notes.append(*said("one", "\ud800"), {"role": "assistant", "content": "two", "usage": {"prompt_tokens": 3}})
    child = manager.create("Child", parent=Parent(session=notes.id, call="c"))
    cold = manager.create("Cold")
    cold.append(*said("brr"))
    manager.archive("Cold")
    gone = manager.create("Gone")
    gone.append(*said("bye"))
    manager.delete("Gone")
    manager.create("Gone")
    return {"Notes": notes.id, "Child": child.id, "Cold": cold.id}


def test_everything_comes_along_and_the_source_stays(
    store: Store, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, Copied]]
) -> None:
    before = (store.sessions(), store.trash())
    copied = copy_all(store, target, lambda _done, _all: None)
    assert [each.outcome for each in copied] == ["copied"] * 5
    assert target.sessions() == store.sessions()
    assert [entry.info for entry in target.trash()] == [entry.info for entry in store.trash()]
    for info in store.sessions():
        assert target.load(info.id).metadata == store.load(info.id).metadata
        assert target.read(info.id, 0, 99) == store.read(info.id, 0, 99)
    trashed = store.trash()[0].info.id
    assert target.read_trashed(trashed) == store.read_trashed(trashed)
    assert (store.sessions(), store.trash()) == before


def test_again_it_passes_over_what_is_the_same_and_completes_what_has_grown(
    manager: SessionManager, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, Copied]]
) -> None:
    copy()
    assert {each.outcome for each in copy().values()} == {"same"}
    manager.get("Notes").append(*said("four"))
    manager.create("Later")
    assert {name: each.outcome for name, each in copy().items() if each.outcome != "same"} == {
        "Notes": "completed",
        "Later": "copied",
    }
    assert target.read(sessions["Notes"], 0, 99) == manager.store.read(sessions["Notes"], 0, 99)


def test_what_is_different_is_left_and_reported(
    manager: SessionManager, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, Copied]]
) -> None:
    copy()
    SessionManager(target, "reader").get("Notes").append(*said("on its own"))
    manager.get("Notes").append(*said("four"))
    target.delete(sessions["Cold"])
    outcomes = {name: each.outcome for name, each in copy().items()}
    assert outcomes["Notes"] == outcomes["Cold"] == "different"
    assert target.read(sessions["Notes"], 3, 99)[0]["content"] == "on its own"
    assert target.trash()[0].info.name == "Cold"


def test_a_name_that_is_taken_gets_a_number(
    target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, Copied]]
) -> None:
    SessionManager(target, "reader").create("Notes")
    assert copy()["Notes"].renamed == "Notes 2"
    assert target.load(sessions["Notes"]).info.name == "Notes 2"
    assert copy()["Notes"].outcome == "same"


def test_one_that_was_to_go_to_the_trash_when_it_was_interrupted_goes_there(
    store: Store, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, Copied]]
) -> None:
    record, messages = store.read_trashed(store.trash()[0].info.id)
    target.create(record.info, record.metadata, messages)
    copy()
    assert [entry.info.id for entry in target.trash()] == [record.info.id]


def test_progress_goes_from_nothing_to_all(store: Store, target: Store, sessions: dict[str, str]) -> None:
    seen: list[tuple[int, int]] = []
    copy_all(store, target, lambda done, of: seen.append((done, of)))
    assert seen == [(number, 5) for number in range(6)]


def test_the_digest_tells_any_two_histories_apart() -> None:
    assert digest(said("a", "b")) == digest(said("a", "b"))
    assert len({digest(said(*texts)) for texts in (["a", "b"], ["b", "a"], ["ab"], ["a"], [])}) == 5


WORKER = """
import sys
from prompt_objects.sessions.stores import open_store
from prompt_objects.sessions.transfer import copy_all

source, target = map(open_store, sys.argv[1:])
copy_all(source, target, lambda done, of: print(done, flush=True))
"""


def test_it_may_be_killed_at_any_moment_and_run_again(tmp_path: Path, target: Store) -> None:
    source_url, target_url = (f"files:{tmp_path / name}" for name in ("source", "target"))
    source = open_store(source_url)
    manager = SessionManager(source, "reader")
    for number in range(20):
        manager.create(f"Notes {number}").append(*said("one", "two"))
        if number % 3 == 0:
            manager.delete(f"Notes {number}")
    pauses = random.Random(5)
    for number in range(1, 7):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, source_url, target_url], stdout=subprocess.PIPE)
        assert worker.stdout
        while int(worker.stdout.readline()) < 3 * number:
            pass
        time.sleep(pauses.uniform(0.0, 0.003))
        worker.kill()
        worker.wait()
        worker.stdout.close()
    outcomes = {each.outcome for each in copy_all(source, target, lambda _done, _of: None)}
    assert outcomes <= {"copied", "same"}
    assert target.sessions() == source.sessions()
    trashed = [{entry.info.id: entry.info for entry in store.trash()} for store in (source, target)]
    assert trashed[0] == trashed[1]
    for info in source.sessions():
        assert target.read(info.id, 0, 9) == source.read(info.id, 0, 9)
    source.close()
