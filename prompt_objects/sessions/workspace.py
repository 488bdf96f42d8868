"""The files of a session besides its messages: its workspace, its trace, its logs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.stores.base import Store
from prompt_objects.utils import filesystem as disk

__all__ = [
    "copied_workspace",
    "exists",
    "remove_session_files",
    "trace_file",
    "workspace_of",
]


def workspace_of(info: SessionInfo, store: Store, folder: Path) -> Path:
    """Return the folder, below that of all workspaces, of the tree of sessions that one belongs to; it may not exist.

    It is named after the session at the top, with which it goes for good. Blocks where parents have to be looked up;
    raises `StoreError`.
    """
    seen = {info.id}
    while info.parent and info.parent.session not in seen and is_id(info.parent.session):
        seen.add(info.parent.session)
        try:
            info = store.load(info.parent.session).info
        except (NotFound, Damaged):  # it was deleted, and this one was not
            break
    return folder / info.id


@contextmanager
def copied_workspace(source: Path, target: Path) -> Iterator[None]:
    """Copy a workspace, if there is one, for what a block makes; where that fails it goes. Raises `StoreError`."""
    import shutil

    try:
        if source.is_dir():
            disk.make_folder(target.parent)
            shutil.copytree(source, target, symlinks=True)
    except OSError as error:  # or several in one
        raise disk.store_error("copied", source, error) from error
    try:
        yield
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


_FOLDERS = ("logs", "workspace")


def trace_file(data_dir: Path, session_id: str) -> Path:
    """Return the file in which it is kept what happened in a session."""
    return data_dir / "traces" / f"{session_id}.jsonl"


def exists(store: Store, session_id: str) -> bool:
    """Say whether there is a session of this id, also where one in the trash has the same."""
    try:
        store.load(session_id)
    except NotFound:
        return False
    except Damaged:
        return True
    return True


def remove_session_files(data_dir: Path, session_id: str) -> None:
    """Remove all that belongs to a session that is gone for good. Raises `StoreError`."""
    for name in _FOLDERS:
        folder = data_dir / name / session_id
        try:
            disk.remove_folder(folder)
        except OSError as error:
            raise disk.store_error("removed", folder, error) from error
    trace = trace_file(data_dir, session_id)
    try:
        trace.unlink(missing_ok=True)
    except OSError as error:
        raise disk.store_error("removed", trace, error) from error
