"""The index is a cache: if it is lost, stale or damaged, it is repaired."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from prompt_objects.errors import NameTaken, NotFound, StoreError
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import file_store_with_notices, fresh, index_of, names_in, no_file_beyond
from tests.support.sessions import user_messages

pytest_plugins = ["tests.support.file_store_fixtures"]


@pytest.fixture
def store(file_store: FileStore) -> FileStore:
    return file_store


@pytest.fixture
def session(notes: Session) -> Session:
    return notes


@pytest.fixture
def index(folder: Path) -> Path:
    return folder / "sessions" / "index.json"


@pytest.fixture
def lock(folder: Path) -> Path:
    return folder / "sessions" / "index.json.lock"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: None,
        lambda data: b"",
        lambda data: data[:-2],
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'"name"', b"\0name\0"),
        lambda data: b"\0" * len(data),
        lambda data: json.dumps(json.loads(data), indent=1).encode(),
    ],
    ids=["missing", "empty", "no foot", "half", "garbled", "NULs", "indented"],
)
def test_an_index_that_is_lost_or_garbled_is_rebuilt(
    folder: Path, store: FileStore, session: Session, spoil: Callable[[bytes], Any]
) -> None:
    SessionManager(store, "writer").create("Other", metadata={"a": 1})
    usage = {"prompt_tokens": 7, "completion_tokens": 1}
    session.append({"role": "assistant", "content": "x", "usage": usage})
    before = sorted(store.list(), key=lambda info: info.id)
    index = folder / "sessions" / "index.json"
    data = spoil(index.read_bytes())
    index.unlink() if data is None else index.write_bytes(data)
    for again in (FileStore(folder), store):
        assert sorted(again.list(), key=lambda info: info.id) == before
    session.append(*user_messages("goes on"))
    assert {entry["name"]: entry["message_count"] for entry in index_of(folder)} == {"Notes": 4, "Other": 0}


def test_a_stale_entry_is_repaired_when_its_session_is_opened(folder: Path, session: Session) -> None:
    index = folder / "sessions" / "index.json"
    stale = index.read_bytes()
    session.append({"role": "assistant", "content": "x", "usage": {"prompt_tokens": 7}})
    index.write_bytes(stale)
    assert fresh(folder, session).info.prompt_tokens == 7
    assert index_of(folder)[0]["message_count"] == 3


def test_an_entry_without_a_file_is_removed_and_a_file_without_an_entry_is_added(
    folder: Path, store: FileStore, session: Session, file: Path
) -> None:
    other = SessionManager(store, "reader").create("Other")
    (folder / "sessions" / f"{other.id}.json").unlink()
    with pytest.raises(NotFound):
        store.load(other.id)
    (folder / "sessions" / "index.json").write_bytes(b'{"sessions":[\n]}\n')
    assert FileStore(folder).load(session.id).info.name == "Notes"
    assert [entry["name"] for entry in index_of(folder)] == ["Notes"]


def test_an_entry_may_outgrow_its_line(folder: Path, store: FileStore, session: Session) -> None:
    manager = SessionManager(store, "reader")
    for name in ("x" * 100, "a", "日" * 100, "b"):
        session = manager.rename(session.id, name)
        session.append(*user_messages("x"))
        assert index_of(folder)[0]["name"] == name
    assert index_of(folder)[0]["message_count"] == 6


def test_removing_entries_leaves_the_others(folder: Path, store: FileStore) -> None:
    manager = SessionManager(store, "reader")
    for name in "abcd":
        manager.create(name)
    for name, left in (("a", "bcd"), ("d", "bc"), ("b", "c"), ("c", "")):
        manager.delete(name)
        assert "".join(entry["name"] for entry in index_of(folder)) == left
    manager.create("e")
    assert index_of(folder)[0]["name"] == "e"


def test_appends_are_not_lost_when_the_index_cannot_be_written(folder: Path, session: Session, lock: Path) -> None:
    lock.unlink()
    lock.mkdir()
    store = FileStore(folder)
    Session(store, store.load(session.id)).append(*user_messages("three"))
    lock.rmdir()
    assert fresh(folder, session).message_count == 3


def test_a_failed_index_write_is_reported_and_reading_still_works(folder: Path, session: Session, lock: Path) -> None:
    lock.unlink()
    lock.mkdir()
    store = FileStore(folder)
    for use in (lambda: store.update(session.id, name="Other"), lambda: store.delete(session.id)):
        with pytest.raises(StoreError, match="index"):
            use()
    assert store.list() == [session.info] == [store.load(session.id).info]


def test_anything_else_in_the_place_of_the_index_is_quarantined(folder: Path, session: Session, index: Path) -> None:
    index.unlink()
    index.mkdir()
    assert names_in(folder) == ["Notes"]
    index.rename(folder / "real")
    index.symlink_to(folder / "real")
    assert names_in(folder) == ["Notes"]
    assert len(list(index.parent.glob("index.json.corrupt-*"))) == 2
    assert not index.is_symlink()


@pytest.mark.parametrize(
    "rubbish", [b"\0" * 300, b'{"id":"x"}', b'{"id":"', b""], ids=["NULs", "no entry", "cut", "none"]
)
def test_a_name_is_not_given_twice_because_the_index_is_garbled(
    folder: Path, store: FileStore, session: Session, index: Path, rubbish: bytes
) -> None:
    index.write_bytes(b'{"sessions":[\n' + rubbish + (b"\n" if rubbish else b"") + b"]}\n")
    with pytest.raises(NameTaken):
        SessionManager(FileStore(folder), "reader").create("Notes")


def test_an_older_index_hides_no_session(folder: Path, store: FileStore, session: Session, index: Path) -> None:
    manager = SessionManager(store, "reader")
    manager.create("Gone later")
    older = index.read_bytes()
    manager.create("Later")
    manager.delete("Gone later")
    store.close()
    index.write_bytes(older)
    assert names_in(folder) == ["Later", "Notes"]
    assert sorted(entry["name"] for entry in index_of(folder)) == ["Later", "Notes"]
    with pytest.raises(NameTaken):
        SessionManager(FileStore(folder), "reader").create("Later")


def test_an_older_index_put_in_the_place_of_an_open_one_hides_no_session(
    folder: Path, store: FileStore, session: Session, index: Path
) -> None:
    older = index.read_bytes()
    SessionManager(store, "reader").create("Later")
    (folder / "older").write_bytes(older)
    (folder / "older").rename(index)
    assert {info.name for info in store.list()} == {"Notes", "Later"}


def test_file_changes_while_the_index_cannot_be_written_are_indexed_later(
    folder: Path, store: FileStore, session: Session, index: Path
) -> None:
    manager = SessionManager(store, "reader")
    other = manager.create("Other")
    manager.delete("Other")
    while index.stat().st_size < 2000:
        manager.create()
    before = set(names_in(folder))
    with no_file_beyond(index.stat().st_size + 10):
        store.restore(other.id)
        assert {info.name for info in store.list()} == before | {"Other"}
        assert set(names_in(folder)) == before | {"Other"}
    victim = manager.create("Victim")
    assert store.load(other.id).info.name == "Other"
    assert set(names_in(folder)) == before | {"Other", "Victim"} == {info.name for info in store.list()}
    with no_file_beyond(1000):
        manager.delete(victim.id)
        assert [entry.info.id for entry in store.trash()] == [victim.id]
        assert "Victim" not in names_in(folder)
    assert set(names_in(folder)) == before | {"Other"}


def test_a_new_session_exists_although_the_index_could_not_be_written(
    folder: Path, store: FileStore, session: Session, index: Path
) -> None:
    manager = SessionManager(store, "reader")
    while index.stat().st_size < 5000:  # a session's file has 4096 bytes
        manager.create()
    with no_file_beyond(index.stat().st_size + 10):
        manager.create("Whole").append(*user_messages("one"))
        with pytest.raises(StoreError):  # now it is unknown whether the name is free
            manager.create("Whole")
        assert manager.get("Whole").message_count == 1
    with pytest.raises(NameTaken):
        manager.create("Whole")


def test_opening_a_session_by_its_id_looks_at_no_other_file_and_loads_no_lock(folder: Path, session: Session) -> None:
    code = (
        "import sys; from pathlib import Path; from prompt_objects.sessions.manager import SessionManager\n"
        "from prompt_objects.sessions.stores.file.store import FileStore\n"
        "session = SessionManager(FileStore(Path(sys.argv[1])), 'reader').get(sys.argv[2])\n"
        "print(len(session.tail(5)), session.name, 'filelock' in sys.modules)"
    )
    (folder / "sessions" / f"{new_id()}.json").mkdir()  # a listing would stumble over it
    command = [sys.executable, "-c", code, str(folder), session.id]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "2 Notes False\n"


def test_files_with_a_valid_entry_are_compared_without_opening_them(
    folder: Path, session: Session, index: Path
) -> None:
    moment = session.created_at
    lines = []
    for number in range(100):
        info = replace(session.info, id=new_id(), name=f"Notes {number}", updated_at=moment)
        (folder / "sessions" / f"{info.id}.json").touch()
        lines.append(msgspec.json.encode(info))
    index.write_bytes(index.read_bytes().replace(b"\n]}", b"\n,%s\n]}" % b"\n,".join(lines)))
    assert len(FileStore(folder).list()) == 101  # an empty file that was opened would not be listed


@pytest.mark.parametrize("byte", [b"\xff", b"\x00", b'"'])
def test_a_flipped_byte_in_a_name_is_repaired_when_names_are_listed(folder: Path, index: Path, byte: bytes) -> None:
    SessionManager(FileStore(folder), "reader").create("Rotten two")
    data = index.read_bytes()
    index.write_bytes(data.replace(b"Rotten two", b"Rotten t" + byte + b"o"))
    manager = SessionManager(FileStore(folder), "reader")
    assert manager.create("Rotten", unique_name=True).name == "Rotten"
    assert {"Rotten", "Rotten two"} <= {info.name for info in manager.list()}


def test_a_session_deleted_by_another_process_is_not_found_and_can_be_restored(folder: Path) -> None:
    """The deletion blanks a line, so the index keeps its size."""
    with closing(FileStore(folder)) as here, closing(FileStore(folder)) as there:
        first, second = (SessionManager(here, "writer").create(name) for name in ("First", "Second"))
        here.append(first.id, user_messages("one"), expected=0)
        there.delete(first.id)
        with pytest.raises(NotFound):
            here.load(first.id)
        assert [info.name for info in here.list()] == ["Second"]
        assert here.restore(first.id).info.message_count == 1
        here.append(first.id, user_messages("two"), expected=1)
        assert {entry["id"]: entry["message_count"] for entry in index_of(folder)} == {first.id: 2, second.id: 0}


# Older files


@pytest.fixture
def used(folder: Path) -> tuple[FileStore, Session, Path]:
    """A session of two messages that was renamed, and copies of its file and of the index from before the second."""
    store = FileStore(folder)
    session = SessionManager(store, "scout").create("Old name")
    session.append(*user_messages("one"))
    kept = folder / "kept"
    kept.mkdir()
    for path in (folder / "sessions").glob("*.json"):
        shutil.copy2(path, kept)
    session.append(*user_messages("two"))
    store.update(session.id, name="New name")
    store.list()
    store.close()
    return store, session, kept


def make_older(path: Path, seconds: float) -> None:
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


@pytest.mark.parametrize("seconds", [600, -600], ids=["with its time", "with a new time"])
def test_an_older_index_that_was_put_back_is_corrected(
    folder: Path, used: tuple[FileStore, Session, Path], seconds: float
) -> None:
    make_older(used[2] / "index.json", seconds)
    shutil.copy2(used[2] / "index.json", folder / "sessions" / "index.json")
    store, notices = file_store_with_notices(folder)
    with pytest.raises(NameTaken):
        SessionManager(store, "scout").create("New name")
    assert [(info.name, info.message_count) for info in store.list()] == [("New name", 2)]
    assert notices == []  # the file is so new that its entry may be on the way


def test_an_older_session_file_that_was_put_back_is_noticed_and_remembered(
    folder: Path, used: tuple[FileStore, Session, Path]
) -> None:
    file = folder / "sessions" / f"{used[1].id}.json"
    shutil.copy2(used[2] / file.name, file)
    make_older(file, 1)
    store, notices = file_store_with_notices(folder)
    assert [(info.name, info.message_count) for info in store.list()] == [("Old name", 1)]
    (notice,) = notices
    assert notice.startswith("The session 'New name' of scout had 2 messages, and its file has 1 now:")
    (remembered,) = FileStore(folder).repairs()
    assert notice in remembered
    assert store.check() == []


def test_a_session_file_that_lost_messages_is_noticed_when_it_is_used(
    folder: Path, used: tuple[FileStore, Session, Path]
) -> None:
    store, notices = file_store_with_notices(folder)
    file = folder / "sessions" / f"{used[1].id}.json"
    shutil.copy2(used[2] / file.name, file)
    store.append(used[1].id, user_messages("three"), expected=1)
    assert ["had 2 messages, and its file has 1" in notice for notice in notices] == [True]


def test_writers_renew_the_time_of_the_index_so_that_it_stays_valid(folder: Path) -> None:
    store = FileStore(folder)
    sessions = [SessionManager(store, "scout").create(f"Plan {number}") for number in range(3)]
    lock = folder / "sessions" / "index.json.lock"
    for number, session in enumerate(sessions):
        stamp = json.loads(lock.read_bytes())
        stamp["changed"] -= 150_000_000  # as if a moment had passed
        lock.write_bytes(json.dumps(stamp, separators=(",", ":")).encode().ljust(255) + b"\n")
        session.append(*user_messages(str(number)))
        assert json.loads(lock.read_bytes())["changed"] > stamp["changed"] + 100_000_000
    assert [info.message_count for info in FileStore(folder).list()] == [1, 1, 1]


def test_an_index_that_cannot_be_read_is_kept_and_the_user_is_told(
    folder: Path, session: Session, index: Path
) -> None:
    index.write_bytes(b"garbage")
    store, notices = file_store_with_notices(folder)
    assert [info.id for info in store.list()] == [session.id]
    kept = index.with_name("index.json.corrupt")
    assert notices == [f"The index of the sessions could not be read, and was rebuilt. It is kept in {kept}."]
    assert f"{kept} has content that could not be read (7 B)." in store.repairs()
