"""Where an environment keeps its sessions, with their backups, traces and workspaces, and which was last used."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.config.environment import Config
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.recent import RecentSessions
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.sessions.stores.url import beside, places, resolved
from prompt_objects.sessions.undo import UndoJournal
from prompt_objects.trace.recorder import Recorder
from prompt_objects.utils.filesystem import remove_folder

if TYPE_CHECKING:
    from prompt_objects.sessions.backups import Backups
    from prompt_objects.sessions.prune import Pruned
    from prompt_objects.trace.model import Trace

__all__ = [
    "Storage",
]

_MEMORY = "memory:"  # where sessions leave nothing behind


class Storage:
    """The store of an environment's sessions, and the folders beside it; `close()` it.

    `url` is where sessions live instead of where environment.yaml says; a relative path begins at `folder`.
    """

    def __init__(self, folder: Path, config: Config, url: str | None = None) -> None:
        self._folder = folder
        self._config = config
        self._data_dir = config.data_dir
        self._usual_url = resolved(config.store or f"files:{self._data_dir}", folder)
        self.url = resolved(url, folder) if url else self._usual_url
        self.store = open_store(self.url, StoreOptions(**config.store_options))
        self._belongings = _passing_folder() if self.is_ephemeral else self._data_dir
        self.workspace = self._belongings / "workspace"
        self.last_used = RecentSessions(self._data_dir / "state.json")
        self.session_manager = SessionManager(
            self.store,
            user_id=config.user,
            last_used=self.last_used,
            journal=UndoJournal(self._beside / "undo.json"),
            data_dir=self._belongings,
        )
        self.recorder = Recorder(self._data_dir)
        self._prune_at_start = config.prune.at_start

    @property
    def is_ephemeral(self) -> bool:
        """Say whether all of it goes with the program."""
        return self.url == _MEMORY

    @property
    def _beside(self) -> Path:
        """The folder of what belongs to the store itself; one that stands in for the usual one has its own."""
        return self._data_dir if self.url == self._usual_url else beside(self._data_dir, self.url)

    def local_paths(self) -> tuple[Path, ...]:
        """Return all that is kept on this disk, also the sessions of a store that another one stands in for."""
        urls = {self._usual_url, self.url}
        return (self._data_dir, *(place for url in urls for place in places(url, outside=self._folder)))

    @cached_property
    def backups(self) -> "Backups":
        """The backups of the sessions."""
        from prompt_objects.sessions.backups import Backups

        return Backups(self._beside / "backups" / "sessions", self.store, self._config.backups)

    def prune(self, *, dry_run: bool = False) -> "Pruned":
        """Remove what is old, as environment.yaml says, or only look what that would be; raises `StoreError`."""
        from prompt_objects.sessions.prune import prune

        return prune(self.backups, self.last_used, self._data_dir, self._config.prune, dry_run=dry_run)

    def run_maintenance(self) -> list[str]:
        """Make backups where they are due, and, once, prune where that is to be done at start.

        Returns in sentences which sessions could not be backed up; raises `StoreError`. Costs a look at one file
        where nothing is due.
        """
        report = self.backups.run_if_due()
        if self._prune_at_start:
            self._prune_at_start = False
            self.prune()
        return list(report.failures) if report else []

    def trace(self, session_id: str) -> "Trace":
        """Put together what happened in a session; raises `NotFound`, `Damaged` and `StoreError`."""
        from prompt_objects.trace.loader import load_trace

        self.recorder.flush()
        return load_trace(self.store, self._data_dir, session_id)

    def close(self) -> None:
        """Let go of files; what was acknowledged is on the disk already."""
        self.recorder.flush()
        self.store.close()
        if self._belongings != self._data_dir:
            remove_folder(self._belongings)


def _passing_folder() -> Path:
    """Name a folder for what belongs to sessions that live in memory, and goes with them; it is made when needed."""
    from tempfile import gettempdir

    return Path(gettempdir()) / f"prompt-objects-{new_id()}"
