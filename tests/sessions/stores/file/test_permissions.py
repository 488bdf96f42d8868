"""Files and folders that others may read, as after `git clone`, become private with the first write."""

import stat
from pathlib import Path

import pytest

from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore

HELLO = {"role": "user", "content": "Hello"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def cloned(tmp_path: Path) -> Path:
    """A data folder with a session, in which everybody may read everything."""
    folder = tmp_path / ".prompt_objects"
    SessionManager(FileStore(folder), "scout").create("Notes").append(HELLO)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def test_the_first_message_makes_folders_and_file_private(cloned: Path) -> None:
    session = SessionManager(FileStore(cloned), "scout").get("Notes")
    session.append(HELLO)
    file = cloned / "sessions" / f"{session.id}.json"
    assert [mode(path) for path in (cloned, file.parent, file)] == [0o700, 0o700, 0o600]


def test_doctor_reports_and_repairs_it(cloned: Path) -> None:
    store = FileStore(cloned)
    (issue,) = store.check()
    assert issue.problem == "Other users may read this folder and 3 files in it."
    assert mode(cloned) == 0o755
    store.check(repair=True)
    assert store.check() == []
    assert {mode(path) for path in (cloned / "sessions").glob("0*.json")} == {0o600}


def test_a_folder_around_the_store_with_other_content_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    SessionManager(FileStore(tmp_path), "scout").create("Notes")
    assert mode(tmp_path) == 0o755
