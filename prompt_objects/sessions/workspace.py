"""The workspaces of sessions, and the other files that are removed with a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.sessions.info import SessionInfo, is_id
from prompt_objects.sessions.session import trace_file
from prompt_objects.sessions.stores.base import Store
from prompt_objects.utils import filesystem as disk


def workspace_of(info: SessionInfo, store: Store, folder: Path) -> Path:
    """Return the workspace, in the folder of all workspaces, that a session shares with its parents.

    It is named after the topmost session, and may not exist. Reads the parents from the store. Raises `StoreError`,
    also for a link, which would lead to foreign files.
    """
    seen = {info.id}
    while info.parent and info.parent.session not in seen and is_id(info.parent.session):
        seen.add(info.parent.session)
        try:
            info = store.load(info.parent.session).info
        except (NotFound, Damaged):  # the parent was deleted, its child was not
            break
    disk.refuse_link(folder / info.id)
    return folder / info.id


@contextmanager
def copied_workspace(source: Path, target: Path) -> Iterator[None]:
    """Copy a workspace, if it exists, for a new session; remove the copy if the block fails. Raises `StoreError`."""
    import shutil

    with disk.store_errors("copied", source):
        if source.is_dir():
            disk.make_folder(target.parent)
            shutil.copytree(source, target, symlinks=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def remove_session_files(data_dir: Path, session_id: str) -> None:
    """Remove all files of a session that was purged. Raises `StoreError`."""
    for folder in (data_dir / "logs" / session_id, data_dir / "workspace" / session_id):
        with disk.store_errors("removed", folder):
            disk.remove_folder(folder)
    disk.remove_file(trace_file(data_dir, session_id))
