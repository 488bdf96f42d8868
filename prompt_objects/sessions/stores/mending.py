"""Putting right what an examination of a file store finds."""

from pathlib import Path

from prompt_objects.errors import NotFound
from prompt_objects.sessions.stores.archives import Archives
from prompt_objects.sessions.stores.entries import Entries
from prompt_objects.sessions.stores.open_files import OpenFiles
from prompt_objects.sessions.stores.session_folder import SessionFolder
from prompt_objects.sessions.stores.trash import Trash

__all__ = ["Mending"]


class Mending:
    """What can be done about a session, its entry, and all entries. Raises `StoreError` and `NotFound`."""

    def __init__(
        self, live: SessionFolder, trash: Trash, files: OpenFiles, archives: Archives, entries: Entries
    ) -> None:
        self._live = live
        self._trash = trash
        self._files = files
        self._archives = archives
        self._entries = entries

    def mend(self, session_id: str, *, trashed: bool) -> None:
        """Bring the file of a session, or its archive, into our form, whatever is wrong with it."""
        if trashed:
            self._trash.mend(session_id)
        elif not self._live.file(session_id).exists():
            self._archives.update(self._live.archive(session_id), None, None)
        else:
            with self._files.get(session_id) as file:
                file.mend()
            self._archives.clear_up(file)

    def part(self, session_id: str) -> None:
        """Give a session in the trash another id, where a live one has the same."""
        self._trash.give_new_id(session_id)

    def rename(self, session_id: str, name: str) -> None:
        """Give a session another name."""
        self._files.ask(
            session_id,
            lambda file: self._entries.update(file, name, None),
            lambda packed: self._archives.update(packed, name, None),
        )

    def enter(self, session_id: str) -> None:
        """Have the entry of a session say what its file says; without a file, take it out."""
        try:
            self._files.ask(session_id, self._entries.renew, self._enter_archive)
        except NotFound:
            self._entries.drop(session_id)

    def _enter_archive(self, packed: Path) -> None:
        self._archives.load(packed)  # which puts its entry right

    def enter_all(self) -> None:
        """Write the index anew from the session files."""
        self._entries.renew_all()
