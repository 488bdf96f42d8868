"""A check finds all damage without writing a byte, and a repair loses none."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_objects.message import Message
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from prompt_objects.sessions.stores.lease import ProcessInfo
from tests.support.file_store import file_store_with_notices, fresh, index_of
from tests.support.file_store_check import contents, examine, make_old, whole
from tests.support.forked import run_forked
from tests.support.paths import worker_path
from tests.support.sessions import user_messages

pytest_plugins = ["tests.support.file_store_fixtures"]


WORKER = worker_path("repairing")


same_files = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80, derandomize=True
)


@pytest.fixture
def notes(file_store: FileStore) -> Session:
    session = SessionManager(file_store, "reader").create("Notes")
    session.append(*user_messages("one", "two ü", "three"))
    return session


def test_a_valid_store_has_no_findings(folder: Path, file_store: FileStore, notes: Session) -> None:
    other = SessionManager(file_store, "reader").create("Other")
    SessionManager(file_store, "reader").delete(other.id)
    file_store.archive(SessionManager(file_store, "writer").create("Cold").id)
    before = whole(folder)
    assert examine(folder) == []
    assert examine(folder, repair=True) == []
    assert whole(folder) == before


FAULTS: dict[str, tuple[Callable[[bytes], bytes], list[str]]] = {
    "torn tail": (lambda data: data.rstrip()[:-30], ["one", "two ü", "three"]),
    "torn message": (lambda data: data[: data.index(b"three") + 2], ["one", "two ü"]),
    "bad line": (lambda data: data.replace(b'"two', b"two"), ["one", "three"]),
    "nul bytes": (lambda data: data + b"\0" * 4096, ["one", "two ü", "three"]),
    "nul in the midst": (lambda data: data.replace(b'{"role":"user","content":"two', b"\0" * 29), ["one", "three"]),
    "head cut off": (lambda data: data[40:], ["one", "two ü", "three"]),
    "head overwritten": (lambda data: b"\0" * 60 + data[60:], ["one", "two ü", "three"]),
    "only the head": (lambda data: data[:50], []),
    "empty": (lambda _: b"", []),
    "nothing but nul": (lambda data: b"\0" * len(data), []),
    "no session": (lambda _: b"[1, 2]", []),
    "not json": (lambda _: b"something else", []),
    "indented": (lambda data: json.dumps(json.loads(data), indent=2).encode(), ["one", "two ü", "three"]),
    "key that ends like history": (lambda _: b'{"x\\"history":[\n{"role":"user","content":"o', []),
    "CRLF": (lambda data: data.replace(b"\n", b"\r\n"), ["one", "two ü", "three"]),
    "BOM": (lambda data: b"\xef\xbb\xbf" + data, ["one", "two ü", "three"]),
}


@pytest.mark.parametrize("trashed", [False, True], ids=["live", "trashed"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_damage_is_found_and_repaired(
    folder: Path, file_store: FileStore, notes: Session, fault: str, trashed: bool
) -> None:
    spoil, kept = FAULTS[fault]
    file = folder / "sessions" / f"{notes.id}.json"
    if trashed:
        file_store.delete(notes.id)
        file = folder / "sessions" / "trash" / file.name
    file_store.close()
    file.write_bytes(spoil(file.read_bytes()))
    before = whole(folder)
    found = examine(folder)
    assert whole(folder) == before
    assert examine(folder) == found
    assert any(finding.session_id == notes.id for finding in found)
    assert not any(finding.repaired for finding in found)
    assert all(finding.repaired for finding in examine(folder, repair=True))
    assert examine(folder) == []
    if trashed:
        FileStore(folder).restore(notes.id)
    assert contents(folder, notes) == kept
    assert json.loads((folder / "sessions" / f"{notes.id}.json").read_bytes())["id"] == notes.id


@pytest.mark.parametrize(("spoil", "kept"), FAULTS.values(), ids=FAULTS)
def test_every_damage_is_reported_at_opening_in_a_sentence(
    folder: Path, notes: Session, file: Path, spoil: Callable[[bytes], bytes], kept: list[str]
) -> None:
    file.write_bytes(spoil(file.read_bytes()))
    store, notices = file_store_with_notices(folder)
    assert [info.id for info in store.list()] == [notes.id]
    session = Session(store, store.load(notes.id))
    assert [message["content"] for message in session.history] == kept
    assert session.name == "Notes"  # only the index has it
    session.refresh()
    session.append(*user_messages("more"))
    assert contents(folder, notes) == [*kept, "more"]
    is_whole = spoil in [FAULTS[name][0] for name in ("indented", "CRLF", "BOM", "nul bytes")]
    assert len(set(notices)) == (0 if is_whole else 1)


def test_without_index_and_head_a_session_is_listed_as_recovered(folder: Path, notes: Session, file: Path) -> None:
    file.write_bytes(file.read_bytes().partition(b"\n")[2])
    (folder / "sessions" / "index.json").unlink()
    (info,) = FileStore(folder).list()
    assert (info.id, info.po_name, info.message_count) == (notes.id, "unknown", 3)
    assert info.name.startswith("Recovered 20")
    assert abs((info.created_at - notes.created_at).total_seconds()) < 2  # derived from the ID
    assert contents(folder, notes) == ["one", "two ü", "three"]


def test_the_valid_fields_of_a_damaged_header_are_kept(folder: Path, notes: Session, file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data.replace(b'"metadata":{}', b'"metadata":{]'))
    (folder / "sessions" / "index.json").unlink()
    found = fresh(folder, notes)
    assert (found.name, found.po_name, found.created_at) == ("Notes", "reader", notes.created_at)
    assert b'"metadata":{]' in file.with_suffix(".corrupt").read_bytes()


INDEX_FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda _: b"{{{",
    "empty": lambda _: b"",
    "zeros": lambda data: b"\0" * len(data),
    "no entry": lambda _: b'{"sessions":[\n]}\n',
    "wrong count": lambda data: data.replace(b'"message_count":3', b'"message_count":7'),
    "wrong name": lambda data: data.replace(b'"name":"Notes"', b'"name":"Other"'),
    "stranger": lambda data: data.replace(
        b"\n]}\n", b"\n," + data.split(b"\n")[1].replace(b'"id":"0', b'"id":"1').rstrip() + b"\n]}\n"
    ),
    "twice": lambda data: data.replace(b"\n]}\n", b"\n," + data.split(b"\n")[1] + b"\n]}\n"),
}


@pytest.mark.parametrize("spoil", INDEX_FAULTS.values(), ids=INDEX_FAULTS)
def test_an_index_that_differs_from_the_files_is_found_and_repaired(
    folder: Path, file_store: FileStore, notes: Session, spoil: Callable[[bytes], bytes]
) -> None:
    file_store.close()
    index = folder / "sessions" / "index.json"
    index.write_bytes(spoil(index.read_bytes()))
    before = whole(folder)
    found = examine(folder)
    assert [finding.place for finding in found] == [str(index)]
    assert whole(folder) == before
    assert [finding.repaired for finding in examine(folder, repair=True)] == [True]
    assert examine(folder) == []
    (entry,) = index_of(folder)
    assert (entry["id"], entry["name"], entry["message_count"]) == (notes.id, "Notes", 3)


def test_a_folder_in_place_of_the_index_is_found_and_moved_away(folder: Path, notes: Session) -> None:
    index = folder / "sessions" / "index.json"
    index.unlink()
    (index / "inside").mkdir(parents=True)
    assert [finding.problem for finding in examine(folder)] == ["The index cannot be read."]
    assert [finding.repaired for finding in examine(folder, repair=True)] == [True]
    assert examine(folder) == []
    assert [entry["id"] for entry in index_of(folder)] == [notes.id]
    assert len(list(index.parent.glob("index.json.corrupt-*/inside"))) == 1


def test_an_index_that_cannot_be_read_is_kept(folder: Path, file_store: FileStore, notes: Session) -> None:
    file_store.close()
    index = folder / "sessions" / "index.json"
    index.write_bytes(b"{{{ by hand")
    examine(folder, repair=True)
    assert index.with_name("index.json.corrupt").read_bytes() == b"{{{ by hand"


def test_left_over_files_are_cleared_and_nothing_in_them_is_lost(folder: Path, notes: Session, file: Path) -> None:
    sessions = folder / "sessions"
    new = sessions / f".{file.name}.0123abcd.tmp"
    new.write_bytes(b"half a sess")
    same = sessions / f".{file.name}.0123abce.tmp"
    same.write_bytes(file.read_bytes()[:100])
    derived = sessions / ".index.json.0123abcf.tmp"
    derived.write_bytes(b"x")
    for path in (new, same, derived):
        make_old(path)
    fresh_one = sessions / f".{file.name}.0123abc0.tmp"
    fresh_one.write_bytes(b"somebody is writing this")
    assert {finding.place for finding in examine(folder)} == {str(new), str(same), str(derived)}
    assert all(finding.repaired for finding in examine(folder, repair=True))
    assert sorted(path.name for path in sessions.iterdir() if path.suffix == ".tmp") == [fresh_one.name]
    assert file.with_suffix(".corrupt").read_bytes() == b"half a sess"


def test_a_lease_whose_holder_ended_is_cleared_and_one_that_is_held_is_not(folder: Path, notes: Session) -> None:
    store = FileStore(folder)
    lease = store.lease(notes.id, ProcessInfo.current())
    left = folder / "sessions" / "leases" / f"{new_id()}.json"
    left.write_text("{}")
    assert [finding.place for finding in examine(folder)] == [str(left)]
    assert left.exists()
    assert [finding.repaired for finding in examine(folder, repair=True)] == [True]
    assert not left.exists()
    assert store.holder(notes.id) is not None
    lease.release()


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("/etc/passwd")], ids=["folder", "link"])
def test_anything_but_a_regular_file_is_reported_and_kept(
    folder: Path, notes: Session, make: Callable[[Path], object]
) -> None:
    bad = folder / "sessions" / f"{new_id()}.json"
    make(bad)
    for repair in (False, True):
        found = [finding for finding in examine(folder, repair=repair) if finding.place == str(bad)]
        assert [finding.repaired for finding in found] == [False]
    assert os.path.lexists(bad)


def test_a_file_without_an_id_as_its_name_is_reported(folder: Path, file: Path) -> None:
    stray = file.with_name(f"{file.stem} (1).json")
    shutil.copy(file, stray)
    (found,) = examine(folder)
    assert (found.place, found.repaired) == (str(stray), False)


def _kept_in_order(messages: list[Message], original: list[Message]) -> bool:
    rest = iter(original)
    return all(any(message == other for other in rest) for message in messages)


@same_files
@given(choose=st.data())
def test_after_any_damage_complete_lines_stay_in_order_and_no_byte_is_lost(
    folder: Path, notes: Session, file: Path, choose: st.DataObject
) -> None:
    good = bytes(file.read_bytes()) if not hasattr(notes, "good") else notes.good
    notes.good = good  # type: ignore[attr-defined]  # all examples share the fixtures
    corrupt = file.with_suffix(".corrupt")
    corrupt.unlink(missing_ok=True)
    size = len(good.rstrip())
    start = choose.draw(st.integers(0, size - 1))
    stop = choose.draw(st.integers(start + 1, size))
    bad = choose.draw(
        st.sampled_from(
            [good[:start], good[:start] + b"\0" * (stop - start) + good[stop:], good[:start] + good[stop:]]
        )
    )
    file.write_bytes(bad)
    store = FileStore(folder)
    messages = store.read(notes.id, 0, sys.maxsize)
    store.close()
    original = json.loads(good)["history"]
    assert _kept_in_order([message for message in messages if message in original], original)
    lines = [line.removeprefix(b",") for line in good.rstrip().split(b"\n")[1:-1]]
    found = re.split(rb"[\n\0]+", bad)
    untouched = [json.loads(line) for line in lines if {line, b"," + line} & set(found)]
    missing = [message for message in untouched if message not in messages]
    assert not missing
    examine(folder, repair=True)
    kept = (file.read_bytes() + (corrupt.read_bytes() if corrupt.exists() else b"")).replace(b"\0", b"")
    for line in found:
        core = line.strip(b",[]}{ ")
        assert len(core) < 40 or core[:40] in kept or b'"updated_at"' in core or b'"history"' in core
    once = whole(folder)
    examine(folder, repair=True)
    assert whole(folder) == once


@pytest.mark.parametrize("name", ["torn message", "bad line", "head cut off", "not json"])
def test_a_repair_that_is_killed_at_any_write_is_done_again_by_the_next(
    folder: Path, file_store: FileStore, notes: Session, file: Path, name: str
) -> None:
    file_store.close()
    spoil, kept = FAULTS[name]
    bad = spoil(file.read_bytes())
    aside = b""
    for dies_at in range(1, 40):
        file.with_suffix(".corrupt").unlink(missing_ok=True)
        file.write_bytes(bad)
        worker = run_forked(WORKER, folder, str(dies_at))
        assert worker.returncode in (0, -signal.SIGKILL)
        examine(folder, repair=True)
        assert contents(folder, notes) == kept
        assert [finding.problem for finding in examine(folder)] == []
        if worker.returncode == 0:
            break
        found = file.with_suffix(".corrupt").read_bytes()
        assert not aside or found == aside
        aside = found
    else:
        pytest.fail("the worker never came to its end")
    assert dies_at > 3
