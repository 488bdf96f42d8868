"""Guarantees of the file store only: the form, the trash, truncation and size of its files."""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from prompt_objects.errors import Conflict, NotFound, SessionFull, StoreError, UsageError
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import fresh, index_of, length_of, mode, no_file_beyond
from tests.support.paths import worker_path
from tests.support.sessions import user_messages

pytest_plugins = ["tests.support.file_store_fixtures"]


@pytest.fixture
def store(file_store: FileStore) -> FileStore:
    return file_store


@pytest.fixture
def session(notes: Session) -> Session:
    return notes


def open_below(folder: Path) -> list[str]:
    """Return the names of the files in a folder that this process has open."""
    targets = []
    for number in range(256):
        with suppress(OSError):
            status = os.fstat(number)
            targets += [p.name for p in folder.rglob("*") if p.is_file() and os.path.samestat(p.stat(), status)]
    return targets


class TestForm:
    def test_both_files_are_plain_json_with_the_promised_keys(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        document = json.loads(file.read_bytes())
        assert list(document) == ["id", "name", "po_name", "created_at", "metadata", "history", "updated_at"]
        assert document["history"] == user_messages("one", "two ü")
        (entry,) = index_of(folder)
        assert list(entry) == ["id", "name", "po_name", "message_count", "created_at", "updated_at"]
        assert entry["message_count"] == 2

    def test_an_append_leaves_every_byte_of_what_was_there(self, session: Session, file: Path) -> None:
        before = file.read_bytes().rpartition(b"]")[0]
        session.append(*user_messages("three"))
        assert file.read_bytes().startswith(before + b",{")

    def test_only_the_owner_can_read_with_any_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            store = FileStore(tmp_path / "a" / "data")
            SessionManager(store, "reader").current().append(*user_messages("secret"))
        finally:
            os.umask(before)
        for path in (tmp_path / "a").rglob("*"):
            assert mode(path) == (0o700 if path.is_dir() else 0o600), path

    def test_a_symbolic_link_is_not_followed(
        self, folder: Path, store: FileStore, session: Session, file: Path, tmp_path: Path
    ) -> None:
        shutil.move(file, tmp_path / "elsewhere.json")
        file.symlink_to(tmp_path / "elsewhere.json")
        with pytest.raises(StoreError, match="could not be opened"):
            fresh(folder, session)

    def test_more_sessions_than_files_are_kept_open_all_stay_usable(self, folder: Path, store: FileStore) -> None:
        manager = SessionManager(store, "reader")
        sessions = [manager.create(f"Notes {number}") for number in range(40)]
        for _ in range(2):
            for session in sessions:
                session.append(*user_messages(session.name))
        assert len(open_below(folder)) <= 32 + 2  # and the index with its lock
        assert all(info.message_count == 2 for info in manager.list())

    def test_a_store_that_is_dropped_without_being_closed_leaves_no_file_open(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path)
        for session in [SessionManager(store, "reader").create(name) for name in "abc"]:
            session.append(*user_messages("x"))
        assert open_below(tmp_path)
        del store, session
        gc.collect()
        assert not open_below(tmp_path)

    def test_sums_stay_right_where_another_program_wrote_in_between(self, folder: Path, session: Session) -> None:
        other = fresh(folder, session)
        other.append({"role": "assistant", "content": "x", "usage": {"prompt_tokens": 7}})
        session.refresh()
        session.append({"role": "assistant", "content": "y", "usage": {"prompt_tokens": 5}})
        assert session.info.prompt_tokens == 12 == index_of(folder)[0]["prompt_tokens"]
        assert FileStore(folder).load(session.id).info == session.info


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_folder_that_may_only_be_read_can_be_listed_and_shown(tmp_path: Path, is_listed: bool) -> None:
    folder = Path(tempfile.mkdtemp()) / "data"  # not below `tmp_path`, which other users may not enter
    try:
        session = SessionManager(FileStore(folder), "reader").create("Notes")
        session.append(*user_messages("one"))
        for name in [] if is_listed else ["index.json", "index.json.lock"]:
            (folder / "sessions" / name).unlink()
        only_to_be_read(folder.parent)
        result = subprocess.run(
            [sys.executable, worker_path("reading"), str(folder)], check=False, capture_output=True, text=True
        )
        assert result.stdout.splitlines() == ["Notes 1", "one", "# Notes", *["StoreError"] * 5], result.stderr
    finally:
        for path in (folder.parent, *folder.parent.rglob("*")):
            path.chmod(0o700)
        shutil.rmtree(folder.parent)


def only_to_be_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


class TestTrash:
    def test_a_session_that_is_there_is_not_overwritten_by_a_copy_in_the_trash(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        (folder / "sessions" / "trash").mkdir()
        shutil.copy(file, folder / "sessions" / "trash")
        session.append(*user_messages("three"))
        for use in (store.restore, store.delete):
            with pytest.raises(UsageError, match="another one in the trash"):
                use(session.id)
        assert fresh(folder, session).message_count == 3

    def test_a_failed_move_is_reported_and_changes_nothing(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        trash = folder / "sessions" / "trash"
        (trash / file.name).mkdir(parents=True)
        with pytest.raises(StoreError, match=rf"{file.name} could not be moved to .*trash"):
            store.delete(session.id)
        session.append(*user_messages("still here"))
        (trash / file.name).rmdir()
        store.delete(session.id)
        file.mkdir()
        with pytest.raises(StoreError, match=rf"{file.name} could not be moved to .*sessions"):
            store.restore(session.id)
        file.rmdir()
        assert store.restore(session.id).info == session.info

    def test_quarantined_data_moves_with_its_session(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        corrupt = file.with_suffix(".corrupt")
        in_trash = folder / "sessions" / "trash" / corrupt.name
        corrupt.write_bytes(b"first\n")
        store.delete(session.id)
        assert (corrupt.exists(), in_trash.read_bytes()) == (False, b"first\n")
        store.restore(session.id)
        assert (corrupt.read_bytes(), in_trash.exists()) == (b"first\n", False)
        in_trash.write_bytes(b"zeroth\n")  # as a kill between the two moves leaves it
        store.delete(session.id)
        assert (corrupt.exists(), in_trash.read_bytes()) == (False, b"zeroth\nfirst\n")

    def test_a_file_indented_by_hand_is_restored_under_another_name(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        store.delete(session.id)
        store.create(replace(session.info, id=new_id()), {})
        trashed = folder / "sessions" / "trash" / file.name
        trashed.write_text(json.dumps(json.loads(trashed.read_bytes()), indent=2))
        assert store.restore(session.id).info.name == "Notes 2"
        assert fresh(folder, session).history == user_messages("one", "two ü")
        assert not file.with_suffix(".corrupt").exists()

    def test_a_session_in_the_trash_can_be_read_and_stays_there(self, store: FileStore, session: Session) -> None:
        store.delete(session.id)
        record, messages = store.read_trashed(session.id)
        assert (record.info, messages) == (session.info, user_messages("one", "two ü"))
        assert [entry.info for entry in store.trash()] == [session.info]

    def test_purging_removes_quarantined_data_too(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        file.with_suffix(".corrupt").touch()
        store.delete(session.id)
        store.purge(session.id)
        assert not list(folder.rglob(f"*{session.id}*"))
        for use in (store.purge, store.restore, store.read_trashed):
            with pytest.raises(NotFound):
                use(session.id)

    def test_a_live_session_cannot_be_purged(self, folder: Path, store: FileStore, session: Session) -> None:
        with pytest.raises(NotFound):
            store.purge(session.id)
        assert fresh(folder, session).message_count == 2


class TestCutting:
    def test_the_first_messages_are_kept_with_their_sums_and_nothing_else(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        session.append({"role": "assistant", "content": "x", "usage": {"prompt_tokens": 7, "cost": 0.5}})
        session.append({"role": "assistant", "content": "y", "usage": {"prompt_tokens": 5}})
        info = store.truncate(session.id, 3).info
        assert (info.message_count, info.prompt_tokens, info.cost) == (3, 7, 0.5)
        assert info.updated_at > session.updated_at
        assert info == fresh(folder, session).info == FileStore(folder).list()[0]
        assert [message["content"] for message in json.loads(file.read_bytes())["history"]] == ["one", "two ü", "x"]
        session.refresh()
        session.append(*user_messages("three"))
        assert [message["content"] for message in session.history] == ["one", "two ü", "x", "three"]

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_another_handle_learns_that_messages_were_removed(
        self, folder: Path, store: FileStore, session: Session, count: int
    ) -> None:
        other = fresh(folder, session)
        other.append(*user_messages("three"))
        store.truncate(session.id, count)
        with pytest.raises(Conflict, match=f"{3 - count} messages were removed"):
            other.append(*user_messages("four"))
        other.refresh()
        other.append(*user_messages("four"))
        assert list(fresh(folder, session).history) == [
            *user_messages("one", "two ü")[:count],
            *user_messages("four"),
        ]

    @pytest.mark.parametrize("count", [-1, 3])
    def test_truncating_to_more_messages_than_exist_is_an_error(
        self, store: FileStore, session: Session, file: Path, count: int
    ) -> None:
        before = file.read_bytes()
        with pytest.raises(UsageError, match=f"{count} messages cannot be kept: 'Notes' has 2"):
            store.truncate(session.id, count)
        assert store.truncate(session.id, 2).info == session.info
        assert file.read_bytes() == before

    def test_a_disk_that_refuses_leaves_all_messages(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        with no_file_beyond(10), pytest.raises(StoreError):
            store.truncate(session.id, 1)
        assert list(fresh(folder, session).history) == user_messages("one", "two ü")


class TestSize:
    def test_the_size_limit_applies_to_user_messages_and_not_to_replies(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        size = length_of(file)
        store = FileStore(folder, StoreOptions(max_session_size=size + 300))
        here = Session(store, store.load(session.id))
        here.append(*user_messages("x" * 100))
        before = file.read_bytes()
        with pytest.raises(SessionFull) as caught:
            here.append({"role": "assistant", "content": "fine"}, *user_messages("x" * 200))
        assert f"{length_of(file):,} bytes" in str(caught.value)
        assert f"{size + 300:,} bytes" in str(caught.value)
        assert "max_session_size" in caught.value.hint
        assert file.read_bytes() == before
        here.append({"role": "assistant", "content": "x" * 200}, {"role": "tool", "content": "x" * 200})
        assert length_of(file) > size + 300
        store.truncate(session.id, 1)
        here.refresh()
        here.append(*user_messages("x" * 100))


def test_looking_into_a_folder_that_is_not_there_makes_none(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "data")
    assert (store.list(), store.trash(), store.holder(new_id())) == ([], [], None)
    with pytest.raises(NotFound):
        store.load(new_id())
    assert list(tmp_path.iterdir()) == []


def test_an_id_is_taken_once(folder: Path, store: FileStore, session: Session) -> None:
    with pytest.raises(StoreError, match=session.id):
        store.create(replace(session.info, name="Other"), {})
    assert fresh(folder, session).name == "Notes"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs to see what is open")
@pytest.mark.parametrize("change", ["truncate", "update", "delete"])
def test_a_replaced_or_deleted_file_is_not_kept_open(store: FileStore, session: Session, change: str) -> None:
    session.append(*user_messages(1, 2, 3))
    match change:
        case "truncate":
            store.truncate(session.id, 1)
        case "update":
            store.update(session.id, name="Another")
        case _:
            store.delete(session.id)
            store.purge(session.id)
    held = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert not [path for path in held if session.id in path and path.endswith("(deleted)")]
