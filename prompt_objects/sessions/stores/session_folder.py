"""A folder of session files: the live ones, or those in the trash."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.sessions import disk
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.record import SessionInfo
from prompt_objects.sessions.stores.session_file import summary

__all__ = ["SessionFolder"]

_SUFFIX = ".json"


class SessionFolder:
    """Finds session files and reads what is known of them; those that cannot be read are named in `notes`."""

    def __init__(self, path: Path, notes: list[str]) -> None:
        self.path = path
        self._notes = notes
        self._named: set[str] = set()

    def file(self, session_id: str) -> Path:
        """Return where the file of a session is, or would be. Raises `NotFound` for what cannot be an id."""
        if not is_id(session_id):
            raise NotFound(f"{session_id!r:.60} is not the id of a session.")
        return self.path / f"{session_id}{_SUFFIX}"

    def ids(self) -> set[str]:
        """Return the ids of the sessions that have a file here, by the names alone."""
        try:
            with os.scandir(self.path) as found:
                names = [entry.name for entry in found]
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise disk.failure("read", self.path, error) from error
        stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        return {stem for stem in stems if is_id(stem)}

    def infos(self, ids: Iterable[str]) -> Iterator[tuple[SessionInfo, float]]:
        """Return what the files say, and the times that they bear, passing over those that cannot be read."""
        for path in (self.file(session_id) for session_id in sorted(ids)):
            try:
                status = path.lstat()
                if not stat.S_ISREG(status.st_mode):
                    self._name(f"{path} is not a session: it is not a file.")
                    continue
                yield summary(path), status.st_mtime
            except FileNotFoundError:  # moved just now
                continue
            except Damaged as error:
                self._name(str(error))
            except OSError as error:
                self._name(str(disk.failure("read", path, error)))

    def take(self, path: Path, *, touch: bool = False) -> None:
        """Move a file to here, durably; with `touch` it bears the present time. Raises `StoreError`."""
        target = self.path / path.name
        try:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if touch:
                os.utime(path)
            path.rename(target)
            disk.sync_folder(self.path)
            disk.sync_folder(path.parent)
        except OSError as error:
            raise disk.failure(f"moved to {self.path}", path, error) from error

    def _name(self, problem: str) -> None:
        if problem not in self._named:
            self._named.add(problem)
            self._notes.append(problem)
