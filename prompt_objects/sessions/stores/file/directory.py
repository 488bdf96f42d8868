"""A folder of session files: the live ones, or those in the trash."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.stores.errors import require_id
from prompt_objects.sessions.stores.file.archive_file import read_archive
from prompt_objects.sessions.stores.file.format import summary
from prompt_objects.utils import filesystem as disk

__all__ = [
    "SessionDirectory",
]

_SUFFIX, _PACKED = ".json", ".json.gz"


class SessionDirectory:
    """Finds session files and reads what is known of them; those that cannot be read are reported by `notify`."""

    def __init__(self, path: Path, notify: Callable[[str], None]) -> None:
        self.path = path
        self._notify = notify
        self._named: set[str] = set()

    def file(self, session_id: str) -> Path:
        """Return where the file of a session is, or would be. Raises `NotFound` for what cannot be an id."""
        return self._place(session_id, _SUFFIX)

    def archive(self, session_id: str) -> Path:
        """Return where that file is, or would be, while the session is archived. Raises `NotFound`, too."""
        return self._place(session_id, _PACKED)

    def _place(self, session_id: str, suffix: str) -> Path:
        require_id(session_id)
        return self.path / f"{session_id}{suffix}"

    def has(self, session_id: str) -> bool:
        """Say whether a session is here, archived or not."""
        return os.path.lexists(self.file(session_id)) or os.path.lexists(self.archive(session_id))

    def has_file(self, session_id: str) -> bool:
        """Say whether a session is here, and not something else in its place."""
        return self.file(session_id).is_file() or self.archive(session_id).is_file()

    def ids(self) -> set[str]:
        """Return the ids of the sessions that have a file here, by the names alone."""
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
        """Return what the files say, and the times that they bear, passing over those that cannot be read."""
        for session_id in sorted(ids):
            # an archive may be made, or brought back, between the two looks
            for path in (self.file(session_id), self.archive(session_id), self.file(session_id)):
                try:
                    status = path.lstat()
                    if not stat.S_ISREG(status.st_mode):
                        self.tell(f"{path} is not a session: it is not a file.")
                    else:
                        yield _known(path), status.st_mtime
                except (FileNotFoundError, NotFound):  # moved just now
                    continue
                except StoreError as error:
                    self.tell(str(error))
                except OSError as error:
                    self.tell(str(disk.store_error("read", path, error)))
                break

    def move_in(self, path: Path, *, touch: bool = False) -> None:
        """Move a session's file to here, durably, with what a repair put beside it. Raises `StoreError`.

        With `touch` it bears the present time.
        """
        session_id = path.name.partition(".")[0]
        try:
            if self.has(session_id):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if touch:
                moment = time.time_ns()  # the system's own idea of the present is some milliseconds coarse
                os.utime(path, ns=(moment, moment))
            disk.make_folder(self.path)
            path.rename(self.path / path.name)
            with suppress(OSError):  # it may follow the next time; the session is where it is to be
                _move_corrupt(path.with_name(f"{session_id}.corrupt"), self.path)
            disk.sync_folder(self.path)
            disk.sync_folder(path.parent)
        except OSError as error:
            raise disk.store_error(f"moved to {self.path}", path, error) from error

    def drop(self, path: Path) -> None:
        """Remove a file that another form of the session stands in for, durably. Raises `StoreError`."""
        try:
            path.unlink(missing_ok=True)
            disk.sync_folder(self.path)
        except OSError as error:
            raise disk.store_error("removed", path, error) from error

    def tell(self, problem: str) -> None:
        """Note a problem for the person, once."""
        if problem not in self._named:
            self._named.add(problem)
            self._notify(problem)


def _known(path: Path) -> SessionInfo:
    return read_archive(path).info if path.suffix == ".gz" else summary(path)


def _move_corrupt(path: Path, folder: Path) -> None:
    """Move a `.corrupt` file to a folder, to the end of the one that may be there from before."""
    target = folder / path.name
    if os.path.lexists(target):
        disk.replace_file(target, (disk.read_file(target), disk.read_file(path)))
        path.unlink()
    else:
        path.rename(target)
