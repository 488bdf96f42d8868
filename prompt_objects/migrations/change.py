"""What a step says should be done to an environment. It only says so: carrying it out is the runner's part."""

import stat
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from prompt_objects.message import Message

__all__ = [
    "FileChange",
    "Fragment",
    "NewSession",
    "ObjectChange",
    "Skipped",
    "SourceFile",
    "Target",
    "read_old",
]


class Target(Struct, frozen=True):
    """The environment that a step looks at: its folder, and where its state is kept."""

    folder: Path
    data_dir: Path


class SourceFile(Struct, frozen=True):
    """A file as it was found: its bytes, permissions, and when it was last written, in nanoseconds."""

    path: Path
    data: bytes
    mode: int
    mtime_ns: int


class FileChange(Struct, frozen=True):
    """A file that gets other bytes; None takes it away."""

    before: SourceFile
    after: bytes | None


class NewSession(Struct, frozen=True):
    """A session to be made; `sha256` is that of the bytes, in the file `source`, that it was read from."""

    po_name: str
    name: str
    messages: list[Message]
    created_at: datetime
    updated_at: datetime
    source: str
    sha256: str


class Fragment(Struct, frozen=True):
    """One element of a list, as its file has it; what `problem` says stands in the way of using its `value`."""

    place: str
    text: str
    value: Any = None
    problem: str = ""


class Skipped(Struct, frozen=True):
    """What could not be brought over and is kept beside: the text as it stood, where, and why."""

    file: str
    object: str
    place: str
    reason: str
    text: str


class ObjectChange(Struct, frozen=True):
    """What is done about one object in one file; with a `problem` that is nothing, and the problem says why."""

    object: str
    file: str
    sessions: tuple[NewSession, ...] = ()
    aside: tuple[Skipped, ...] = ()
    files: tuple[FileChange, ...] = ()
    problem: str = ""


def read_old(path: Path) -> SourceFile:
    """Read a file as it is; raises `OSError`, also for what is no regular file."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a link, or no file")
    return SourceFile(path, path.read_bytes(), stat.S_IMODE(status.st_mode), status.st_mtime_ns)
