"""The file of an archived session: its session file compressed, as `<id>.json.gz`, until the next message.

One form is durable before the other is removed, so that a kill leaves at least one of them whole. If both exist, the
`.json` is valid: it may have more messages.
"""

import dataclasses
import io
import sys
import zlib
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.file.format import ParsedFile, document, id_of, missing_file_error, parse_file
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 256


def pack(path: Path, data: bytes) -> None:
    """Write the archive of a session file, durably; the same bytes give the same archive."""
    import gzip

    with disk.store_errors("written", path):
        disk.replace_file(path, (gzip.compress(data, mtime=0),))


def unpack(path: Path) -> tuple[bytes, bool]:
    """Return the bytes of the session file in an archive, up to any damage, and whether they are complete.

    Raises `NotFound`.
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
        for start in range(0, len(packed), _PIECE):  # an error loses its whole piece
            unpacked.write(unpacking.decompress(packed[start : start + _PIECE]))
    return unpacked.getvalue(), unpacking.eof


def keep_copy(path: Path) -> Path:
    """Copy an archive to `<id>.corrupt.gz`, or that with a number; return the path. Raises `StoreError`."""
    numbered = (
        path.with_name(f"{id_of(path)}.corrupt{'' if number == 1 else f'-{number}'}.gz") for number in count(1)
    )
    with disk.store_errors("set aside", path):
        data = disk.read_file(path)
        beside = next(place for place in numbered if not place.exists() or disk.read_file(place) == data)
        disk.replace_file(beside, (data,))
    return beside


def read_archive(path: Path, known: SessionInfo | None = None) -> ParsedFile:
    """Return the content of an archive, as far as possible; `known` is as in `recover_file`. Raises `NotFound`."""
    data, whole = unpack(path)
    found = parse_file(path, data, known)
    return dataclasses.replace(found, info=replace(found.info, archived=True), whole=found.whole and whole)


def rewrite_archive(
    path: Path, found: ParsedFile, header: dict[str, Any], count: int = sys.maxsize, moment: datetime | None = None
) -> ParsedFile:
    """Replace an archive by one with other header values and only the first `count` messages; return its content."""
    lines = map(encode, found.read(0, count))
    if not found.whole:
        keep_copy(path)
    pack(path, b"".join(document({**found.header, **header}, lines, timestamp(moment or found.info.updated_at))))
    return read_archive(path)


class ArchiveReader:
    """Reads archives; the last one stays unpacked, so that it can be read page by page."""

    def __init__(self) -> None:
        self._last: tuple[tuple[Path, int, int, int], ParsedFile] | None = None

    def read(self, path: Path, known: SessionInfo | None = None) -> ParsedFile:
        """Return the current content of an archive, like `read_archive`."""
        try:
            status = path.lstat()
        except FileNotFoundError as error:
            raise missing_file_error(path) from error
        key = (path, status.st_ino, status.st_mtime_ns, status.st_size)
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, read_archive(path, known))
        return last[1]
