"""Pruning: old data is removed, data in use is kept, and a dry run changes nothing."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prompt_objects.config.maintenance import BackupSettings, PruneSettings
from prompt_objects.sessions.backups import Backups
from prompt_objects.sessions.info import SessionInfo, new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.prune import Pruned, prune
from prompt_objects.sessions.stores.lease import ProcessInfo, take_lease

pytest_plugins = ["tests.support.store_fixtures"]

SETTINGS = PruneSettings(empty_days=7, trash_days=30, log_days=30)


@pytest.fixture
def old(manager: SessionManager) -> Callable[..., SessionInfo]:
    """Creates a session that was last changed this many days ago."""

    def create(name: str, days: float, *messages: str) -> SessionInfo:
        moment = datetime.now(UTC) - timedelta(days=days)
        info = SessionInfo(
            id=new_id(), name=name, po_name="reader", message_count=0, created_at=moment, updated_at=moment
        )
        return manager.store.create(info, {}, [{"role": "user", "content": text} for text in messages]).info

    return create


@pytest.fixture
def run(manager: SessionManager, tmp_path: Path) -> Callable[..., Pruned]:
    backups = Backups(tmp_path / "backups", manager.store, BackupSettings(keep=1))

    def run(settings: PruneSettings = SETTINGS, *, dry_run: bool = False) -> Pruned:
        return prune(backups, manager.last_used, tmp_path, settings, dry_run=dry_run)

    return run


def names(manager: SessionManager) -> list[str]:
    return sorted(info.name for info in manager.list())


def test_old_empty_sessions_go_to_the_trash(
    manager: SessionManager, old: Callable[..., SessionInfo], run: Callable[..., Pruned]
) -> None:
    old("Old", 8)
    old("Young", 6)
    old("Said", 8, "Hello")
    assert [info.name for info in run(dry_run=True).empty] == ["Old"]
    assert names(manager) == ["Old", "Said", "Young"]
    assert [info.name for info in run().empty] == ["Old"]
    assert names(manager) == ["Said", "Young"]
    assert manager.restore().name == "Old"


def test_current_sessions_and_sessions_in_use_are_kept(
    manager: SessionManager, old: Callable[..., SessionInfo], run: Callable[..., Pruned]
) -> None:
    manager.switch(old("Current", 8).id)
    used = old("Used", 8)
    lease = take_lease(manager.store, used.id, ProcessInfo.current("ann"))
    assert run().empty == ()
    lease.release()
    assert [info.name for info in run().empty] == ["Used"]


def test_old_trash_is_purged(
    manager: SessionManager, old: Callable[..., SessionInfo], run: Callable[..., Pruned], tmp_path: Path, url: str
) -> None:
    for name in ("Old", "Young"):
        old(name, 0, "Hello")
        manager.delete(name)
    assert run().trashed == ()
    if not url.startswith("files:"):
        return  # only this store lets a test set the time of deletion
    ids = {entry.info.name: entry.info.id for entry in manager.trash()}
    moment = time.time() - 31 * 86_400
    os.utime(tmp_path / "data" / "sessions" / "trash" / f"{ids['Old']}.json", (moment, moment))
    assert [entry.info.name for entry in run(dry_run=True).trashed] == ["Old"]
    assert len(manager.trash()) == 2
    assert [entry.info.name for entry in run().trashed] == ["Old"]
    assert [entry.info.name for entry in manager.trash()] == ["Young"]


def test_old_logs_are_removed_and_nothing_else_in_their_folder(
    manager: SessionManager, run: Callable[..., Pruned], tmp_path: Path
) -> None:
    first, second = (tmp_path / "logs" / new_id() for _ in range(2))
    elsewhere = tmp_path / "elsewhere"
    for folder in (first, second, elsewhere, tmp_path / "logs" / "mine"):
        folder.mkdir(parents=True)
        (folder / "a.log").write_text("x")
        os.utime(folder / "a.log", (0, 0))
    (second / "b.log").write_text("young")
    (tmp_path / "logs" / new_id()).symlink_to(elsewhere)
    (second / "link.log").symlink_to(elsewhere / "a.log")
    assert sorted(run(dry_run=True).logs) == sorted([first / "a.log", second / "a.log"])
    assert (first / "a.log").exists()
    assert len(run().logs) == 2
    assert not first.exists()
    assert sorted(path.name for path in second.iterdir()) == ["b.log", "link.log"]
    assert (elsewhere / "a.log").exists()
    assert (tmp_path / "logs" / "mine" / "a.log").exists()


def test_backups_beyond_their_number_are_removed(
    manager: SessionManager, old: Callable[..., SessionInfo], run: Callable[..., Pruned], tmp_path: Path
) -> None:
    session = manager.get(old("Notes", 0, "Hello").id)
    backups = Backups(tmp_path / "backups", manager.store, BackupSettings())
    first = backups.save(session.id)
    session.append({"role": "user", "content": "More"})
    backups.save(session.id)
    assert run(dry_run=True).backups == (first,)
    assert first.exists()
    assert run().backups == (first,)
    assert not first.exists()


def test_nothing_old_means_nothing_is_removed(run: Callable[..., Pruned], tmp_path: Path) -> None:
    assert run() == Pruned((), (), (), (), ())
    assert not (tmp_path / "logs").exists()
