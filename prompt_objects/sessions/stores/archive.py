"""An archived session: its file compressed, as `<id>.json.gz`, until the next message.

Either way the one form is on the disk before the other goes, so that a kill leaves at least one of them whole.
Where both are there the `.json` counts: it may have got messages since, and an archive never does.
"""

import zlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from prompt_objects.errors import Damaged
from prompt_objects.message import timestamp
from prompt_objects.sessions import disk
from prompt_objects.sessions.stores.session_file import Contents, contents, document, gone

__all__ = ["ArchiveReader", "pack", "read_archive", "rewrite_archive", "unpack"]


def pack(path: Path, data: bytes) -> None:
    """Write an archive of a session file's bytes, durably; the same bytes make the same archive."""
    import gzip

    try:
        disk.replace_file(path, (gzip.compress(data, mtime=0),))
    except OSError as error:
        raise disk.failure("written", path, error) from error


def unpack(path: Path) -> bytes:
    """Return the bytes of the session file in an archive. Raises `NotFound`, and `Damaged`."""
    import gzip

    try:
        packed = disk.read_file(path)
    except FileNotFoundError as error:
        raise gone(path) from error
    except OSError as error:
        raise disk.failure("read", path, error) from error
    try:
        return gzip.decompress(packed)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Damaged(
            f"{path} is an archived session that cannot be unpacked: {error}.",
            hint="It is left as it is. Put a copy from a backup in its place.",
        ) from error


def read_archive(path: Path) -> Contents:
    """Return what an archived session holds. Raises `NotFound`, and `Damaged`."""
    found = contents(path, unpack(path))
    return replace(found, info=msgspec.structs.replace(found.info, archived=True))


def rewrite_archive(
    path: Path, found: Contents, head: dict[str, Any], *, count: int, updated_at: datetime
) -> Contents:
    """Put an archive with another head, and the first `count` of its messages, in the place of one; return it."""
    messages = found.read(0, count)
    pack(path, b"".join(document({**found.head, **head}, messages, timestamp(updated_at))))
    return read_archive(path)


class ArchiveReader:
    """Reads archives; the last one stays unpacked, for whoever reads it page by page."""

    def __init__(self) -> None:
        self._last: tuple[tuple[Path, int, int, int], Contents] | None = None

    def read(self, path: Path) -> Contents:
        """Return what an archive holds at this moment. Raises `NotFound`, and `Damaged`."""
        try:
            status = path.lstat()
        except FileNotFoundError as error:
            raise gone(path) from error
        key = (path, status.st_ino, status.st_mtime_ns, status.st_size)
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, read_archive(path))
        return last[1]
