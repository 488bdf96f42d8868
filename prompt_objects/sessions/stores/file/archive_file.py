"""An archived session: its file compressed, as `<id>.json.gz`, until the next message.

Either way the one form is on the disk before the other goes, so that a kill leaves at least one of them whole.
Where both are there the `.json` counts: it may have got messages since, and an archive never does.
"""

import io
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.file.format import ParsedFile, document, id_of, missing_file_error, parse_file
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp

__all__ = [
    "ArchiveReader",
    "pack",
    "read_archive",
    "rewrite_archive",
    "set_aside",
    "unpack",
]

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 256


def pack(path: Path, data: bytes) -> None:
    """Write an archive of a session file's bytes, durably; the same bytes make the same archive."""
    import gzip

    try:
        disk.replace_file(path, (gzip.compress(data, mtime=0),))
    except OSError as error:
        raise disk.store_error("written", path, error) from error


def unpack(path: Path) -> tuple[bytes, bool]:
    """Return the bytes of the session file in an archive, and whether that is all of them.

    Of a damaged archive it is what stands before the damage. Raises `NotFound`.
    """
    try:
        packed = disk.read_file(path)
    except FileNotFoundError as error:
        raise missing_file_error(path) from error
    except OSError as error:
        raise disk.store_error("read", path, error) from error
    unpacking = zlib.decompressobj(_GZIP)
    unpacked = io.BytesIO()
    with suppress(zlib.error):
        for start in range(0, len(packed), _PIECE):  # what stands before an error in the same piece would be lost
            unpacked.write(unpacking.decompress(packed[start : start + _PIECE]))
    return unpacked.getvalue(), unpacking.eof


def set_aside(path: Path) -> Path:
    """Keep an archive as it is, as `<id>.corrupt.gz` or the like beside it; return where. Raises `StoreError`."""
    numbered = (
        path.with_name(f"{id_of(path)}.corrupt{'' if number == 1 else f'-{number}'}.gz") for number in count(1)
    )
    try:
        data = disk.read_file(path)
        beside = next(place for place in numbered if not place.exists() or disk.read_file(place) == data)
        disk.replace_file(beside, (data,))
    except OSError as error:
        raise disk.store_error("set aside", path, error) from error
    return beside


def read_archive(path: Path, known: SessionInfo | None = None) -> ParsedFile:
    """Return what an archived session holds, as far as it can be read. Raises `NotFound`.

    Of one whose beginning is damaged, `known` says who it is.
    """
    data, whole = unpack(path)
    found = parse_file(path, data, known)
    return replace(found, info=msgspec.structs.replace(found.info, archived=True), whole=found.whole and whole)


def rewrite_archive(
    path: Path, found: ParsedFile, head: dict[str, Any], *, count: int, updated_at: datetime
) -> ParsedFile:
    """Put an archive with another head, and the first `count` of its messages, in the place of one; return it."""
    messages = found.read(0, count)
    if not found.whole:
        set_aside(path)
    pack(path, b"".join(document({**found.head, **head}, messages, timestamp(updated_at))))
    return read_archive(path)


class ArchiveReader:
    """Reads archives; the last one stays unpacked, for whoever reads it page by page."""

    def __init__(self) -> None:
        self._last: tuple[tuple[Path, int, int, int], ParsedFile] | None = None

    def read(self, path: Path, known: SessionInfo | None = None) -> ParsedFile:
        """Return what `read_archive` does, of an archive as it is at this moment."""
        try:
            status = path.lstat()
        except FileNotFoundError as error:
            raise missing_file_error(path) from error
        key = (path, status.st_ino, status.st_mtime_ns, status.st_size)
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, read_archive(path, known))
        return last[1]
