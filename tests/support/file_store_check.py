"""What tests of a check compare."""

import os
import time
from pathlib import Path

from prompt_objects.sessions.info import StoreIssue
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import fresh


def whole(folder: Path) -> dict[str, bytes]:
    """Return the whole content of a folder, to detect any write."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def examine(folder: Path, *, repair: bool = False) -> list[StoreIssue]:
    store = FileStore(folder)
    found = store.check(repair=repair)
    store.close()
    return found


def contents(folder: Path, session: Session) -> list[object]:
    return [message["content"] for message in fresh(folder, session).history]


def make_old(path: Path) -> None:
    os.utime(path, (time.time() - 3600, time.time() - 3600))
