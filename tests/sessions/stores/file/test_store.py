"""Guarantees of the file store only: the format, repair and permissions of its files."""

import gc
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from prompt_objects.errors import Conflict, NotFound, SessionFull, StoreError, UsageError
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import (
    file_store_with_notices,
    fresh,
    index_of,
    length_of,
    no_file_beyond,
    user_messages,
)
from tests.support.paths import worker_path

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


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_document(path: Path, **changes: Any) -> None:
    plain = {"id": path.stem, "name": "Bad", "po_name": "reader", "created_at": "2026-01-01T00:00:00Z"}
    path.write_text(json.dumps({**plain, "metadata": {}, "history": [], **changes}))


SPOILT: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("/etc/passwd"),
}
WRONG_HEADS: dict[str, dict[str, object]] = {
    "name": {"name": "half \ud800"},
    "user": {"user_id": "half \ud800"},
    "object": {"po_name": "half \ud800"},
    "parent": {"parent": {"session": "\ud800", "call": "c"}},
    "year": {"created_at": "0001-01-01T00:00:00+23:00"},
    "tags": {"tags": 7},
}


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


class TestDamage:
    def test_a_write_cut_off_anywhere_costs_no_acknowledged_message(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        before = file.read_bytes()
        session.append(*user_messages("three, which was never acknowledged"))
        after = file.read_bytes()
        start = before.rindex(b"]")
        for cut in range(start, len(after) + 1):
            torn = after[:cut] + before[cut:]
            file.write_bytes(torn)
            found = fresh(folder, session)
            kept = list(found.history)
            assert kept[:2] == user_messages("one", "two ü"), cut
            assert kept[2:] in ([], user_messages("three, which was never acknowledged")), cut
            found.append(*user_messages("four"))
            assert json.loads(file.read_bytes())["history"] == [*kept, *user_messages("four")]

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda data: data + b"\0" * 4096,
            lambda data: data[:-20] + b"\0" * 20,
            lambda data: data.replace(b"\n", b"\r\n"),
            lambda data: b"\xef\xbb\xbf" + data,
            lambda data: data[: data.rindex(b"\n]") + 1],
            lambda data: data.replace(b'],"upd', b',{"role":"assistant","cont\n],"upd'),
            lambda data: data + data[data.rindex(b"]") :],
        ],
        ids=["NUL tail", "NUL foot", "CRLF", "BOM", "no foot", "half a message", "two feet"],
    )
    def test_whole_messages_survive_what_editors_and_power_cuts_do(
        self, folder: Path, session: Session, file: Path, spoil: Callable[[bytes], Any]
    ) -> None:
        file.write_bytes(spoil(file.read_bytes()))
        found = fresh(folder, session)
        assert list(found.history) == user_messages("one", "two ü")
        found.append(*user_messages("three"))
        assert json.loads(file.read_bytes())["history"] == user_messages("one", "two ü", "three")
        assert index_of(folder)[0]["message_count"] == 3

    def test_unreadable_data_is_quarantined_and_reported(self, folder: Path, session: Session, file: Path) -> None:
        data = file.read_bytes()
        file.write_bytes(data.replace(b'{"role":"user","content":"one"', b'{"role":"user",\xff"one"'))
        store, notices = file_store_with_notices(folder)
        found = fresh(folder, session, store)
        assert list(found.history) == user_messages("two ü")
        assert b'\xff"one"' in file.with_suffix(".corrupt").read_bytes()
        assert mode(file.with_suffix(".corrupt")) == 0o600
        (notice,) = notices
        assert "Notes" in notice
        assert ".corrupt" in notice

    def test_a_second_damage_does_not_overwrite_the_first_quarantine(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        for garbage in (b"first", b"second"):
            file.write_bytes(file.read_bytes() + garbage)
            assert fresh(folder, session).message_count == 2
        assert file.with_suffix(".corrupt").read_bytes().split() == [b"first", b"second"]

    def test_a_file_damaged_under_an_open_handle_is_repaired_by_its_next_append(
        self, session: Session, file: Path
    ) -> None:
        data = file.read_bytes()
        with file.open("r+b") as raw:
            raw.truncate(len(data) - 10)
        session.append(*user_messages("three"))
        assert json.loads(file.read_bytes())["history"] == user_messages("one", "two ü", "three")

    def test_a_flipped_byte_in_a_message_costs_neither_it_nor_its_neighbours(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        file.write_bytes(file.read_bytes().replace("ü".encode(), b"\xff"))
        assert list(fresh(folder, session).history) == user_messages("one", "two \udcff")

    def test_a_file_indented_by_hand_is_read_and_brought_into_form_by_the_next_write(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        document = json.loads(file.read_bytes()) | {"extra": True}
        by_hand = json.dumps(document, indent=2, sort_keys=True)
        file.write_text(by_hand)
        store, notices = file_store_with_notices(folder)
        found = fresh(folder, session, store)
        assert list(found.history) == user_messages("one", "two ü")
        assert found.tail(1) == user_messages("two ü")
        assert file.read_text() == by_hand
        found.append(*user_messages("three"))
        written = file.read_bytes()
        assert json.loads(written)["history"] == user_messages("one", "two ü", "three")
        assert json.loads(written)["extra"] is True
        assert written.rstrip().count(b"\n") == 4
        assert notices == []

    @pytest.mark.parametrize("trashed", [False, True])
    @pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
    def test_a_bad_file_is_named_and_all_others_work(
        self, folder: Path, session: Session, spoil: Callable[[Path], object], trashed: bool
    ) -> None:
        if trashed:
            SessionManager(FileStore(folder), "reader").delete("Notes")
        bad = folder / "sessions" / ("trash" if trashed else "") / f"{new_id()}.json"
        spoil(bad)
        (folder / "sessions" / "index.json").unlink()
        store, notices = file_store_with_notices(folder)
        found = [entry.info for entry in store.trash()] if trashed else store.list()
        assert [info.name for info in found] == ["Notes"]
        assert SessionManager(store, "reader").create("New").name == "New"
        assert [bad.name in notice for notice in notices] == [True]
        assert os.path.lexists(bad)

    @pytest.mark.parametrize("wrong", WRONG_HEADS.values(), ids=WRONG_HEADS)
    def test_an_invalid_header_is_completed_and_quarantined(
        self, folder: Path, notes: Session, wrong: dict[str, object]
    ) -> None:
        path = folder / "sessions" / f"{new_id()}.json"
        write_document(path, **wrong)
        store = FileStore(folder)
        assert {info.id for info in store.list()} == {notes.id, path.stem}
        Session(store, store.load(path.stem)).append(*user_messages("x"))
        assert json.loads(path.read_bytes())["history"] == user_messages("x")
        (key,) = wrong
        assert key.encode() in path.with_suffix(".corrupt").read_bytes()

    def test_a_time_that_is_out_of_range_is_replaced_by_one_that_is_known(self, folder: Path) -> None:
        store, path = FileStore(folder), folder / "sessions" / f"{new_id()}.json"
        path.parent.mkdir(parents=True)
        write_document(path, updated_at="0001-01-01T00:00:00+23:00", created_at="2024-01-01T00:00:00+02:00")
        info = store.load(path.stem).info
        assert info.created_at == datetime(2023, 12, 31, 22, tzinfo=UTC)
        Session(store, store.load(path.stem)).append(*user_messages("x"))
        assert json.loads(path.read_bytes())["history"] == user_messages("x")

    def test_an_append_to_a_file_indented_since_it_was_opened_brings_it_into_form(
        self, session: Session, file: Path
    ) -> None:
        file.write_text(json.dumps(json.loads(file.read_bytes()), indent=4))
        session.append(*user_messages("three"))
        assert json.loads(file.read_bytes())["history"] == user_messages("one", "two ü", "three")

    def test_a_wrong_clock_damages_nothing(self, folder: Path, session: Session, file: Path) -> None:
        data = file.read_bytes()
        file.write_bytes(data[: data.rindex(b'"2')] + b'"9999-12-31T23:59:59.999999Z"}\n')
        (folder / "sessions" / "index.json").unlink()
        found = fresh(folder, session)
        assert found.updated_at.year == 9999
        found.append(*user_messages("three"))
        assert found.updated_at.year < 9999
        assert fresh(folder, session).info == found.info == FileStore(folder).list()[0]
        assert fresh(folder, session).tail(1) == user_messages("three")


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
