"""The files of sessions that were used last, kept open for the next time."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

from prompt_objects.errors import NotFound
from prompt_objects.sessions.stores.file.archive import Archives
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.index import Index
from prompt_objects.sessions.stores.file.session_file import SessionFile

__all__ = [
    "FileCache",
]

T = TypeVar("T")
_MOST = 32


class FileCache:
    """Session files by their ids, for any number of threads; `notify` is called with each repair."""

    def __init__(
        self, folder: SessionDirectory, index: Index, archives: Archives, notify: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._index = index
        self._archives = archives
        self._notify = notify
        self._mutex = Lock()
        self._files: OrderedDict[str, SessionFile] = OrderedDict()

    def get(self, session_id: str) -> SessionFile:
        """Return a session's file, whether there is one or not. Raises `NotFound` for what cannot be an id."""
        with self._mutex:
            file = self._files.get(session_id)
            is_new = file is None
            if file is None:
                file = self._files[session_id] = self._made(session_id)
                self._close_idle()
            self._files.move_to_end(session_id)
        if is_new:
            self._archives.drop_leftover(file)
        return file

    def with_file_or_archive(
        self, session_id: str, of_file: Callable[[SessionFile], T], of_archive: Callable[[Path], T]
    ) -> T:
        """Ask the file of a session, or, where there is none, its archive. Raises `NotFound`."""
        while True:
            try:
                with self.get(session_id) as file:
                    return of_file(file)
            except NotFound:
                try:
                    return of_archive(self._folder.archive(session_id))
                except NotFound:
                    if not self._folder.file(session_id).exists():  # or it was brought back just now
                        raise

    def _made(self, session_id: str) -> SessionFile:
        return SessionFile(self._folder.file(session_id), self._notify, lambda: self._index.peek(session_id))

    def _close_idle(self) -> None:
        # A thread may be about to use what is taken out here: it opens it again, and lets go when it is done.
        excess = len(self._files) - _MOST
        for key in list(self._files)[: max(0, excess)]:
            if self._files[key].close_if_idle():
                del self._files[key]

    def close(self) -> None:
        """Close them all; the next use opens them again."""
        with self._mutex:
            for file in self._files.values():
                with file:
                    file.close()
            self._files.clear()

    def close_after_fork(self) -> None:
        """Close them all without waiting for other threads: in a forked child there are none."""
        for file in self._files.values():
            file.close()
