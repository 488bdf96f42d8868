"""`Backups`: one file for each saved state of each session, in a folder outside the store.

A backup is the JSON export, compressed with gzip. Its name has the id of the session, the time of its last change and
the number of its messages, so that no file has to be opened to see whether a session needs a backup.
"""

import gzip
import json
import os
import re
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.config.maintenance import BackupSettings
from prompt_objects.errors import Damaged, InvalidName, NotFound, StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.formats.json import export
from prompt_objects.sessions.frames import keep_documents
from prompt_objects.sessions.info import SessionInfo, SessionRecord, is_id, new_id
from prompt_objects.sessions.names import sanitized_name, valid_name, with_suffix
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store, exists
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import quoted
from prompt_objects.utils.time import timestamp

_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d{8}T\d{12}Z)-(\d+)\.json\.gz")
_SUFFIX = ".json.gz"
_DAY = 86_400
_MAX_FAILURES = 10  # more unreadable sessions mean that the disk or the server has failed


class Backup(Struct, frozen=True):
    """A backup: its file, and the session and state that it was made from."""

    path: Path
    session_id: str
    updated_at: datetime
    message_count: int


class BackupReport(Struct, frozen=True):
    """The files written and removed, and an error message for each session that could not be backed up."""

    saved: tuple[Path, ...]
    removed: tuple[Path, ...]
    failures: tuple[str, ...]


class Restored(Struct, frozen=True):
    """A restored session; `invalid_name` is the name in the backup if that is not valid."""

    record: SessionRecord
    invalid_name: str | None = None


class Backups:
    """The backups of a store in a folder. Methods that write raise `StoreError`, and leave no partial files."""

    def __init__(self, folder: Path, store: Store, settings: BackupSettings) -> None:
        self.folder = folder
        self.store = store
        self.settings = settings
        self._last_run = folder / "last-run"  # its modification time is the time of the last run

    def kept(self, session_id: str | None = None) -> list[Backup]:
        """Return the backups of one session or of all, most recently changed first."""
        try:
            names = [entry.name for entry in os.scandir(self.folder) if session_id in (None, entry.name[:36])]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise disk.store_error("read", self.folder, error) from error
        found = (_parsed_name(self.folder / name) for name in names)
        return sorted(filter(None, found), key=lambda each: (each.updated_at, each.path.name), reverse=True)

    def save(self, session_id: str) -> Path:
        """Back up the current state of a session; return the file."""
        return self._write(*self._export(session_id))

    def _export(self, session_id: str) -> tuple[Path, str]:
        session = Session(self.store, self.store.load(session_id))
        return self.folder / _file_name(session.info), export(session)

    def _write(self, path: Path, text: str) -> Path:
        with disk.store_errors("written", path):
            disk.make_folder(self.folder)
            disk.replace_file(path, [gzip.compress(text.encode(), mtime=0)])
        return path

    def run(self) -> BackupReport:
        """Back up the sessions that have changed, and remove excess backups; one process at a time."""
        with self._locked():
            failures: list[str] = []
            saved = tuple(self._write(*exported) for exported in self._exported(failures))
            removed = tuple(self.thin_out())
            self._touch_last_run()
        return BackupReport(saved, removed, tuple(failures))

    def _exported(self, failures: list[str]) -> Iterator[tuple[Path, str]]:
        """Export the sessions without a current backup, and collect the errors of those that cannot be read."""
        existing = {backup.path.name for backup in self.kept()}
        for info in self.store.list():
            if info.message_count and _file_name(info) not in existing:
                try:
                    yield self._export(info.id)
                except NotFound:
                    continue  # deleted meanwhile
                except (Damaged, StoreError) as error:
                    failures.append(str(error))
                    if isinstance(error, StoreError) and len(failures) >= _MAX_FAILURES:
                        raise

    def run_if_due(self) -> BackupReport | None:
        """Run if the last run is long enough ago; this checks the time of one file."""
        hours = self.settings.hours
        return self.run() if hours and not self._ran_within(hours * 3600) else None

    def _ran_within(self, seconds: float) -> bool:
        try:
            return 0 <= time.time() - self._last_run.stat().st_mtime < seconds
        except FileNotFoundError:
            return False
        except OSError as error:
            raise disk.store_error("read", self._last_run, error) from error

    def thin_out(self, *, dry_run: bool = False) -> list[Path]:
        """Remove backups beyond the configured number and age, and return them; with `dry_run`, only return them.

        The newest backup of a session is kept, unless it is too old and the session was purged.
        """
        excess = [backup.path for backup in self._excess()]
        if not dry_run:
            for path in excess:
                disk.remove_file(path)
        return excess

    def restore(self, path: Path) -> Restored:
        """Restore a session from a backup; nothing is overwritten.

        It keeps its id if that is neither in the store nor in the trash. If the trash has the same session, that is
        restored; otherwise a new session is created. An invalid name, as in a file edited by hand, is made valid.
        Raises `NotFound`, and `Damaged` if the file is not a complete backup.
        """
        info, metadata, messages, frames = _read(path)
        keep_documents(self.store.frames, frames, messages)
        with suppress(NotFound, Damaged):
            if self.store.read_trashed(info.id)[1] == messages:
                return Restored(self.store.restore(info.id))
        info, invalid_name = _with_valid_name(info)
        if self._is_known(info.id):
            name = with_suffix(info.name, f"(backup of {info.updated_at:%Y-%m-%d})")
            metadata = {**metadata, "copy_of": info.id}
            info = replace(info, id=new_id(), name=name, parent=None)
        return Restored(self.store.create(info, metadata, messages, unique_name=True), invalid_name)

    def find(self, name: str) -> Path:
        """Return the path of a backup: a file, or the name of one in the folder. Raises `NotFound`."""
        with suppress(ValueError):  # a NUL
            for path in (Path(name), self.folder / Path(name).name):
                if path.exists():
                    return path
        raise NotFound(f"There is no backup {quoted(name)}.", hint="List them with: prompt-objects sessions backups")

    def _is_known(self, session_id: str) -> bool:
        """Return whether a session is in the store or in the trash, even if it is damaged."""
        return exists(self.store, session_id) or any(entry.info.id == session_id for entry in self.store.trash())

    def _excess(self) -> Iterator[Backup]:
        oldest = time.time() - self.settings.days * _DAY
        by_session: defaultdict[str, list[Backup]] = defaultdict(list)
        for backup in self.kept():
            by_session[backup.session_id].append(backup)
        # kept in any case: a wrong clock may have made others look newer
        current = {_file_name(info) for info in self.store.list()}
        for session_id, backups in by_session.items():
            for number, backup in enumerate(backups):
                is_old = _time_of(backup.path) < oldest
                if backup.path.name in current:
                    continue
                if number >= self.settings.keep or (is_old and (number or not self._is_known(session_id))):
                    yield backup

    def _touch_last_run(self) -> None:
        with disk.store_errors("written", self._last_run):
            self._last_run.touch(mode=0o600)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder, and remove the temporary files of a process that was killed."""
        with disk.locked_file(self.folder / ".lock"):
            for leftover in self.folder.glob(f".*{_SUFFIX}.*.tmp"):
                disk.remove_file(leftover)
            yield


def _file_name(info: SessionInfo) -> str:
    return f"{info.id}-{re.sub('[-:.]', '', timestamp(info.updated_at))}-{info.message_count}{_SUFFIX}"


def _parsed_name(path: Path) -> Backup | None:
    found = _NAME.fullmatch(path.name)
    if not found:
        return None
    try:
        updated_at = datetime.strptime(found[2], "%Y%m%dT%H%M%S%f%z")
    except ValueError:
        return None
    return Backup(path, found[1], updated_at, int(found[3]))


def _time_of(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return time.time()


def _read(path: Path) -> tuple[SessionInfo, dict[str, Any], list[Message], dict[str, Any]]:
    try:
        compressed = disk.read_file(path)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.") from error
    except OSError as error:
        raise disk.store_error("read", path, error) from error
    try:
        fields = json.loads(gzip.decompress(compressed))
        metadata = msgspec.convert(fields["metadata"], dict[str, Any])
        history = msgspec.convert(fields["history"], list[Message])
        frames = msgspec.convert(fields.get("frames", {}), dict[str, Any])
        info = msgspec.convert({**fields, "message_count": len(history)}, SessionInfo)
    except (
        gzip.BadGzipFile,
        EOFError,
        zlib.error,
        ValueError,
        KeyError,
        RecursionError,
        TypeError,
        msgspec.MsgspecError,
    ) as error:
        raise _damaged(path, str(error)) from error
    if not is_id(info.id) or not info.po_name:
        raise _damaged(path, "it has no valid id or no prompt object")
    moments = {"created_at": _utc(info.created_at), "updated_at": _utc(info.updated_at)}
    return replace(info, **moments), metadata, history, frames


def _with_valid_name(info: SessionInfo) -> tuple[SessionInfo, str | None]:
    try:
        return replace(info, name=valid_name(info.name)), None
    except InvalidName:
        return replace(info, name=sanitized_name(info.name, info.created_at)), info.name


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _damaged(path: Path, why: str) -> Damaged:
    return Damaged(f"{path} is not a complete backup: {why}.", hint="Nothing was restored. Try another backup.")
