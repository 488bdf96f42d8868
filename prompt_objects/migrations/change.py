"""The changes that a step returns; the runner applies them."""

import stat
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from prompt_objects.message import Message


class Target(Struct, frozen=True):
    """The environment that a step migrates: its folder, and the folder of its state."""

    folder: Path
    data_dir: Path


class SourceFile(Struct, frozen=True):
    """A file before the migration: bytes, permissions, and modification time in nanoseconds."""

    path: Path
    data: bytes
    mode: int
    mtime_ns: int


class FileChange(Struct, frozen=True):
    """New content of a file; None removes it."""

    before: SourceFile
    after: bytes | None


class NewSession(Struct, frozen=True):
    """A session to create; `sha256` is the digest of its source text in the file `source`."""

    po_name: str
    name: str
    messages: list[Message]
    created_at: datetime
    updated_at: datetime
    source: str
    sha256: str


class Fragment(Struct, frozen=True):
    """One element of a list, with its source text; `problem` says why its `value` cannot be used."""

    place: str
    text: str
    value: Any = None
    problem: str = ""


class OldList(Struct, frozen=True):
    """A list in an old file: its key, its source text, and its elements."""

    name: str
    text: str
    fragments: list[Fragment]


class Skipped(Struct, frozen=True):
    """Data that could not be migrated and is kept in the backup: its text, place and reason."""

    file: str
    object: str
    place: str
    reason: str
    text: str


class ObjectChange(Struct, frozen=True):
    """The changes for one object in one file; with a `problem` there are none, and it says why."""

    object: str
    file: str
    sessions: tuple[NewSession, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    files: tuple[FileChange, ...] = ()
    problem: str = ""


def read_source(path: Path) -> SourceFile:
    """Read a file with its metadata; raises `OSError`, also if it is not a regular file, or in a linked folder."""
    status = path.lstat()
    if path.parent.is_symlink():  # then it may belong to another environment
        raise OSError(f"the folder {path.parent.name} is a link")
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a link or not a regular file")
    return SourceFile(path, path.read_bytes(), stat.S_IMODE(status.st_mode), status.st_mtime_ns)
