"""The workspace of a session: a folder for what its prompt objects put by, shared with all that its calls started."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.sessions import disk
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.record import SessionInfo
from prompt_objects.sessions.stores import Store

__all__ = ["copied_workspace", "workspace_of"]


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
        raise disk.failure("copied", source, error) from error
    try:
        yield
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
