"""The files of an environment have their places, and ephemeral ones are removed."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.config.environment import Config
from prompt_objects.config.maintenance import PruneSettings
from prompt_objects.environment.storage import Storage
from prompt_objects.errors import StoreError


def kept(folder: Path, url: str | None = None, **settings: Any) -> Storage:
    return Storage(folder, Config(data_dir=folder / "state", **settings), url, lambda _: None)


def test_sessions_are_in_the_data_folder_by_default(tmp_path: Path) -> None:
    storage = kept(tmp_path)
    session = storage.session_manager.for_object("scout").create("Plans")
    assert (tmp_path / "state" / "sessions" / f"{session.id}.json").exists()
    assert storage.workspace == tmp_path / "state" / "workspace"
    assert storage.backups.save(session.id).is_relative_to(tmp_path / "state" / "backups")
    storage.close()


def test_replacement_store_has_its_own_backups(tmp_path: Path) -> None:
    saved = []
    for url in (None, "files:other", "sqlite:///other.db"):
        storage = kept(tmp_path, url, store="files:usual")
        session = storage.session_manager.for_object("scout").create("Plans")
        saved.append(storage.backups.save(session.id).parents[1])
        assert tmp_path / "usual" in storage.local_paths
        storage.close()
    assert len(set(saved)) == 3
    assert all(folder.is_relative_to(tmp_path / "state") for folder in saved)


def test_files_of_in_memory_sessions_are_removed(tmp_path: Path) -> None:
    storage = kept(tmp_path, "memory:")
    assert storage.is_ephemeral
    storage.workspace.mkdir(parents=True)
    (storage.workspace / "note.txt").write_text("for now")
    storage.close()
    assert not storage.workspace.parent.exists()
    assert not (tmp_path / "state").exists()


def test_old_data_is_pruned_once_at_start_if_configured(tmp_path: Path) -> None:
    storage = kept(tmp_path, prune=PruneSettings(at_start=True, trash_days=0))
    sessions = storage.session_manager.for_object("scout")
    for name in ("first", "second"):
        sessions.create(name).append({"role": "user", "content": "Hello"})
        sessions.delete(name)
        assert storage.run_maintenance() == []
    assert [trashed.info.name for trashed in sessions.trash()] == ["second"]
    storage.close()


@pytest.mark.parametrize("url", ["files:loop", "sqlite:///loop/sessions.db"])
def test_a_loop_of_links_as_the_store_is_an_error_of_the_store(tmp_path: Path, url: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StoreError), closing(kept(tmp_path, url)) as storage:
        storage.session_manager.for_object("scout").create("Plans")
