"""What only the file store promises: about its files, whatever happened to them, and who may read them."""

import gc
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.errors import Damaged, NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session, new_id
from prompt_objects.sessions.stores.files import FileStore


def said(*contents: Any) -> list[Message]:
    return [{"role": "user", "content": content, "at": "2026-01-01T00:00:00.000000Z"} for content in contents]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(folder: Path) -> Iterator[FileStore]:
    store = FileStore(folder)
    yield store
    store.close()


@pytest.fixture
def session(store: FileStore) -> Session:
    session = SessionManager(store, "reader").create("Notes")
    session.append(*said("one", "two ü"))
    return session


@pytest.fixture
def file(folder: Path, session: Session) -> Path:
    return folder / "sessions" / f"{session.id}.json"


def fresh(folder: Path, session: Session) -> Session:
    store = FileStore(folder)
    return Session(store, store.load(session.id))


def index_of(folder: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((folder / "sessions" / "index.json").read_bytes())["sessions"]
    return entries


def open_below(folder: Path) -> list[str]:
    """Names the files of a folder that this process has open."""
    targets = []
    for number in range(256):
        with suppress(OSError):
            status = os.fstat(number)
            targets += [p.name for p in folder.rglob("*") if p.is_file() and os.path.samestat(p.stat(), status)]
    return targets


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestForm:
    def test_both_files_are_plain_json_with_the_promised_keys(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        document = json.loads(file.read_bytes())
        assert list(document) == ["id", "name", "po_name", "created_at", "metadata", "history", "updated_at"]
        assert document["history"] == said("one", "two ü")
        (entry,) = index_of(folder)
        assert list(entry) == ["id", "name", "po_name", "message_count", "created_at", "updated_at"]
        assert entry["message_count"] == 2

    def test_an_append_leaves_every_byte_of_what_was_there(self, session: Session, file: Path) -> None:
        before = file.read_bytes().rpartition(b"]")[0]
        session.append(*said("three"))
        assert file.read_bytes().startswith(before + b",{")

    def test_only_the_owner_can_read_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            store = FileStore(tmp_path / "a" / "data")
            SessionManager(store, "reader").current().append(*said("secret"))
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

    def test_more_sessions_than_files_are_kept_open_all_stay_usable(self, store: FileStore) -> None:
        manager = SessionManager(store, "reader")
        sessions = [manager.create(f"Notes {number}") for number in range(40)]
        for _ in range(2):
            for session in sessions:
                session.append(*said(session.name))
        assert len(store._files) <= 32
        assert all(info.message_count == 2 for info in manager.list())

    def test_a_store_that_is_dropped_without_being_closed_leaves_no_file_open(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path)
        for session in [SessionManager(store, "reader").create(name) for name in "abc"]:
            session.append(*said("x"))
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
        session.append(*said("three, which was never acknowledged"))
        after = file.read_bytes()
        start = before.rindex(b"]")
        for cut in range(start, len(after) + 1):
            torn = after[:cut] + before[cut:]
            file.write_bytes(torn)
            found = fresh(folder, session)
            kept = list(found.history)
            assert kept[:2] == said("one", "two ü"), cut
            assert kept[2:] in ([], said("three, which was never acknowledged")), cut
            found.append(*said("four"))
            assert json.loads(file.read_bytes())["history"] == [*kept, *said("four")]

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
        assert list(found.history) == said("one", "two ü")
        found.append(*said("three"))
        assert json.loads(file.read_bytes())["history"] == said("one", "two ü", "three")
        assert index_of(folder)[0]["message_count"] == 3

    def test_what_cannot_be_read_is_put_beside_and_the_person_told(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        data = file.read_bytes()
        file.write_bytes(data.replace(b'{"role":"user","content":"one"', b'{"role":"user",\xff"one"'))
        found = fresh(folder, session)
        assert list(found.history) == said("two ü")
        assert b'\xff"one"' in file.with_suffix(".corrupt").read_bytes()
        assert mode(file.with_suffix(".corrupt")) == 0o600
        (notice,) = found._store.notices()
        assert "Notes" in notice
        assert ".corrupt" in notice
        assert found._store.notices() == []

    def test_a_second_damage_does_not_overwrite_what_the_first_put_beside(
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
        session.append(*said("three"))
        assert json.loads(file.read_bytes())["history"] == said("one", "two ü", "three")

    def test_a_flipped_byte_in_a_message_costs_neither_it_nor_its_neighbours(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        file.write_bytes(file.read_bytes().replace("ü".encode(), b"\xff"))
        assert list(fresh(folder, session).history) == said("one", "two \udcff")

    def test_a_file_indented_by_hand_is_read_and_brought_into_form_by_the_next_write(
        self, folder: Path, session: Session, file: Path
    ) -> None:
        document = json.loads(file.read_bytes()) | {"extra": True}
        by_hand = json.dumps(document, indent=2, sort_keys=True)
        file.write_text(by_hand)
        found = fresh(folder, session)
        assert list(found.history) == said("one", "two ü")
        assert found.tail(1) == said("two ü")
        assert file.read_text() == by_hand
        found.append(*said("three"))
        written = file.read_bytes()
        assert json.loads(written)["history"] == said("one", "two ü", "three")
        assert json.loads(written)["extra"] is True
        assert written.count(b"\n") == 5
        assert found._store.notices() == []

    @pytest.mark.parametrize("data", [b"", b"\0" * 500, b"not json", b"[]", b'{"id":"x","history":[]}'])
    def test_a_hopeless_file_is_named_and_left_and_the_others_work(
        self, folder: Path, store: FileStore, session: Session, file: Path, data: bytes
    ) -> None:
        other = SessionManager(store, "reader").create("Other")
        file.write_bytes(data)
        with pytest.raises(Damaged) as caught:
            fresh(folder, session)
        assert file.name in str(caught.value)
        assert caught.value.hint
        assert file.read_bytes() == data
        other.append(*said("x"))
        (folder / "sessions" / "index.json").unlink()
        assert [info.name for info in FileStore(folder).sessions()] == ["Other"]

    def test_a_file_that_says_another_id_is_damaged(self, folder: Path, session: Session, file: Path) -> None:
        renamed = file.with_name(f"{new_id()}.json")
        shutil.copy(file, renamed)
        with pytest.raises(Damaged, match=session.id):
            FileStore(folder).load(renamed.stem)


class TestTrash:
    def test_a_move_that_the_disk_refuses_is_told_as_such_and_changes_nothing(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        trash = folder / "sessions" / "trash"
        (trash / file.name).mkdir()
        with pytest.raises(StoreError, match=rf"{file.name} could not be moved to .*trash"):
            store.delete(session.id)
        session.append(*said("still here"))
        (trash / file.name).rmdir()
        store.delete(session.id)
        file.mkdir()
        with pytest.raises(StoreError, match=rf"{file.name} could not be moved to .*sessions"):
            store.restore(session.id)
        file.rmdir()
        assert store.restore(session.id).info == session.info


class TestIndex:
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
        self, folder: Path, store: FileStore, session: Session, spoil: Callable[[bytes], Any]
    ) -> None:
        SessionManager(store, "writer").create("Other", metadata={"a": 1})
        usage = {"prompt_tokens": 7, "completion_tokens": 1}
        session.append({"role": "assistant", "content": "x", "usage": usage})
        before = sorted(store.sessions(), key=lambda info: info.id)
        index = folder / "sessions" / "index.json"
        data = spoil(index.read_bytes())
        index.unlink() if data is None else index.write_bytes(data)
        for again in (FileStore(folder), store):
            assert sorted(again.sessions(), key=lambda info: info.id) == before
        session.append(*said("goes on"))
        assert {entry["name"]: entry["message_count"] for entry in index_of(folder)} == {"Notes": 4, "Other": 0}

    def test_a_stale_entry_is_put_right_when_its_session_is_met(self, folder: Path, session: Session) -> None:
        index = folder / "sessions" / "index.json"
        stale = index.read_bytes()
        session.append({"role": "assistant", "content": "x", "usage": {"prompt_tokens": 7}})
        index.write_bytes(stale)
        assert fresh(folder, session).info.prompt_tokens == 7
        assert index_of(folder)[0]["message_count"] == 3

    def test_an_entry_without_a_file_goes_and_a_file_without_an_entry_is_entered(
        self, folder: Path, store: FileStore, session: Session, file: Path
    ) -> None:
        other = SessionManager(store, "reader").create("Other")
        (folder / "sessions" / f"{other.id}.json").unlink()
        with pytest.raises(NotFound):
            store.load(other.id)
        (folder / "sessions" / "index.json").write_bytes(b'{"sessions":[\n]}\n')
        assert FileStore(folder).load(session.id).info.name == "Notes"
        assert [entry["name"] for entry in index_of(folder)] == ["Notes"]

    def test_an_entry_may_outgrow_its_line(self, folder: Path, store: FileStore, session: Session) -> None:
        manager = SessionManager(store, "reader")
        for name in ("x" * 100, "a", "日" * 100, "b"):
            session = manager.rename(session.id, name)
            session.append(*said("x"))
            assert index_of(folder)[0]["name"] == name
        assert index_of(folder)[0]["message_count"] == 6

    def test_removing_entries_leaves_the_others(self, folder: Path, store: FileStore) -> None:
        manager = SessionManager(store, "reader")
        for name in "abcd":
            manager.create(name)
        for name, left in (("a", "bcd"), ("d", "bc"), ("b", "c"), ("c", "")):
            manager.delete(name)
            assert "".join(entry["name"] for entry in index_of(folder)) == left
        manager.create("e")
        assert index_of(folder)[0]["name"] == "e"

    def test_appends_are_not_lost_when_the_index_cannot_be_written(self, folder: Path, session: Session) -> None:
        index = folder / "sessions" / "index.json"
        index.unlink()
        index.mkdir()
        session.append(*said("three"))
        index.rmdir()
        assert fresh(folder, session).message_count == 3

    def test_what_the_disk_refuses_is_told_in_words(self, folder: Path, store: FileStore, session: Session) -> None:
        index = folder / "sessions" / "index.json"
        index.unlink()
        index.mkdir()
        for use in (store.sessions, lambda: store.load(session.id), lambda: store.delete(session.id)):
            with pytest.raises(StoreError, match="index"):
                use()
        index.rmdir()
        assert store.sessions() == [session.info]
