"""Copying between stores: complete, verified, repeatable, and without overwriting."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from prompt_objects.errors import StoreError
from prompt_objects.sessions.info import ParentCall
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.store_copy import CopyResult, copy_store, digest
from prompt_objects.sessions.stores.base import Store, StoreOptions
from prompt_objects.sessions.stores.registry import open_store
from tests.support.sessions import user_messages
from tests.support.store_urls import Opener

pytest_plugins = ["tests.support.store_fixtures"]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"files:{tmp_path / 'target'}")
    yield store
    store.close()


@pytest.fixture
def copy(store: Store, target: Store) -> Callable[[], dict[str, CopyResult]]:
    return lambda: {copied.name: copied for copied in copy_store(store, target, lambda _done, _all: None)}


@pytest.fixture
def sessions(manager: SessionManager) -> dict[str, str]:
    """Fill the source; return the ids by name."""
    notes = manager.create("Notes", metadata={"a": [1, {"b": "\u2028"}]})
    notes.append(
        *user_messages("one", "\ud800"), {"role": "assistant", "content": "two", "usage": {"prompt_tokens": 3}}
    )
    child = manager.create("Child", parent=ParentCall(session=notes.id, call="c"))
    cold = manager.create("Cold")
    cold.append(*user_messages("brr"))
    manager.archive("Cold")
    deleted = manager.create("Gone")
    deleted.append(*user_messages("bye"))
    manager.delete("Gone")
    manager.create("Gone")
    return {"Notes": notes.id, "Child": child.id, "Cold": cold.id}


def test_everything_is_copied_and_the_source_is_unchanged(
    store: Store, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, CopyResult]]
) -> None:
    before = (store.list(), store.trash())
    copied = copy_store(store, target, lambda _done, _all: None)
    assert [each.outcome for each in copied] == ["copied"] * 5
    assert target.list() == store.list()
    assert [entry.info for entry in target.trash()] == [entry.info for entry in store.trash()]
    for info in store.list():
        assert target.load(info.id).metadata == store.load(info.id).metadata
        assert target.read(info.id, 0, 99) == store.read(info.id, 0, 99)
    trashed = store.trash()[0].info.id
    assert target.read_trashed(trashed) == store.read_trashed(trashed)
    assert (store.list(), store.trash()) == before


def test_a_second_copy_skips_equal_sessions_and_completes_longer_ones(
    manager: SessionManager, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, CopyResult]]
) -> None:
    copy()
    assert {each.outcome for each in copy().values()} == {"same"}
    manager.get("Notes").append(*user_messages("four"))
    manager.create("Later")
    assert {name: each.outcome for name, each in copy().items() if each.outcome != "same"} == {
        "Notes": "completed",
        "Later": "copied",
    }
    assert target.read(sessions["Notes"], 0, 99) == manager.store.read(sessions["Notes"], 0, 99)


def test_a_different_session_is_kept_and_reported(
    manager: SessionManager, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, CopyResult]]
) -> None:
    copy()
    SessionManager(target, "reader").get("Notes").append(*user_messages("on its own"))
    manager.get("Notes").append(*user_messages("four"))
    target.delete(sessions["Cold"])
    outcomes = {name: each.outcome for name, each in copy().items()}
    assert outcomes["Notes"] == outcomes["Cold"] == "different"
    assert target.read(sessions["Notes"], 3, 99)[0]["content"] == "on its own"
    assert target.trash()[0].info.name == "Cold"


def test_a_name_that_is_taken_gets_a_number(
    target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, CopyResult]]
) -> None:
    SessionManager(target, "reader").create("Notes")
    assert copy()["Notes"].renamed == "Notes 2"
    assert target.load(sessions["Notes"]).info.name == "Notes 2"
    assert copy()["Notes"].outcome == "same"


def test_an_interrupted_copy_of_trash_is_completed(
    store: Store, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, CopyResult]]
) -> None:
    record, messages = store.read_trashed(store.trash()[0].info.id)
    target.create(record.info, record.metadata, messages)
    copy()
    assert [entry.info.id for entry in target.trash()] == [record.info.id]


def test_an_interrupted_copy_of_an_archived_session_is_completed(
    store: Store, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, CopyResult]]
) -> None:
    record = store.load(sessions["Cold"])
    target.create(replace(record.info, archived=False), record.metadata, store.read(record.info.id, 0, 9))
    assert copy()["Cold"].outcome == "same"
    assert target.load(record.info.id).info.archived


def test_an_interrupted_copy_of_an_archived_session_in_the_trash_is_completed(
    manager: SessionManager, store: Store, target: Store, sessions: dict[str, str]
) -> None:
    manager.delete("Cold")
    record, messages = store.read_trashed(sessions["Cold"])
    target.create(replace(record.info, archived=False), record.metadata, messages)
    copy_store(store, target, lambda _done, _of: None)
    assert target.read_trashed(sessions["Cold"])[0].info.archived
    restored = target.restore(sessions["Cold"])
    assert (restored.info.archived, restored.info.message_count) == (True, 1)


def test_another_name_in_the_target_is_kept_and_reported(
    manager: SessionManager, target: Store, sessions: dict[str, str], copy: Callable[[], dict[str, CopyResult]]
) -> None:
    assert {each.renamed for each in copy().values()} == {None}
    manager.rename("Notes", "Travel")
    again = copy()["Travel"]
    assert (again.outcome, again.renamed) == ("same", "Notes")
    assert target.load(sessions["Notes"]).info.name == "Notes"


def test_a_target_that_cannot_be_used_raises_store_error_even_for_an_empty_source(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "notes.db").write_text("no database at all, but a text that is longer than a header " * 20)
    for url in (f"sqlite:///{tmp_path / 'notes.db'}", "postgresql://ann@127.0.0.1:1/x"):
        with closing(open_store(url)) as refusing, pytest.raises(StoreError):
            copy_store(store, refusing, lambda _done, _of: None)


def test_the_size_limit_does_not_apply_to_copies(
    manager: SessionManager, open_again: Opener, tmp_path: Path, sessions: dict[str, str]
) -> None:
    with closing(open_store(f"files:{tmp_path / 'small'}", StoreOptions(max_session_size=500))) as small:
        for _ in range(2):
            manager.get("Notes").append(*user_messages("x" * 1000))
            copied = copy_store(manager.store, small, lambda _done, _of: None)
        assert {each.name: each.outcome for each in copied}["Notes"] == "completed"


def test_several_copies_into_one_target_at_the_same_time_all_finish(
    manager: SessionManager, store: Store, tmp_path: Path, sessions: dict[str, str]
) -> None:
    for number in range(6):
        manager.create(f"Old {number}").append(*user_messages("one"))
        manager.archive(f"Old {number}")
        manager.delete(f"Old {number}")
        manager.create(f"More {number}").append(*user_messages("two"))
    urls = [f"{kind}{tmp_path / name}" for kind, name in (("files:", "many"), ("sqlite:///", "many.db"))]
    for url in urls:
        with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
            targets = [stack.enter_context(closing(open_store(url))) for _ in range(4)]
            runs = list(pool.map(lambda target: copy_store(store, target, lambda _done, _of: None), targets))
            assert {each.outcome for run in runs for each in run} <= {"copied", "same"}
            assert {(each.renamed, len(run)) for run in runs for each in run} == {(None, 17)}
            assert {info.id: info for info in targets[0].list()} == {info.id: info for info in store.list()}
            trashed = [{each.info.id: each.info for each in each_store.trash()} for each_store in (targets[0], store)]
            assert trashed[0] == trashed[1]


def test_progress_goes_from_zero_to_all(store: Store, target: Store, sessions: dict[str, str]) -> None:
    progress: list[tuple[int, int]] = []
    copy_store(store, target, lambda done, of: progress.append((done, of)))
    assert progress == [(number, 5) for number in range(6)]


def test_different_histories_have_different_digests() -> None:
    assert digest(user_messages("a", "b")) == digest(user_messages("a", "b"))
    assert len({digest(user_messages(*texts)) for texts in (["a", "b"], ["b", "a"], ["ab"], ["a"], [])}) == 5


WORKER = """
import sys
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.sessions.store_copy import copy_store

source, target = map(open_store, sys.argv[1:])
copy_store(source, target, lambda done, of: print(done, flush=True))
"""


def test_a_copy_killed_at_any_moment_can_be_run_again(tmp_path: Path, target: Store) -> None:
    source_url, target_url = (f"files:{tmp_path / name}" for name in ("source", "target"))
    source = open_store(source_url)
    manager = SessionManager(source, "reader")
    for number in range(20):
        manager.create(f"Notes {number}").append(*user_messages("one", "two"))
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
    outcomes = {each.outcome for each in copy_store(source, target, lambda _done, _of: None)}
    assert outcomes <= {"copied", "same"}
    assert target.list() == source.list()
    trashed = [{entry.info.id: entry.info for entry in store.trash()} for store in (source, target)]
    assert trashed[0] == trashed[1]
    for info in source.list():
        assert target.read(info.id, 0, 9) == source.read(info.id, 0, 9)
    source.close()
