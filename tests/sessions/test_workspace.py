"""Purging a session removes its files and no others."""

import shutil
from pathlib import Path

import pytest

from prompt_objects.errors import StoreError
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import trace_file
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.file.store import FileStore
from prompt_objects.sessions.workspace import workspace_of

pytest_plugins = ["tests.support.store_fixtures"]


@pytest.mark.parametrize("half", [False, True], ids=["at once", "after a kill"])
def test_purging_removes_logs_workspace_and_trace_with_every_store(tmp_path: Path, store: Store, half: bool) -> None:
    manager = SessionManager(store, "reader", data_dir=tmp_path)
    session, other = manager.create("Notes"), manager.create("Other")
    for name in ("logs", "workspace"):
        for key in (session.id, other.id):
            (tmp_path / name / key / "deep").mkdir(parents=True)
            (tmp_path / name / key / "deep" / "file").touch()
    for key in (session.id, other.id):
        trace_file(tmp_path, key).parent.mkdir(exist_ok=True)
        trace_file(tmp_path, key).touch()
    manager.delete("Notes")
    assert trace_file(tmp_path, session.id).exists()
    assert (tmp_path / "logs" / session.id).exists()
    if half:
        shutil.rmtree(tmp_path / "logs" / session.id)
    manager.purge("Notes")
    assert not list(tmp_path.rglob(f"{session.id}*"))
    assert len(list(tmp_path.rglob(other.id))) == 2
    assert trace_file(tmp_path, other.id).exists()


def test_purging_follows_no_link_out_of_the_data_folder(tmp_path: Path, store: Store) -> None:
    manager = SessionManager(store, "reader", data_dir=tmp_path)
    session = manager.create("Notes")
    (tmp_path / "precious").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / session.id).symlink_to(tmp_path / "precious")
    (tmp_path / "precious" / "file").touch()
    (tmp_path / "traces").mkdir()
    trace_file(tmp_path, session.id).symlink_to(tmp_path / "precious" / "file")
    manager.delete("Notes")
    manager.purge()
    assert (tmp_path / "precious" / "file").exists()
    assert not trace_file(tmp_path, session.id).is_symlink()
    assert not (tmp_path / "logs" / session.id).is_symlink()


def test_files_of_a_session_with_the_same_id_outside_the_trash_are_kept(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    manager = SessionManager(store, "reader", data_dir=tmp_path)
    session = manager.create("Notes")
    (tmp_path / "workspace" / session.id).mkdir(parents=True)
    manager.delete("Notes")
    shutil.copy(tmp_path / "sessions" / "trash" / f"{session.id}.json", tmp_path / "sessions")
    manager.purge()
    assert (tmp_path / "workspace" / session.id).exists()
    assert manager.get("Notes").id == session.id


def test_a_workspace_that_is_a_link_is_refused(tmp_path: Path, store: Store) -> None:
    session = SessionManager(store, "reader", data_dir=tmp_path).create("Notes")
    (tmp_path / session.id).symlink_to(tmp_path)
    with pytest.raises(StoreError, match="is a symbolic link"):
        workspace_of(session.info, store, tmp_path)
