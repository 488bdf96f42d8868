"""Inspection of a file store from outside, as by another process or a user."""

import json
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.file.store import FileStore


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def file_store_with_notices(folder: Path) -> tuple[FileStore, list[str]]:
    notices: list[str] = []
    return FileStore(folder, StoreOptions(notify=notices.append)), notices


def fresh(folder: Path, session: Session, store: FileStore | None = None) -> Session:
    store = store or FileStore(folder)
    return Session(store, store.load(session.id))


def index_of(folder: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((folder / "sessions" / "index.json").read_bytes())["sessions"]
    return entries


def length_of(file: Path) -> int:
    """Return the length of a session's file without the padding at its end."""
    return len(file.read_bytes().rstrip(b"\t\n")) + 1


def names_in(folder: Path) -> list[str]:
    """Return the names of all sessions, as a new program lists them."""
    return sorted(info.name for info in FileStore(folder).list())


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Limit the size of files, so that writing more fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
