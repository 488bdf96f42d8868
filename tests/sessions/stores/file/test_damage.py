"""Damaged session files lose no readable message, and are repaired by the next write."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import file_store_with_notices, fresh, index_of, mode
from tests.support.sessions import user_messages

pytest_plugins = ["tests.support.file_store_fixtures"]


@pytest.fixture
def store(file_store: FileStore) -> FileStore:
    return file_store


@pytest.fixture
def session(notes: Session) -> Session:
    return notes


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

    def test_a_flipped_byte_in_a_message_costs_neither_it_nor_its_neighbors(
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
