"""The sessions of an environment, with their backups, traces and workspaces."""

from collections.abc import Callable, Sequence
from functools import cached_property
from os.path import realpath  # unlike `Path.resolve`, it accepts a loop of links
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.config.environment import Config
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.recent import RecentSessions
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.registry import parse_store_url
from prompt_objects.sessions.stores.url import StoreUrl, mask_passwords
from prompt_objects.sessions.undo import UndoJournal
from prompt_objects.trace.log import Recorder
from prompt_objects.utils.filesystem import refuse_link, refuse_links, remove_folder, store_errors

if TYPE_CHECKING:
    from prompt_objects.sessions.backups import Backups
    from prompt_objects.sessions.prune import Pruned
    from prompt_objects.sessions.unsaved import UnsavedFolder
    from prompt_objects.trace.model import Trace


_INNER = ("sessions/trash", "sessions/leases", "sessions/index.json.lock", "backups/sessions", "backups/objects")


class Storage:
    """The store of an environment's sessions, and the files that belong to it; `close()` it.

    `url` replaces the store of environment.yaml; a relative path starts at `folder`. `is_ephemeral` says whether the
    sessions are lost at the end of the program. `local_paths` are all paths with data on this disk, including the
    store of environment.yaml if another one replaces it. `last_used` remembers the sessions used last. `notify` gets
    notices for the user. With `read_only`, nothing is created or changed.
    """

    def __init__(
        self, folder: Path, config: Config, url: str | None, notify: Callable[[str], None], *, read_only: bool = False
    ) -> None:
        with store_errors("read", config.data_dir):
            refuse_links(config.data_dir)
        for name in _INNER:
            refuse_link(config.data_dir / name)
        self._folder = folder
        self._config = config
        configured = parse_store_url(config.store or f"files:{config.data_dir}", folder)
        chosen = parse_store_url(url, folder) if url else configured
        self.url = chosen.text
        self.store = chosen.open(StoreOptions(**config.store_options, notify=notify, read_only=read_only))
        self.is_ephemeral = chosen.is_ephemeral
        self.local_paths = (config.data_dir, *_data_paths(configured, folder), *_data_paths(chosen, folder))
        self._session_files = _temporary_folder() if self.is_ephemeral else config.data_dir
        # The files of a store that replaces the configured one are kept apart.
        is_configured = self.url == configured.text
        self._store_files = config.data_dir if is_configured else _side_data_dir(config.data_dir, self.url)
        self.workspace = self._session_files / "workspace"
        self.last_used = RecentSessions(config.data_dir / "state.json")
        self.session_manager = SessionManager(
            self.store,
            user_id=config.user,
            last_used=self.last_used,
            journal=UndoJournal(self._store_files / "undo.json", notify),
            data_dir=self._session_files,
        )
        self.recorder = Recorder(config.data_dir, notify)
        self._prune_at_start = config.prune.at_start

    @cached_property
    def unsaved(self) -> "UnsavedFolder":
        from prompt_objects.sessions.unsaved import UnsavedFolder

        return UnsavedFolder(self._folder)

    def unsaved_notices(self) -> list[str]:
        """Say which messages could not be saved earlier, and how to save them now."""
        found = [unsaved for _, unsaved in self.unsaved.entries(self.store)]
        return [
            f"A response could not be saved earlier ({each.description}): {each.reason} "
            "Save it now with: prompt-objects sessions recover (in a chat: /session recover)"
            for each in found
        ]

    @cached_property
    def backups(self) -> "Backups":
        from prompt_objects.sessions.backups import Backups

        return Backups(self._store_files / "backups" / "sessions", self.store, self._config.backups)

    def prune(self, *, dry_run: bool = False) -> "Pruned":
        """Delete old data as environment.yaml says, or with `dry_run` only report it. Raises `StoreError`."""
        from prompt_objects.sessions.prune import prune

        return prune(self.backups, self.last_used, self._config.data_dir, self._config.prune, dry_run=dry_run)

    def run_maintenance(self) -> list[str]:
        """Make backups if they are due and, once, prune if environment.yaml says so; return the failures.

        Raises `StoreError`. Reads one file if nothing is due.
        """
        report = self.backups.run_if_due()
        if self._prune_at_start:
            self._prune_at_start = False
            self.prune()
        return list(report.failures) if report else []

    def trace(self, session_id: str) -> "Trace":
        """Return the trace of a session. Raises `NotFound`, `Damaged` and `StoreError`."""
        from prompt_objects.trace.loader import load_trace

        self.recorder.flush()
        return load_trace(self.store, self._config.data_dir, session_id)

    def close(self) -> None:
        self.recorder.flush()
        self.store.close()
        if self.is_ephemeral:
            remove_folder(self._session_files)


def _data_paths(url: StoreUrl, folder: Path) -> Sequence[Path]:
    """Return the paths with data of a store. The environment's folder is in none of them but its `location`."""
    inside = Path(realpath(folder))
    paths = [path for path in url.data_paths if not inside.is_relative_to(realpath(path))]
    return paths or ([url.location] if url.location else [])


def _side_data_dir(data_dir: Path, url: str) -> Path:
    """Return the folder for the other files of a store that is not the configured one."""
    from hashlib import sha256

    digest = sha256(mask_passwords(url).encode(errors="surrogateescape")).hexdigest()
    return data_dir / "stores" / digest[:16]


def _temporary_folder() -> Path:
    from tempfile import gettempdir

    return Path(gettempdir()) / f"prompt-objects-{new_id()}"
