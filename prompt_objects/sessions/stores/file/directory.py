"""A folder of session files: the live sessions, or the trash."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.sessions.info import SessionInfo, is_id, require_id
from prompt_objects.sessions.stores.file.archive_file import read_archive
from prompt_objects.sessions.stores.file.format import read_whole, summary
from prompt_objects.utils import filesystem as disk

_SUFFIX = ".json"
_CLOSE = 0.05  # seconds; a message has its time before it is written


class SessionDirectory:
    """Finds session files and reads their infos; files that cannot be read are reported by `notify`.

    If it is `read_only`, nothing in it is created or changed.
    """

    def __init__(self, path: Path, notify: Callable[[str], None], *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._text = str(path)
        self._notify = notify
        self._reported: set[str] = set()

    def file(self, session_id: str) -> Path:
        """Return the path of a session file, which need not exist. Raises `NotFound` for an impossible id."""
        require_id(session_id)
        return self.path / f"{session_id}{_SUFFIX}"

    def archive(self, session_id: str) -> Path:
        """Return the path of a session's archive, like `file`."""
        return self.file(session_id).with_suffix(f"{_SUFFIX}.gz")

    def has(self, session_id: str) -> bool:
        """Return whether a session is here, archived or not."""
        return os.path.lexists(self.file(session_id)) or os.path.lexists(self.archive(session_id))

    def has_file(self, session_id: str) -> bool:
        """Return whether a session is here as a regular file, archived or not."""
        return self.file(session_id).is_file() or self.archive(session_id).is_file()

    def ids(self) -> set[str]:
        """Return the ids of the sessions that have a file here; no file is opened."""
        try:
            with os.scandir(self.path) as found:
                names = [entry.name for entry in found]
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise disk.store_error("read", self.path, error) from error
        names = [name.removesuffix(".gz") for name in names]
        stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        return {stem for stem in stems if is_id(stem)}

    def infos(self, ids: Iterable[str]) -> Iterator[tuple[SessionInfo, float]]:
        """Yield the info and the modification time of each file, skipping unreadable files."""
        for session_id in sorted(ids):
            # between two attempts, the session may be archived or unarchived
            for path in (self.file(session_id), self.archive(session_id), self.file(session_id)):
                try:
                    status = path.lstat()
                    if not stat.S_ISREG(status.st_mode):
                        self.report(f"{path} is not a session: it is not a file.")
                    else:
                        yield (read_archive(path).info if path.suffix == ".gz" else summary(path)), status.st_mtime
                except (FileNotFoundError, NotFound):  # moved just now
                    continue
                except StoreError as error:
                    self.report(str(error))
                except OSError as error:
                    self.report(str(disk.store_error("read", path, error)))
                break

    def corrected(self, entry: SessionInfo, *, by_time: bool = True) -> SessionInfo | None:
        """Return what the index entry of a session should be if its file has another state; None if it is correct.

        The time of a file is that of its last message, unless another program has written or copied it; with
        `by_time`, only such a file is read. Not compared are archives, missing files, and a damaged one: it is
        repaired when it is opened, with the help of its entry.
        """
        path = f"{self._text}/{entry.id}{_SUFFIX}"
        try:
            status = os.lstat(path)
            is_close = by_time and abs(status.st_mtime - entry.updated_at.timestamp()) < _CLOSE
            if entry.archived or is_close or not status.st_size:
                return None
            found = read_whole(Path(path), entry)
        except (OSError, StoreError):
            return None
        return found if found != entry else None

    def move_in(self, path: Path, *, touch: bool = False) -> None:
        """Move a session's file here, durably, with its `.corrupt` file. Raises `StoreError`.

        With `touch`, its modification time becomes the present.
        """
        session_id = path.name.partition(".")[0]
        with disk.store_errors(f"moved to {self.path}", path):
            if self.has(session_id):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if touch:
                moment = time.time_ns()  # the file system's own clock is coarse
                os.utime(path, ns=(moment, moment))
            disk.make_folder(self.path)
            path.rename(self.path / path.name)
            with suppress(OSError):  # it is moved the next time; the session itself is in place
                _move_corrupt(path.with_name(f"{session_id}.corrupt"), self.path)
            disk.sync_folder(self.path)
            disk.sync_folder(path.parent)

    def drop(self, path: Path) -> None:
        """Remove a file that another form of the session replaces, durably. Raises `StoreError`."""
        with disk.store_errors("removed", path):
            path.unlink(missing_ok=True)
            disk.sync_folder(self.path)

    def report(self, problem: str) -> None:
        """Report a problem to the user, once."""
        if problem not in self._reported:
            self._reported.add(problem)
            self._notify(problem)


def _move_corrupt(path: Path, folder: Path) -> None:
    """Move a `.corrupt` file to a folder; append it if the folder already has one."""
    target = folder / path.name
    if os.path.lexists(target):
        disk.replace_file(target, (disk.read_file(target), disk.read_file(path)))
        path.unlink()
    else:
        path.rename(target)
