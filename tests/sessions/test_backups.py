"""Backups: complete, made of changed sessions only, limited by number and age, and restored without overwriting."""

import gzip
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.config.maintenance import BackupSettings
from prompt_objects.errors import Damaged, NotFound, StoreError
from prompt_objects.sessions.backups import Backups
from prompt_objects.sessions.info import ParentCall
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from tests.support.sessions import user_messages

pytest_plugins = ["tests.support.store_fixtures"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "sessions"


@pytest.fixture
def backups(manager: SessionManager, folder: Path) -> Backups:
    return Backups(folder, manager.store, BackupSettings(keep=3, days=10))


@pytest.fixture
def notes(manager: SessionManager) -> Session:
    session = manager.create("Notes", metadata={"a": [1]}, parent=ParentCall(session="s", call="c"))
    session.append(*user_messages("one", "two \ud800 \u2028"))
    return session


def age(path: Path, days: float) -> None:
    moment = time.time() - days * 86_400
    os.utime(path, (moment, moment))


def test_a_backup_is_the_json_export_compressed_and_private(
    manager: SessionManager, backups: Backups, notes: Session
) -> None:
    report = backups.run()
    (path,) = report.saved
    assert json.loads(gzip.decompress(path.read_bytes())) == json.loads(manager.export("Notes", "json"))
    assert path.name.startswith(f"{notes.id}-20")
    assert path.name.endswith("Z-2.json.gz")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert path.stat().st_nlink == 1


def test_only_changed_sessions_are_backed_up(manager: SessionManager, backups: Backups, notes: Session) -> None:
    other = manager.create("Other")
    other.append(*user_messages("x"))
    manager.create("Empty")
    assert len(backups.run().saved) == 2
    assert backups.run().saved == ()
    other.append(*user_messages("y"))
    (again,) = backups.run().saved
    assert other.id in again.name
    assert [backup.message_count for backup in backups.kept(other.id)] == [2, 1]
    assert backups.kept()[0].updated_at == other.updated_at


def test_backups_are_limited_by_number_and_age_but_the_newest_is_kept(backups: Backups, notes: Session) -> None:
    for number in range(5):
        notes.append(*user_messages(str(number)))
        backups.run()
    assert [backup.message_count for backup in backups.kept()] == [7, 6, 5]
    for backup in backups.kept():
        age(backup.path, 11)
    assert [path.name[-9] for path in backups.run().removed] == ["6", "5"]
    assert [backup.message_count for backup in backups.kept()] == [7]


def test_old_backups_of_a_purged_session_are_removed(
    manager: SessionManager, backups: Backups, notes: Session
) -> None:
    backups.run()
    manager.delete("Notes")
    age(backups.kept()[0].path, 11)
    assert backups.run().removed == ()
    manager.purge()
    assert len(backups.thin_out(dry_run=True)) == len(backups.kept()) == 1
    assert len(backups.run().removed) == 1


def test_backups_run_when_they_are_due(folder: Path, manager: SessionManager, notes: Session) -> None:
    backups = Backups(folder, manager.store, BackupSettings(hours=1))
    report = backups.run_if_due()
    assert report
    assert len(report.saved) == 1
    assert backups.run_if_due() is None
    for days in (1 / 23, -1):  # an hour ago, or in the future, after a wrong clock
        age(folder / "last-run", days)
        assert backups.run_if_due()
    assert Backups(folder, manager.store, BackupSettings(hours=0)).run_if_due() is None


def test_a_purged_session_is_restored_unchanged(manager: SessionManager, backups: Backups, notes: Session) -> None:
    path = backups.save(notes.id)
    history = list(notes.history)
    manager.delete("Notes")
    manager.purge()
    record = backups.restore(path).record
    assert record.info == notes.info
    assert manager.get(notes.id).metadata == {"a": [1]}
    assert list(manager.get(notes.id).history) == history


def test_the_same_session_in_the_trash_is_restored_from_there(
    manager: SessionManager, backups: Backups, notes: Session
) -> None:
    path = backups.save(notes.id)
    manager.delete("Notes")
    assert backups.restore(path).record.info.id == notes.id
    assert manager.trash() == []


def test_a_session_that_was_continued_is_not_overwritten(
    manager: SessionManager, backups: Backups, notes: Session
) -> None:
    path = backups.save(notes.id)
    notes.append(*user_messages("three"))
    date = f"{manager.get(notes.id).created_at:%Y-%m-%d}"
    first, second = backups.restore(path).record, backups.restore(path).record
    assert [first.info.name, second.info.name] == [f"Notes (backup of {date})", f"Notes (backup of {date}) 2"]
    assert (first.info.message_count, first.metadata) == (2, {"a": [1], "copy_of": notes.id})
    assert len(manager.get("Notes").history) == 3
    manager.delete("Notes")
    assert backups.restore(path).record.info.id != notes.id
    assert manager.restore("Notes").message_count == 3


def test_a_restored_session_whose_name_is_taken_gets_a_number(
    manager: SessionManager, backups: Backups, notes: Session
) -> None:
    path = backups.save(notes.id)
    manager.delete("Notes")
    manager.purge()
    manager.create("Notes")
    assert backups.restore(path).record.info.name == "Notes 2"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not gzip",
        gzip.compress(b"not json", mtime=0),
        gzip.compress(b"[]", mtime=0),
        gzip.compress(b'{"id": "x", "name": "Notes"}', mtime=0),
        gzip.compress(b"[" * 100_000, mtime=0),
        gzip.compress(b"\xff", mtime=0),
    ],
)
def test_an_incomplete_backup_restores_nothing(
    manager: SessionManager, backups: Backups, folder: Path, content: bytes
) -> None:
    folder.mkdir(parents=True)
    path = folder / "x.json.gz"
    path.write_bytes(content)
    with pytest.raises(Damaged, match="not a complete backup"):
        backups.restore(path)
    assert manager.list() == []


def test_a_backup_truncated_or_changed_anywhere_is_damaged(backups: Backups, notes: Session) -> None:
    path = backups.save(notes.id)
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(Damaged):
            backups.restore(path)
    path.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])
    with pytest.raises(Damaged):
        backups.restore(path)


@pytest.mark.parametrize(
    "changes", [{"history": [1]}, {"id": "../x"}, {"po_name": ""}, {"name": 3}, {"updated_at": "yesterday"}]
)
def test_an_invalid_document_is_damaged(
    manager: SessionManager, backups: Backups, notes: Session, changes: dict[str, Any]
) -> None:
    path = backups.save(notes.id)
    document = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps({**document, **changes}).encode()))
    with pytest.raises(Damaged):
        backups.restore(path)
    assert len(manager.list()) == 1


def test_a_backup_is_found_by_path_and_by_name(
    backups: Backups, notes: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backups.save(notes.id)
    monkeypatch.chdir(tmp_path)
    assert backups.find(str(path)) == backups.find(path.name) == path
    for name in ("nothing.json.gz", "a\0b"):
        with pytest.raises(NotFound):
            backups.find(name)


@pytest.mark.parametrize("url", ["files"], indirect=True)
def test_an_unreadable_session_does_not_block_the_backup_of_others(
    manager: SessionManager, backups: Backups, notes: Session, tmp_path: Path
) -> None:
    other = manager.create("Other")
    other.append(*user_messages("x"))
    manager.store.close()
    file = tmp_path / "data" / "sessions" / f"{notes.id}.json"
    file.unlink()
    file.mkdir()
    report = backups.run()
    assert [path.name[:36] for path in report.saved] == [other.id]
    assert [notes.id in failure for failure in report.failures] == [True]


FULL_DISK = """
import resource, sys
from pathlib import Path
from prompt_objects.errors import StoreError
from prompt_objects.sessions.backups import Backups
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.config.maintenance import BackupSettings
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(sys.argv[1])
store.list()
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    Backups(Path(sys.argv[2]), store, BackupSettings()).run()
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit of file sizes")
@pytest.mark.parametrize("url", ["files"], indirect=True)
def test_a_full_disk_leaves_no_partial_file(manager: SessionManager, notes: Session, folder: Path, url: str) -> None:
    notes.append(*user_messages("".join(map(chr, range(0x4E00, 0x5E00)))))
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, url, str(folder)], capture_output=True, text=True, check=True
    )
    assert "could not be written" in result.stdout
    assert sorted(path.name for path in folder.iterdir()) == [".lock"]


def test_temporary_files_of_a_killed_process_are_removed(backups: Backups, notes: Session, folder: Path) -> None:
    backups.run()
    leftover = folder / f".{notes.id}-20260101T000000000000Z-1.json.gz.0a1b2c3d.tmp"
    leftover.write_bytes(b"half")
    (folder / "mine.txt").write_text("left alone")
    backups.run()
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".gz") == [".lock", "last-run", "mine.txt"]


def test_a_folder_that_cannot_be_created_raises_store_error(manager: SessionManager, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        Backups(tmp_path / "file" / "backups", manager.store, BackupSettings()).run()


def test_a_file_in_place_of_the_folder_raises_store_error(manager: SessionManager, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("x")
    backups = Backups(folder, manager.store, BackupSettings(hours=1))
    for call in (backups.run_if_due, backups.run, backups.kept):
        with pytest.raises(StoreError, match=f"{folder}.*could not be"):
            call()


@pytest.mark.parametrize(
    ("unfit", "name"),
    [("API\x1b[31m\n notes\u202e", "API [31m notes"), ("long " * 50, "long " * 19 + "long"), ("x" * 300, "x" * 100)],
)
def test_a_session_with_an_invalid_name_is_restored_with_a_valid_one(
    manager: SessionManager, backups: Backups, notes: Session, unfit: str, name: str
) -> None:
    manager.store.update(notes.id, name=unfit)  # as an edit of the file would; the manager rejects it
    path = backups.save(notes.id)
    manager.delete(notes.id)
    manager.purge()
    restored = backups.restore(path)
    assert (restored.record.info.id, restored.record.info.name, restored.invalid_name) == (notes.id, name, unfit)
    assert manager.get(name).message_count == 2


@pytest.mark.parametrize("unfit", ["", " \n\0", "01990000-0000-7000-8000-000000000000"])
def test_a_name_without_valid_characters_becomes_recovered_and_the_time(
    manager: SessionManager, backups: Backups, notes: Session, unfit: str
) -> None:
    path = backups.save(notes.id)
    document = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps({**document, "name": unfit}).encode()))
    manager.delete(notes.id)
    manager.purge()
    assert backups.restore(path).record.info.name == f"Recovered {notes.created_at:%Y-%m-%d %H:%M}"


def test_a_valid_name_is_kept(backups: Backups, notes: Session) -> None:
    assert backups.restore(backups.save(notes.id)).invalid_name is None
