"""Pruning: old empty sessions go to the trash; old trash, logs, backups and unused frames are removed."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from prompt_objects.config.maintenance import PruneSettings
from prompt_objects.errors import Busy, Damaged, NotFound, UsageError
from prompt_objects.sessions.backups import Backups
from prompt_objects.sessions.frames import prune_frames
from prompt_objects.sessions.info import SessionInfo, TrashedSession, is_id
from prompt_objects.sessions.recent import RecentSessions
from prompt_objects.sessions.stores.base import Store, exists
from prompt_objects.sessions.stores.lease import lease_holder, leased
from prompt_objects.sessions.workspace import remove_session_files
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import now


class Pruned(Struct, frozen=True):
    """The empty sessions moved to the trash, and the trashed sessions, logs, backups and unused frames removed."""

    empty: tuple[SessionInfo, ...]
    trashed: tuple[TrashedSession, ...]
    logs: tuple[Path, ...]
    backups: tuple[Path, ...]
    frames: tuple[str, ...]


def prune(
    backups: Backups, last_used: RecentSessions, data_dir: Path, settings: PruneSettings, *, dry_run: bool
) -> Pruned:
    """Remove everything older than the settings say; with `dry_run`, only return it.

    An empty session is kept if it is the current one of its prompt object, or in use. Raises `StoreError`.
    """
    store, moment = backups.store, now()
    oldest = moment - timedelta(days=settings.trash_days)
    trashed = [entry for entry in store.trash() if entry.deleted_at < oldest]
    empty = _old_empty(store, last_used, moment - timedelta(days=settings.empty_days))
    old_logs = list(_old_logs(data_dir / "logs", time.time() - timedelta(days=settings.log_days).total_seconds()))
    if not dry_run:
        trashed = [entry for entry in trashed if _purge(store, data_dir, entry.info.id)]
        empty = [info for info in empty if _delete_empty(store, info.id)]
        for log in old_logs:
            disk.remove_file(log)
            with suppress(OSError):  # not empty
                log.parent.rmdir()
    removed = tuple(backups.thin_out(dry_run=dry_run))
    frames = prune_frames(store, dry_run=dry_run)
    return Pruned(tuple(empty), tuple(trashed), tuple(old_logs), removed, tuple(frames))


def _old_empty(store: Store, last_used: RecentSessions, before: datetime) -> list[SessionInfo]:
    return [
        info
        for info in store.list()
        if info.message_count == 0
        and info.updated_at < before
        and last_used.last_session(info.po_name) != info.id
        and lease_holder(store, info.id) is None
    ]


def _old_logs(folder: Path, before: float) -> Iterator[Path]:
    """Yield old files in the folders of sessions; symbolic links are neither followed nor removed."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if is_id(entry.name) and entry.is_dir(follow_symlinks=False):
                for file in os.scandir(entry.path):
                    status = file.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and status.st_mtime < before:
                        yield Path(file.path)


def _purge(store: Store, data_dir: Path, session_id: str) -> bool:
    try:
        store.purge(session_id)
        if not exists(store, session_id):
            remove_session_files(data_dir, session_id)
    except NotFound:  # restored meanwhile
        return False
    return True


def _delete_empty(store: Store, session_id: str) -> bool:
    """Move a session to the trash, unless it is in use or has a message by now; return whether it was moved."""
    try:
        with leased(store, session_id):
            if store.load(session_id).info.message_count:
                return False
            store.delete(session_id)
    except (Busy, NotFound, Damaged, UsageError):  # UsageError: the trash has the same id, which doctor repairs
        return False
    return True
