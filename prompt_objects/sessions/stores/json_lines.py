"""JSON lines: messages, encoded so that they are read back unchanged, and the document that holds one per line.

A line document is a JSON document with its list last and one element a line:

    {"id":…,"name":…,"history":[
    {"role":"user","content":"Hello"}
    ,{"role":"assistant","content":"Hi there!"}
    ],"updated_at":"…"}

An append overwrites only the footer, in one write: commas come first, so that no byte of an existing element is
touched, the document is valid JSON again afterwards, and the cost does not depend on its length. Session files and
the index have this form, with different headers and footers. A session file is padded to a full disk
block; the next append overwrites the padding. See docs/decisions/0002 and 0007.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from prompt_objects.errors import UsageError
from prompt_objects.message import Message
from prompt_objects.utils import filesystem as disk

_MAX_DEPTH = 200  # far below the depth at which a reader, called from deep inside a program, would give up


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_ENCODE_ASCII = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
_FAST_ENCODE = msgspec.json.Encoder().encode
_FAST_DECODE = msgspec.json.Decoder().decode


def encode(value: dict[str, Any]) -> bytes:
    """Encode a JSON object on one line. Raises `UsageError` for values that JSON does not have, or too deep ones."""
    line = _encode_fast(value) or _encode_strict(value)
    if line.count(b"{") + line.count(b"[") > _MAX_DEPTH and is_deeper(value, _MAX_DEPTH):
        raise UsageError(f"This cannot be saved: it is nested more than {_MAX_DEPTH} levels deep.")
    return line


def _encode_fast(value: dict[str, Any]) -> bytes | None:
    """Encode a value with msgspec, in half the time; None if it is not read back unchanged.

    msgspec replaces values that JSON does not have, such as bytes and NaN, by others.
    """
    try:
        line = _FAST_ENCODE(value)
        return line if _FAST_DECODE(line) == value else None
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def _encode_strict(value: dict[str, Any]) -> bytes:
    try:
        text = _ENCODE(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"This cannot be saved as JSON: {error}.",
            hint="Use text, finite numbers, true, false, null, lists and objects with text as keys.",
        ) from error
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair is not valid UTF-8, but valid in JSON as an escape
        return _ENCODE_ASCII(value).encode()


def is_deeper(value: object, levels: int) -> bool:
    """Return whether a JSON value has more than `levels` levels of lists and objects."""
    if isinstance(value, dict):
        return levels == 0 or any(is_deeper(inner, levels - 1) for inner in value.values())
    if isinstance(value, list | tuple):
        return levels == 0 or any(is_deeper(inner, levels - 1) for inner in value)
    return False


def decode(line: bytes) -> Message:
    """Decode a line. Raises `ValueError` if it is not a JSON object in UTF-8."""
    try:
        value = _DECODER.decode(line.decode())
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers catch one error
    return value


def decode_message(line: bytes) -> Message:
    """Decode a line. Raises `ValueError` if it is not a JSON object with a role."""
    message = decode(line)
    if not isinstance(message.get("role"), str):
        raise ValueError("not a message")  # noqa: TRY004 - callers catch one error
    return message


def decode_at(text: str, position: int) -> tuple[Any, int] | None:
    """Decode the JSON value at `position`; return it and its end, or None if there is no valid value."""
    try:
        return _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):
        return None


DISK_BLOCK = 4096  # files occupy multiples of this on disk
_BLOCK = 64 * 1024


def join_elements(elements: Iterable[bytes], *, first: bool) -> bytes:
    """Return elements as lines; `first` if they start the list."""
    lines = b"\n,".join(elements)
    if not lines:
        return b""
    return (lines if first else b"," + lines) + b"\n"


def make_padding(count: int) -> bytes:
    """Return `count` bytes of padding that is valid after a JSON document: tabs and a newline.

    A tab cannot occur inside a JSON string, so padding that a torn write did not replace is detected.
    """
    return b"\n".rjust(count, b"\t") if count else b""


def pad_to_block(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Add padding to the parts of a document, up to a multiple of the disk block."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        yield chunk
    yield make_padding(-size % DISK_BLOCK)


class LineDocument(disk.Descriptor):
    """An open line document and the known state of its file; `count` is its number of elements.

    It ends after `size` bytes; `padding` more bytes follow. When the file grows, it grows to a multiple of `block`.
    It takes no locks: its users do.
    """

    def __init__(self, path: Path, footer_length: int, block: int = 1, *, read_only: bool = False) -> None:
        super().__init__(path, os.O_RDWR, read_only=read_only)
        self.path = path
        self.footer_length = footer_length
        self.size = 0
        self.padding = 0
        self.count = 0
        self._block = block
        self._path_text = str(path)  # a Path is slower
        self._status = os.fstat(self.descriptor)
        self._is_private = disk.is_private(self._status)  # not after `git clone` or `cp`, until the first write
        self.inode = self._status.st_ino
        self.changed = self._status.st_mtime_ns  # as of the last `current_length`
        self._footer = b""

    def current_length(self) -> int | None:
        """Return the current length of the file; None if another file is at its path now, or none."""
        try:
            there = os.lstat(self._path_text)
        except FileNotFoundError:
            return None
        self.changed = there.st_mtime_ns
        return there.st_size if os.path.samestat(there, self._status) else None

    def set_state(self, count: int, size: int, length: int, footer: bytes) -> None:
        """Set the known state: `count` elements in `size` bytes, which end with `footer`; padding up to `length`.

        The footer is not read again: without the lock, another process may have overwritten it.
        """
        self.count, self.size, self.padding = count, size, length - size
        self._footer = footer and b"\n" + footer

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to `stop`, fewer if the file ends before."""
        parts = []
        while start < stop and (part := disk.pread(self.descriptor, stop - start, start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def read_footer(self) -> bytes:
        """Read the bytes at the place of the footer, with the newline before it, and remember them."""
        self._footer = self._read_at_footer()
        return self._footer

    def _read_at_footer(self) -> bytes:
        start = max(0, self.size - self.footer_length - 1)
        return disk.pread(self.descriptor, self.size - start, start)

    def has_same_footer(self) -> bool:
        """Return whether the last seen or written footer is still in its place."""
        return bool(self._footer) and self._read_at_footer() == self._footer

    def append(self, elements: Sequence[bytes], footer: bytes) -> None:
        """Write elements and a new footer over the footer that was last seen.

        Raises `OSError`, with everything as it was before.
        """
        if self.write_error:
            raise self.write_error
        end = self.size - self.footer_length
        new = join_elements(elements, first=self.count == 0) + footer
        size = end + len(new)
        padding = self.size + self.padding - size
        if padding < 0:
            padding = -size % self._block
            new += make_padding(padding)
        try:
            self.write(new, end)
        except OSError:
            self._roll_back(end)
            raise
        self.size, self.padding = size, padding
        self.count += len(elements)
        self._footer = b"\n" + footer

    def write(self, data: bytes, start: int) -> None:
        """Overwrite the bytes at `start` with all of `data`. Raises `OSError`."""
        if self.write_error:
            raise self.write_error
        if not self._is_private:
            disk.make_private(self.descriptor)
            self._is_private = True
        written = disk.pwrite(self.descriptor, data, start)
        while written < len(data):  # the next call raises the cause of a short write
            written += disk.pwrite(self.descriptor, data[written:], start + written)

    def _roll_back(self, end: int) -> None:
        """Restore footer and padding; their disk block is still allocated, so this works on a full disk too."""
        disk.pwrite(self.descriptor, self._footer[1:] + make_padding(self.padding), end)
        os.ftruncate(self.descriptor, self.size + self.padding)

    def lines(self, start: int, stop: int) -> list[bytes]:
        """Return elements from number `start` up to `stop`, read from the nearer end."""
        end = self.size - self.footer_length
        if start * 2 < self.count:
            lines = self.read(0, end).split(b"\n")[1:-1]  # the first is the header, the last is empty
            chosen = lines[start:stop]
        else:
            lines = self._last_lines(self.count - start, end)
            chosen = lines[: stop - start]
        return [line.removeprefix(b",") for line in chosen]

    def _last_lines(self, wanted: int, end: int) -> list[bytes]:
        blocks: list[bytes] = []
        seen = 0
        position = end
        while position > 0 and seen <= wanted:  # one newline more than lines: the one before the first
            start = max(0, position - _BLOCK)
            blocks.append(self.read(start, position))
            seen += blocks[-1].count(b"\n")
            position = start
        lines = b"".join(reversed(blocks)).split(b"\n")[:-1]
        return lines[len(lines) - wanted :]
