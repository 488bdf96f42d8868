"""What an environment keeps has its place, and what is not to be kept leaves nothing behind."""

from pathlib import Path
from typing import Any

from prompt_objects.config.environment import Config
from prompt_objects.config.maintenance import PruneSettings
from prompt_objects.environment.storage import Storage


def kept(folder: Path, url: str | None = None, **settings: Any) -> Storage:
    return Storage(folder, Config(data_dir=folder / "state", **settings), url)


def test_sessions_live_in_the_data_folder_where_nothing_is_said(tmp_path: Path) -> None:
    storage = kept(tmp_path)
    session = storage.session_manager.for_object("scout").create("Plans")
    assert (tmp_path / "state" / "sessions" / f"{session.id}.json").exists()
    assert storage.workspace == tmp_path / "state" / "workspace"
    assert storage.backups.save(session.id).is_relative_to(tmp_path / "state" / "backups")
    storage.close()


def test_a_store_that_stands_in_for_the_usual_one_has_backups_of_its_own(tmp_path: Path) -> None:
    saved = []
    for url in (None, "files:other", "sqlite:///other.db"):
        storage = kept(tmp_path, url, store="files:usual")
        session = storage.session_manager.for_object("scout").create("Plans")
        saved.append(storage.backups.save(session.id).parents[1])
        assert tmp_path / "usual" in storage.local_paths
        storage.close()
    assert len(set(saved)) == 3
    assert all(folder.is_relative_to(tmp_path / "state") for folder in saved)


def test_all_that_sessions_in_memory_leave_goes_with_them(tmp_path: Path) -> None:
    storage = kept(tmp_path, "memory:")
    assert storage.is_ephemeral
    storage.workspace.mkdir(parents=True)
    (storage.workspace / "note.txt").write_text("for now")
    storage.close()
    assert not storage.workspace.parent.exists()
    assert not (tmp_path / "state").exists()


def test_what_is_old_is_removed_once_at_start_where_that_is_set(tmp_path: Path) -> None:
    storage = kept(tmp_path, prune=PruneSettings(at_start=True, trash_days=0))
    sessions = storage.session_manager.for_object("scout")
    for name in ("first", "second"):
        sessions.create(name).append({"role": "user", "content": "Hello"})
        sessions.delete(name)
        assert storage.run_maintenance() == []
    assert [trashed.info.name for trashed in sessions.trash()] == ["second"]
    storage.close()
