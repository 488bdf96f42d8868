"""What belongs to a session besides its messages: in folders of the data folder, by the id of each session."""

from pathlib import Path

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.sessions import disk
from prompt_objects.sessions.stores import Store

__all__ = ["is_live", "remove_belongings", "trace_file"]

_FOLDERS = ("logs", "workspace")


def trace_file(data_dir: Path, session_id: str) -> Path:
    """Return the file in which it is kept what happened in a session."""
    return data_dir / "traces" / f"{session_id}.jsonl"


def is_live(store: Store, session_id: str) -> bool:
    """Say whether there is a session of this id, also where one in the trash has the same."""
    try:
        store.load(session_id)
    except NotFound:
        return False
    except Damaged:
        return True
    return True


def remove_belongings(data_dir: Path, session_id: str) -> None:
    """Remove all that belongs to a session that is gone for good. Raises `StoreError`."""
    for name in _FOLDERS:
        folder = data_dir / name / session_id
        try:
            disk.remove_folder(folder)
        except OSError as error:
            raise disk.failure("removed", folder, error) from error
    trace = trace_file(data_dir, session_id)
    try:
        trace.unlink(missing_ok=True)
    except OSError as error:
        raise disk.failure("removed", trace, error) from error
