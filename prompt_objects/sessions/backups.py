"""Backups of sessions: a file of its own for each state of each, apart from the store, whatever that is.

A backup is the JSON export, whole, compressed; zcat shows it. Its name says of which session it is, when that was
changed last, and how many messages it had, so that whether a session needs one is seen without opening anything.
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
from prompt_objects.sessions.info import SessionInfo, SessionRecord, new_id
from prompt_objects.sessions.names import is_id, sanitized_name, valid_name, with_suffix
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp

__all__ = [
    "Backup",
    "BackupReport",
    "Backups",
    "Restored",
]

_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d{8}T\d{12}Z)-(\d+)\.json\.gz")
_SUFFIX = ".json.gz"
_DAY = 86_400
_TOO_MANY = 10
"""So many sessions that cannot be read are no longer a matter of sessions, but of the disk or the server."""


class Backup(Struct, frozen=True):
    """One backup: its file, and of which state of which session it is."""

    path: Path
    session_id: str
    updated_at: datetime
    message_count: int


class BackupReport(Struct, frozen=True):
    """The files that were written and removed, and, in sentences, which sessions could not be backed up."""

    saved: tuple[Path, ...]
    removed: tuple[Path, ...]
    failures: tuple[str, ...]


class Restored(Struct, frozen=True):
    """A session that was brought back; `unfit_name` is what it was called where nothing may be called that."""

    record: SessionRecord
    unfit_name: str | None = None


class Backups:
    """The backups of a store's sessions in a folder.

    Whatever writes raises `StoreError` where the disk refuses, and leaves no half of a file.
    """

    def __init__(self, folder: Path, store: Store, settings: BackupSettings) -> None:
        self.folder = folder
        self.store = store
        self.settings = settings
        self._ran = folder / "last-run"  # its time is when all were last backed up

    def kept(self, session_id: str | None = None) -> list[Backup]:
        """Return the backups, of one session or of all, the last changed first."""
        try:
            names = [entry.name for entry in os.scandir(self.folder) if session_id in (None, entry.name[:36])]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise disk.store_error("read", self.folder, error) from error
        found = (_named(self.folder / name) for name in names)
        return sorted(filter(None, found), key=lambda each: (each.updated_at, each.path.name), reverse=True)

    def save(self, session_id: str) -> Path:
        """Back up one session as it is now; return the file."""
        return self._write(*self._export(session_id))

    def _export(self, session_id: str) -> tuple[Path, str]:
        session = Session(self.store, self.store.load(session_id))
        return self.folder / _file_name(session.info), export(session)

    def _write(self, path: Path, text: str) -> Path:
        try:
            disk.make_folder(self.folder)
            disk.replace_file(path, [gzip.compress(text.encode(), mtime=0)])
        except OSError as error:
            raise disk.store_error("written", path, error) from error
        return path

    def run(self) -> BackupReport:
        """Back up what has changed, and remove what is beyond number and age; one process at a time."""
        with self._alone():
            failures: list[str] = []
            saved = tuple(self._write(*exported) for exported in self._changed(failures))
            removed = tuple(self.thin_out())
            self._note_run()
        return BackupReport(saved, removed, tuple(failures))

    def _changed(self, failures: list[str]) -> Iterator[tuple[Path, str]]:
        """Export what has no backup yet; one session that cannot be read does not keep the others from it."""
        there = {backup.path.name for backup in self.kept()}
        for info in self.store.list():
            if info.message_count and _file_name(info) not in there:
                try:
                    yield self._export(info.id)
                except NotFound:
                    continue  # deleted in between
                except (Damaged, StoreError) as error:
                    failures.append(str(error))
                    if isinstance(error, StoreError) and len(failures) >= _TOO_MANY:
                        raise

    def run_if_due(self) -> BackupReport | None:
        """Run where the last time is long enough ago; to find that it is not costs a look at one file."""
        hours = self.settings.hours
        if not hours:
            return None
        return None if self._ran_within(hours * 3600) else self.run()

    def _ran_within(self, seconds: float) -> bool:
        try:
            return 0 <= time.time() - self._ran.stat().st_mtime < seconds
        except FileNotFoundError:
            return False
        except OSError as error:
            raise disk.store_error("read", self._ran, error) from error

    def thin_out(self, *, dry_run: bool = False) -> list[Path]:
        """Remove, or only name, the backups beyond number and age.

        The newest one of a session stays, unless it is too old and the session is gone for good.
        """
        excess = [backup.path for backup in self._excess()]
        if not dry_run:
            for path in excess:
                _remove(path)
        return excess

    def restore(self, path: Path) -> Restored:
        """Bring a session back from a backup; nothing that is there is overwritten.

        It comes back as it was, under its id, where that is neither there nor in the trash; from the trash, where it
        is the same there; and else as a new session. A name that nothing may have, as of a file changed by hand, is
        made valid. Raises `NotFound`, and `Damaged` for what is no whole backup.
        """
        info, metadata, messages = _read(path)
        with suppress(NotFound, Damaged):
            if self.store.read_trashed(info.id)[1] == messages:
                return Restored(self.store.restore(info.id))
        info, unfit_name = _validly_named(info)
        if self._is_known(info.id):
            name = with_suffix(info.name, f"(backup of {info.updated_at:%Y-%m-%d})")
            metadata = {**metadata, "copy_of": info.id}
            info = replace(info, id=new_id(), name=name, parent=None)
        return Restored(self.store.create(info, metadata, messages, unique_name=True), unfit_name)

    def find(self, name: str) -> Path:
        """Return the path of a backup: any file that there is, or one here, by its name. Raises `NotFound`."""
        with suppress(ValueError):  # a NUL
            for path in (Path(name), self.folder / Path(name).name):
                if path.exists():
                    return path
        raise NotFound(
            f"There is no backup {name!r}.", hint="See what there is with: prompt-objects sessions backups"
        )

    def _is_known(self, session_id: str) -> bool:
        """Say whether a session is there, or in the trash, in whatever condition."""
        try:
            self.store.load(session_id)
        except NotFound:
            return any(entry.info.id == session_id for entry in self.store.trash())
        except Damaged:
            return True
        return True

    def _excess(self) -> Iterator[Backup]:
        oldest = time.time() - self.settings.days * _DAY
        by_session: defaultdict[str, list[Backup]] = defaultdict(list)
        for backup in self.kept():
            by_session[backup.session_id].append(backup)
        # what a session is now stays, whatever a clock that was wrong made of the times of others
        current = {_file_name(info) for info in self.store.list()}
        for session_id, backups in by_session.items():
            for number, backup in enumerate(backups):
                is_old = _time_of(backup.path) < oldest
                if backup.path.name in current:
                    continue
                if number >= self.settings.keep or (is_old and (number or not self._is_known(session_id))):
                    yield backup

    def _note_run(self) -> None:
        try:
            self._ran.touch(mode=0o600)
        except OSError as error:
            raise disk.store_error("written", self._ran, error) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have the folder to oneself; whoever else would back up waits, and what a killed one left goes."""
        with disk.locked_file(self.folder / ".lock"):
            for leftover in self.folder.glob(f".*{_SUFFIX}.*.tmp"):
                _remove(leftover)
            yield


def _file_name(info: SessionInfo) -> str:
    return f"{info.id}-{re.sub('[-:.]', '', timestamp(info.updated_at))}-{info.message_count}{_SUFFIX}"


def _named(path: Path) -> Backup | None:
    """Read what the name of a backup says; None for any other file."""
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


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk.store_error("removed", path, error) from error


class _Document(Struct):
    id: str
    name: str
    po_name: str
    created_at: datetime
    updated_at: datetime
    metadata: dict[str, Any]
    history: list[Message]


def _read(path: Path) -> tuple[SessionInfo, dict[str, Any], list[Message]]:
    """Read a backup, all of it, before anything is made of it."""
    try:
        packed = disk.read_file(path)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.") from error
    except OSError as error:
        raise disk.store_error("read", path, error) from error
    try:
        given = json.loads(gzip.decompress(packed))
        document = msgspec.convert(given, _Document)
        info = msgspec.convert({**given, "message_count": len(document.history)}, SessionInfo)
    except (
        gzip.BadGzipFile,
        EOFError,
        zlib.error,
        ValueError,
        RecursionError,
        TypeError,
        msgspec.MsgspecError,
    ) as error:
        raise _broken(path, str(error)) from error
    if not is_id(info.id) or not info.po_name:
        raise _broken(path, "it does not say which session it is")
    moments = {"created_at": _utc(info.created_at), "updated_at": _utc(info.updated_at)}
    return replace(info, **moments), document.metadata, document.history


def _validly_named(info: SessionInfo) -> tuple[SessionInfo, str | None]:
    """Give what is to be restored a valid name; return what it was called, too, where that was none."""
    try:
        return replace(info, name=valid_name(info.name)), None
    except InvalidName:
        return replace(info, name=sanitized_name(info.name, info.created_at)), info.name


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _broken(path: Path, why: str) -> Damaged:
    return Damaged(f"{path} is no whole backup of a session: {why}.", hint="Nothing was restored. Take another one.")
