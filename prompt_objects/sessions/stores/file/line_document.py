"""The line document: a JSON document with its list last and one element a line.

    {"id":…,"name":…,"history":[
    {"role":"user","content":"Hello"}
    ,{"role":"assistant","content":"Hi there!"}
    ],"updated_at":"…"}

An append overwrites the foot, and nothing else, in one write: the commas lead, so no byte of an element that is
there is touched, the document is valid JSON again at once, and the cost does not depend on its length. Session
files and the index are both of this form; they differ in head and foot, and behind the foot of a session file its
last block is filled with blanks, which the next append overwrites. See docs/decisions/0002 and 0007.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from prompt_objects.utils import filesystem as disk

__all__ = [
    "DISK_BLOCK",
    "LineDocument",
    "blanks",
    "body_of",
]

DISK_BLOCK = 4096  # what a file takes up on the disk is a multiple of this
_BLOCK = 64 * 1024


def body_of(elements: Iterable[bytes], *, first: bool) -> bytes:
    """Turn elements into lines; `first` where they begin the list."""
    lines = b"\n,".join(elements)
    if not lines:
        return b""
    return (lines if first else b"," + lines) + b"\n"


def blanks(count: int) -> bytes:
    """Return so many bytes that may stand behind a JSON document: tabs, and the end of a line.

    A tab cannot stand inside a JSON string, so one that a write was to replace and did not is seen.
    """
    return b"\n".rjust(count, b"\t") if count else b""


class LineDocument:
    """An open line document, and how much of its file is known; `count` is that of its elements.

    It ends after `size` bytes, and `spare` blanks follow; where the file has to grow, it does so to the next multiple
    of `block`. It takes no locks: whoever uses it does.
    """

    def __init__(self, path: Path, foot_length: int, block: int = 1) -> None:
        self.path = path
        self.foot_length = foot_length
        self.size = 0
        self.spare = 0
        self.count = 0
        self._block = block
        self._file = disk.Descriptor(path, os.O_RDWR)
        self.refusal = self._file.refusal
        self.descriptor = self._file.descriptor
        self._place = str(path)  # a Path would be spelled out anew at each look
        self._status = os.fstat(self.descriptor)
        self.inode = self._status.st_ino
        self._foot = b""

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def length(self) -> int:
        """The length of the file, as far as it is known."""
        return self.size + self.spare

    def length_now(self) -> int | None:
        """Return the length of the file at this moment; None where another is at its path by now, or none."""
        try:
            there = os.lstat(self._place)
        except FileNotFoundError:
            return None
        return there.st_size if os.path.samestat(there, self._status) else None

    def know(self, count: int, size: int, length: int, foot: bytes) -> None:
        """Take note of what was read: `count` elements in `size` bytes, blanks up to `length`; it ends with `foot`.

        That is not read again here: without the lock, another may have written over it by now.
        """
        self.count, self.size, self.spare = count, size, length - size
        self._foot = foot and b"\n" + foot

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to `stop`, fewer where the file ends before."""
        parts = []
        while start < stop and (part := disk.pread(self.descriptor, stop - start, start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def foot(self) -> bytes:
        """Return what stands where the foot is expected, with the line's end before it; it is known from now on."""
        self._foot = self._at_foot()
        return self._foot

    def _at_foot(self) -> bytes:
        start = max(0, self.size - self.foot_length - 1)
        return disk.pread(self.descriptor, self.size - start, start)

    def has_known_foot(self) -> bool:
        """Say whether the foot that was last seen or written stands where it is expected."""
        return bool(self._foot) and self._at_foot() == self._foot

    def append(self, body: bytes, foot: bytes) -> None:
        """Write `body` and `foot` over the foot that was last seen.

        Raises `OSError`, with everything as it was before.
        """
        if self.refusal:
            raise self.refusal
        end = self.size - self.foot_length
        new = body + foot
        size = end + len(new)
        spare = self.length - size
        if spare < 0:
            spare = -size % self._block
            new += blanks(spare)
        try:
            self.write(new, end)
        except OSError:
            self._undo(end)
            raise
        self.size, self.spare = size, spare
        self._foot = b"\n" + foot

    def write(self, data: bytes, start: int) -> None:
        """Write over what stands at `start`, all of it. Raises `OSError`."""
        if self.refusal:
            raise self.refusal
        written = disk.pwrite(self.descriptor, data, start)
        while written < len(data):  # what stopped it short is raised by the next one
            written += disk.pwrite(self.descriptor, data[written:], start + written)

    def _undo(self, end: int) -> None:
        """Put foot and blanks back; their place on the disk was theirs, so that this fits on a full disk too."""
        disk.pwrite(self.descriptor, self._foot[1:] + blanks(self.spare), end)
        os.ftruncate(self.descriptor, self.length)

    def lines(self, start: int, stop: int) -> list[bytes]:
        """Return elements from number `start` up to `stop`, read from whichever end is nearer."""
        end = self.size - self.foot_length
        if start * 2 < self.count:
            lines = self.read(0, end).split(b"\n")[1:-1]  # the first is the head, the last is empty
            chosen = lines[start:stop]
        else:
            lines = self._last_lines(self.count - start, end)
            chosen = lines[: stop - start]
        return [line.removeprefix(b",") for line in chosen]

    def _last_lines(self, wanted: int, end: int) -> list[bytes]:
        blocks: list[bytes] = []
        seen = 0
        position = end
        while position > 0 and seen <= wanted:  # one line's end more than lines: the one before the first
            start = max(0, position - _BLOCK)
            blocks.append(self.read(start, position))
            seen += blocks[-1].count(b"\n")
            position = start
        lines = b"".join(reversed(blocks)).split(b"\n")[:-1]
        return lines[len(lines) - wanted :]
