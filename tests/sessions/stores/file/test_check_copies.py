"""A check finds two files of one session, such as a copy or an archive, and a repair keeps the messages of both."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_objects.errors import UsageError
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import fresh
from tests.support.file_store_check import contents, examine, make_old, whole
from tests.support.sessions import user_messages

pytest_plugins = ["tests.support.file_store_fixtures"]


@pytest.fixture
def notes(file_store: FileStore) -> Session:
    session = SessionManager(file_store, "reader").create("Notes")
    session.append(*user_messages("one", "two ü", "three"))
    return session


def test_a_file_copied_by_hand_becomes_a_session_of_its_own(folder: Path, notes: Session, file: Path) -> None:
    copy = file.with_name(f"{new_id()}.json")
    shutil.copy(file, copy)
    found = examine(folder)
    assert {finding.session_id for finding in found} == {copy.stem}
    assert all(finding.repaired for finding in examine(folder, repair=True))
    assert examine(folder) == []
    assert {(info.id, info.name) for info in FileStore(folder).list()} == {
        (notes.id, "Notes"),
        (copy.stem, "Notes 2"),
    }
    assert json.loads(copy.read_bytes())["history"] == json.loads(file.read_bytes())["history"]


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
@pytest.mark.parametrize("copy_id", [f"{digit}1990000-0000-7000-8000-000000000000" for digit in "0f"])
def test_the_original_of_a_copied_file_keeps_its_name_with_any_ids(
    folder: Path, file_store: FileStore, notes: Session, copy_id: str, suffix: str
) -> None:
    if suffix == ".json.gz":
        file_store.archive(notes.id)
    SessionManager(file_store, "reader").create("Notes 2")
    shutil.copy(folder / "sessions" / f"{notes.id}{suffix}", folder / "sessions" / f"{copy_id}{suffix}")
    (named,) = [finding for finding in examine(folder) if "is called 'Notes' as well" in finding.problem]
    assert (named.session_id, named.remedy) == (copy_id, "This one is called 'Notes 3'.")
    assert all(finding.repaired for finding in examine(folder, repair=True))
    assert examine(folder) == []
    names = {info.id: info.name for info in FileStore(folder).list()}
    assert (names[notes.id], names[copy_id]) == ("Notes", "Notes 3")


@pytest.fixture(params=[False, True], ids=["plain", "archived"])
def twin(request: pytest.FixtureRequest, folder: Path, file_store: FileStore, notes: Session, file: Path) -> Path:
    """The file of a session in the trash that has the ID of a live one but different messages."""
    manager = SessionManager(file_store, "reader")
    before = file.read_bytes()
    manager.get("Notes").append(*user_messages("later"))
    path = folder / "sessions" / "trash" / file.name
    path.parent.mkdir()
    path.write_bytes(before)
    if request.param:
        path.unlink()
        path = path.with_suffix(".json.gz")
        path.write_bytes(gzip.compress(before))
    make_old(path)
    return path


def test_a_trashed_session_with_the_id_of_a_live_one_gets_a_new_id(
    folder: Path, file_store: FileStore, notes: Session, twin: Path
) -> None:
    (deleted_at,) = [entry.deleted_at for entry in file_store.trash()]
    twin.with_name(f"{notes.id}.corrupt").write_text("aside")
    before = whole(folder)
    (found,) = examine(folder)
    assert (found.session_id, found.problem) == (notes.id, "A session in the trash has the id of one that is not.")
    assert whole(folder) == before
    assert [finding.repaired for finding in examine(folder, repair=True)] == [True]
    assert examine(folder) == []
    (entry,) = file_store.trash()
    assert entry.info.id != notes.id
    assert (entry.info.name, entry.info.message_count, entry.deleted_at) == ("Notes", 3, deleted_at)
    assert (twin.parent / f"{entry.info.id}.corrupt").read_text() == "aside"
    assert contents(folder, notes) == ["one", "two ü", "three", "later"]
    back = Session(file_store, file_store.restore(entry.info.id))
    assert (back.name, [message["content"] for message in back.history]) == ("Notes 2", ["one", "two ü", "three"])


def test_an_error_about_a_duplicate_id_in_the_trash_has_a_hint_and_does_not_block_undo(
    folder: Path, file_store: FileStore, notes: Session, twin: Path
) -> None:
    manager = SessionManager(file_store, "reader")
    manager.create("Older")
    manager.rename("Older", "Renamed")
    before = whole(folder)
    for attempt in (lambda: manager.delete("Notes"), lambda: manager.restore("Notes")):
        with pytest.raises(UsageError, match="there is one with this id, and another one in the trash") as caught:
            attempt()
        assert "doctor --repair" in caught.value.hint
    assert whole(folder) == before
    assert manager.undo().name == "Older"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-9],
        lambda data: data[: len(data) // 2] + b"\0\0\0" + data[len(data) // 2 + 3 :],
        lambda _: b"",
    ],
    ids=["cut off", "overwritten", "empty"],
)
def test_a_damaged_archive_still_opens_and_is_kept_by_a_repair(
    folder: Path, file_store: FileStore, notes: Session, spoil: Callable[[bytes], bytes]
) -> None:
    file_store.archive(notes.id)
    packed = folder / "sessions" / f"{notes.id}.json.gz"
    damaged = spoil(packed.read_bytes())
    packed.write_bytes(damaged)
    file_store.close()
    assert [finding.session_id for finding in examine(folder)][:1] == [notes.id]
    readable = contents(folder, notes)
    assert readable == ["one", "two ü", "three"][: len(readable)]
    assert all(finding.repaired for finding in examine(folder, repair=True))
    assert examine(folder) == []
    assert packed.with_name(f"{notes.id}.corrupt.gz").read_bytes() == damaged
    assert len(json.loads(gzip.decompress(packed.read_bytes()))["history"]) == len(readable)
    assert fresh(folder, notes).name == "Notes"


def test_an_older_file_next_to_its_archive_loses_nothing(folder: Path, file_store: FileStore, notes: Session) -> None:
    file = folder / "sessions" / f"{notes.id}.json"
    older = file.read_bytes().replace(b"three", b"other")
    file_store.archive(notes.id)
    packed = (folder / "sessions" / f"{notes.id}.json.gz").read_bytes()
    file_store.close()
    file.write_bytes(older)
    assert [finding.session_id for finding in examine(folder)][:1] == [notes.id]
    assert all(finding.repaired for finding in examine(folder, repair=True))
    assert examine(folder) == []
    assert file.with_name(f"{notes.id}.corrupt.gz").read_bytes() == packed
    assert contents(folder, notes) == ["one", "two ü", "other"]


def test_deleting_a_file_next_to_a_longer_archive_quarantines_the_archive(
    folder: Path, file_store: FileStore, notes: Session
) -> None:
    file = folder / "sessions" / f"{notes.id}.json"
    older = file.read_bytes().replace(b"three", b"other")
    file_store.archive(notes.id)
    file.write_bytes(older)
    store = FileStore(folder)
    store.delete(notes.id)
    assert list((folder / "sessions").rglob(f"{notes.id}.corrupt.gz"))
