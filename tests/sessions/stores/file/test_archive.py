"""Archived sessions are compressed and otherwise unchanged, even after kills and concurrent writes."""

import gzip
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prompt_objects.errors import Conflict, NameTaken, NotFound, UsageError
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import fresh, index_of
from tests.support.paths import worker_path
from tests.support.sessions import user_messages

pytest_plugins = ["tests.support.file_store_fixtures"]

WORKER = worker_path("archiving")


@pytest.fixture
def packed(file_store: FileStore, notes: Session, file: Path) -> Path:
    """The archive of the session "Notes", in the place of its file."""
    file_store.archive(notes.id)
    return file.with_name(f"{file.name}.gz")


def test_an_archive_is_the_file_compressed_and_the_same_each_time(
    folder: Path, file_store: FileStore, notes: Session, file: Path
) -> None:
    data = file.read_bytes()
    assert file_store.archive(notes.id).info.archived
    packed = file.with_name(f"{file.name}.gz")
    first = packed.read_bytes()
    assert gzip.decompress(first) == data.rstrip() + b"\n"  # without the padding
    assert not file.exists()
    assert packed.stat().st_mode & 0o777 == 0o600
    assert file_store.archive(notes.id).info.archived  # once more changes nothing
    file_store.update(notes.id, name="Other")
    file_store.update(notes.id, name="Notes")
    assert packed.read_bytes() == first


def test_it_lists_loads_and_reads_as_before_also_after_the_index_was_lost(
    folder: Path, notes: Session, packed: Path
) -> None:
    for is_lost in (False, True):
        if is_lost:
            (folder / "sessions" / "index.json").unlink()
        store = FileStore(folder)
        (info,) = store.list()
        assert (info.id, info.name, info.message_count, info.archived) == (notes.id, "Notes", 2, True)
        assert store.load(notes.id).info == info
        assert (info.created_at, info.updated_at) == (notes.created_at, notes.updated_at)
        assert store.read(notes.id, 0, 9) == user_messages("one", "two ü")
        assert store.read(notes.id, 1, 2) == user_messages("two ü")
        assert store.locate(packed) == notes.id
    assert packed.exists()
    assert index_of(folder)[0]["archived"] is True


def test_its_next_message_brings_the_file_back(folder: Path, notes: Session, file: Path, packed: Path) -> None:
    session = fresh(folder, notes)
    session.append(*user_messages("three"))
    assert json.loads(file.read_bytes())["history"] == user_messages("one", "two ü", "three")
    assert not packed.exists()
    assert session.info.archived is False
    assert "archived" not in index_of(folder)[0]
    notes.refresh()
    assert list(notes.history) == user_messages("one", "two ü", "three")


def test_a_message_that_comes_too_late_is_a_conflict(file_store: FileStore, notes: Session, packed: Path) -> None:
    with pytest.raises(Conflict):
        file_store.append(notes.id, user_messages("x"), expected=1)


def test_it_can_be_renamed_noted_on_and_cut_without_being_brought_back(
    folder: Path, file_store: FileStore, notes: Session, packed: Path
) -> None:
    SessionManager(file_store, "reader").create("Other")
    with pytest.raises(NameTaken):
        file_store.update(notes.id, name="Other")
    record = file_store.update(notes.id, name="Ideas", metadata={"a": [1]})
    assert record == FileStore(folder).load(notes.id)
    assert (record.info.name, record.metadata, record.info.archived) == ("Ideas", {"a": [1]}, True)
    with pytest.raises(UsageError, match="3 messages cannot be kept"):
        file_store.truncate(notes.id, 3)
    cut = file_store.truncate(notes.id, 1).info
    assert (cut.message_count, cut.archived, cut.updated_at > notes.updated_at) == (1, True, True)
    assert list(fresh(folder, notes).history) == user_messages("one")
    assert packed.exists()


def test_it_can_be_exported_and_duplicated(file_store: FileStore, notes: Session, packed: Path) -> None:
    manager = SessionManager(file_store, "reader")
    assert "two ü" in manager.export("Notes")
    assert list(manager.duplicate("Notes").history) == user_messages("one", "two ü")
    assert {info.name: info.archived for info in manager.list()} == {"Notes": True, "Notes copy": False}


def test_it_goes_to_the_trash_and_comes_back_as_it_is(
    folder: Path, file_store: FileStore, notes: Session, packed: Path
) -> None:
    file_store.delete(notes.id)
    assert file_store.list() == []
    with pytest.raises(NotFound):
        file_store.append(notes.id, user_messages("x"), expected=2)
    (entry,) = FileStore(folder).trash()
    assert (entry.info.id, entry.info.archived) == (notes.id, True)
    record, messages = file_store.read_trashed(notes.id)
    assert (record.info, messages) == (entry.info, user_messages("one", "two ü"))
    assert file_store.restore(notes.id).info == entry.info
    file_store.delete(notes.id)
    SessionManager(file_store, "reader").create("Notes")
    assert file_store.restore(notes.id).info.name == "Notes 2"
    assert list(fresh(folder, notes).history) == user_messages("one", "two ü")
    file_store.delete(notes.id)
    file_store.purge(notes.id)
    assert file_store.trash() == []
    assert not list(folder.rglob(f"*{notes.id}*"))


@pytest.mark.parametrize("use", [FileStore.load, FileStore.archive, lambda store, key: store.read(key, 0, 1)])
def test_the_file_wins_and_the_archive_is_removed_if_a_kill_left_both(
    file_store: FileStore, notes: Session, file: Path, packed: Path, use: Callable[..., object]
) -> None:
    folder = file.parent.parent
    old = packed.read_bytes()
    file_store.append(notes.id, user_messages("three"), expected=2)
    packed.write_bytes(old)
    use(FileStore(folder), notes.id)
    assert file.exists() != packed.exists()
    assert list(fresh(folder, notes).history) == user_messages("one", "two ü", "three")


def test_an_archive_longer_than_its_file_is_quarantined(
    folder: Path, file_store: FileStore, notes: Session, packed: Path
) -> None:
    old = packed.read_bytes()
    file_store.append(notes.id, user_messages("three"), expected=2)
    file_store.truncate(notes.id, 1)
    packed.write_bytes(old)
    assert list(fresh(folder, notes).history) == user_messages("one")
    assert not packed.exists()
    assert packed.with_name(f"{notes.id}.corrupt.gz").read_bytes() == old
    file_store.archive(notes.id)
    assert list(fresh(folder, notes).history) == user_messages("one")


def test_deleting_a_file_does_not_bring_back_its_archive(
    folder: Path, file_store: FileStore, notes: Session, file: Path, packed: Path
) -> None:
    old = packed.read_bytes()
    file_store.append(notes.id, user_messages("three"), expected=2)
    packed.write_bytes(old)
    file_store.delete(notes.id)
    assert not packed.exists()
    assert FileStore(folder).list() == []


def test_many_that_write_and_archive_at_once_lose_nothing(folder: Path, notes: Session) -> None:
    stores = [FileStore(folder) for _ in range(4)]

    def work(number: int) -> None:
        for turn in range(12):
            session = Session(stores[number], stores[number].load(notes.id))
            while True:
                try:
                    session.append(*user_messages(f"{number} {turn}"))
                    break
                except Conflict:
                    session.refresh()
            if turn % 3 == 0:
                stores[number].archive(notes.id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    contents = [message["content"] for message in fresh(folder, notes).history[2:]]
    assert sorted(contents) == sorted(f"{number} {turn}" for number in range(4) for turn in range(12))
    for number in range(4):
        assert [text for text in contents if text.startswith(f"{number} ")] == [f"{number} {t}" for t in range(12)]


def test_a_kill_at_any_moment_of_archiving_and_coming_back_loses_nothing(folder: Path, notes: Session) -> None:
    chance = random.Random(7)
    for _ in range(12):
        command = [sys.executable, WORKER, str(folder), notes.id]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            acknowledged = [process.stdout.readline()]
            time.sleep(chance.uniform(0, 0.03))
            process.kill()
            acknowledged += process.stdout.readlines()
        last = max(int(line) for line in acknowledged if line.endswith("\n"))
        store = FileStore(folder)
        assert [info.id for info in store.list()] == [notes.id]
        assert store.load(notes.id).info == store.list()[0]  # a killed append is counted when it is opened
        history = store.read(notes.id, 0, 10_000)
        assert [message["content"] for message in history[2:]] == list(range(2, len(history)))
        assert last + 1 <= len(history) <= last + 2
