"""index.json as a file: one entry a line, padded with spaces, the last used entries at the end.

An entry near the end is overwritten in place. Any other one is added at the end, and its old line becomes blank; so
the newest are found without reading the others. See docs/decisions/0006.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.base import ALL_SESSIONS, SessionFilter
from prompt_objects.sessions.stores.json_lines import LineDocument, join_elements
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp

Key: TypeAlias = tuple[datetime, str]
Correction: TypeAlias = tuple[SessionInfo, SessionInfo]  # what an entry said, and what its file says
_HEADER = b'{"sessions":[\n'
_FOOTER = b"]}\n"
_STEP, _SLACK = 64, 32  # an entry has room for longer figures and a longer name
NEAR_BYTES = 32 * 1024  # within this distance from the end, an entry is overwritten in place
_FAR = 56 * 1024  # if two entries are further apart, the second one was changed later
_BLOCK = 64 * 1024  # larger blocks are slower: each needs new memory
_NOT_NEWLINE = re.compile(rb"[^\n]")
_DECODE = msgspec.json.Decoder(SessionInfo).decode
_DECODE_TEXT = msgspec.json.Decoder(str).decode
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError)
_DECODE_ALL = msgspec.json.Decoder(list[SessionInfo]).decode
encoded = msgspec.json.Encoder().encode
key_of = attrgetter("updated_at", "id")


def in_order(infos: Iterable[SessionInfo]) -> list[SessionInfo]:
    """Sort entries, most recently changed first; entries of the same time by their ids."""
    found = sorted(infos, key=attrgetter("id"), reverse=True)  # two sorts are twice as fast as one by pairs
    found.sort(key=attrgetter("updated_at"), reverse=True)
    return found


def document(infos: Iterable[SessionInfo]) -> Iterator[bytes]:
    """Yield the parts of an index file."""
    yield _HEADER
    yield join_elements(map(_line, infos), first=True)
    yield _FOOTER


def _line(info: SessionInfo) -> bytes:
    entry = encoded(info)
    return entry.ljust(-(-(len(entry) + _SLACK) // _STEP) * _STEP - 1)


def _entries(lines: bytes) -> list[SessionInfo]:
    return _DECODE_ALL(b"[%s]" % lines.strip().removeprefix(b","))


def _selected(lines: bytes, where: SessionFilter) -> list[SessionInfo]:
    """Decode the entries that a filter selects; a search for bytes leaves out most of the others undecoded."""
    if where == ALL_SESSIONS:
        return _entries(lines)
    part = _common_bytes(where)
    if 2 * lines.count(part) < lines.count(b"\n"):
        lines = b"\n".join(line for line in lines.split(b"\n") if part in line)
    return where.select(_entries(lines))


def _common_bytes(where: SessionFilter) -> bytes:
    """Return bytes that are in the line of each entry that a filter selects."""
    if where.parents is not None:
        single = len(where.parents) == 1
        return b'"parent":{"session":%s' % encoded(next(iter(where.parents))) if single else b'"parent":'
    if where.po_name is not None:
        return b'"po_name":%s' % encoded(where.po_name)
    return b"" if where.user_id is None else b'"user_id":%s' % encoded(where.user_id)


def _id_part(session_id: str) -> bytes:
    return b'{"id":"%s",' % session_id.encode()


class Slot(NamedTuple):
    """The position and the key of an entry when the file had `size` bytes."""

    start: int
    length: int
    key: Key
    size: int


class IndexFile(LineDocument):
    """The open index. It takes no locks, and raises one of `DECODE_ERRORS` for a line that is not an entry."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(path, len(_FOOTER), read_only=read_only)
        self.is_well_formed = False
        self._order_bound: tuple[int, Key | None] = (-_FAR, None)  # a position, and the last key before it

    def refresh(self) -> bool:
        """Read the current state of the file; return whether it has the form of an index."""
        self.size = self.current_length() or 0
        self.is_well_formed = self.read_footer() == b"\n" + _FOOTER and self.read(0, len(_HEADER)) == _HEADER
        return self.is_well_formed

    def modification_time(self) -> int:
        """Return the present modification time in nanoseconds."""
        return os.fstat(self.descriptor).st_mtime_ns

    # Reading

    def _runs(self, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield runs of whole lines, the last run first, each with its start; `stop` is the end of the last line."""
        if stop is None:
            stop = self.size - len(_FOOTER) if self.is_well_formed else self.size
        rest = b""
        while stop > len(_HEADER):
            start = max(len(_HEADER), stop - _BLOCK)
            lines = self.read(start, stop) + rest
            cut = (lines.find(b"\n") + 1 or len(lines)) if start > len(_HEADER) else 0
            yield start + cut, lines[cut:]
            stop, rest = start, lines[:cut]

    def entries(self, where: SessionFilter = ALL_SESSIONS) -> Iterator[SessionInfo]:
        """Yield the entries that a filter selects, the last one first."""
        for _, lines in self._runs():
            yield from reversed(_selected(lines, where))

    def newest(
        self, limit: int, where: SessionFilter = ALL_SESSIONS, *, stop: int | None = None
    ) -> list[SessionInfo]:
        """Return the `limit` selected entries that were changed last, the last one first.

        Reads `limit` entries from the end and the `_FAR` bytes before them; entries further away are older.
        """
        found: list[SessionInfo] = []
        enough: int | None = None
        for start, lines in self._runs(stop):
            found += _selected(lines, where)
            if enough is None and len(found) >= limit:
                enough = start
            if enough is not None and start <= enough - _FAR:
                break
        return in_order(found)[:limit]

    def checked_entries(self) -> Iterator[SessionInfo | None]:
        """Yield the entry of each line, the last one first; None for any line that is not a valid one."""
        is_first = None
        for _, lines in self._runs():
            for line in filter(None, (line.strip(b" ") for line in reversed(lines.split(b"\n")))):
                if is_first:
                    yield None  # only the first line has no comma
                is_first = not line.startswith(b",")
                yield _decode_exact(line.removeprefix(b","))
        if is_first is False or not self.is_well_formed:
            yield None

    def check(
        self, ids: set[str], dirty_id: str, corrected: Callable[[SessionInfo], SessionInfo | None]
    ) -> tuple[set[str], list[Correction], bool]:
        """Return the ids with one valid entry, the other entries of files, and whether all lines are valid.

        `dirty_id` has no valid entry.
        """
        invalid, seen, corrections = {dirty_id}, set[str](), dict[str, Correction]()
        is_clean = True
        for info in self.checked_entries():
            if info is None or info.id not in ids or info.id in invalid:
                is_clean = False
            elif info.id in seen:
                invalid.add(info.id)
                is_clean = False
            else:
                seen.add(info.id)
                if changed := corrected(info):
                    corrections[info.id] = (info, changed)
                    is_clean = False
        valid = seen - invalid
        return valid - corrections.keys(), [corrections[each] for each in valid & corrections.keys()], is_clean

    def has(self, part: bytes) -> bool:
        """Return whether a line contains these bytes."""
        return any(part in lines for _, lines in self._runs())

    def names(self, po_name: str, start: str) -> set[str]:
        """Return the names of a prompt object's sessions that start with `start`.

        Searching for that start first is three times faster than matching the pattern everywhere.
        """
        begin = b'"name":' + encoded(start)[:-1]
        pattern = re.compile(rb'"name":("(?:[^"\\]|\\.)*"),"po_name":%s,' % re.escape(encoded(po_name)))
        found = set[str]()
        for _, lines in self._runs():
            at = lines.find(begin)
            while at >= 0:
                if match := pattern.match(lines, at):
                    found.add(_DECODE_TEXT(match[1]))
                at = lines.find(begin, at + 1)
        return found

    def find_slot(self, session_id: str) -> Slot | None:
        """Return the slot of a session's entry, the last one if there are two."""
        part = _id_part(session_id)
        for begin, lines in self._runs():
            at = lines.rfind(part)
            if at >= 0:
                entry = lines[at : lines.index(b"\n", at)]
                return Slot(begin + at, len(entry), key_of(_DECODE(entry)), self.size)
        return None

    def refresh_slot(self, session_id: str, slot: Slot) -> Slot | None:
        """Return a slot with its current key; None if the entry is not there any more."""
        entry = self.read(slot.start, slot.start + slot.length)
        if not entry.startswith(_id_part(session_id)):
            return None
        return slot._replace(key=key_of(_DECODE(entry)), size=self.size)

    def entry(self, slot: Slot) -> SessionInfo:
        return _DECODE(self.read(slot.start, slot.start + slot.length))

    # Order

    def keeps_order(self, info: SessionInfo) -> bool:
        """Return whether an entry can be added at the end: no entry far from the end was changed after it."""
        bound, last = self._order_bound
        if self.size - bound > _FAR:  # entries near the end change, those before do not
            bound = self._line_end(self.size - NEAR_BYTES)
            try:
                newest = self.newest(1, stop=bound)
            except DECODE_ERRORS:
                return False
            last = key_of(newest[0]) if newest else None
            self._order_bound = (bound, last)
        return last is None or key_of(info) >= last

    def _line_end(self, stop: int) -> int:
        """Return the end of the last line that ends at or before `stop`."""
        while stop > len(_HEADER):
            start = max(len(_HEADER), stop - _STEP * 64)
            end = self.read(start, stop).rfind(b"\n") + 1
            if end:
                return start + end
            stop = start
        return len(_HEADER)

    # Writing

    def overwrite(self, slot: Slot, info: SessionInfo, entry: bytes) -> Slot:
        self.write(entry.ljust(slot.length), slot.start)
        return Slot(slot.start, slot.length, key_of(info), self.size)

    def add(self, info: SessionInfo) -> Slot:
        line = _line(info)
        comma = b"" if self.size == len(_HEADER) + len(_FOOTER) else b","
        start = self.size - len(_FOOTER) + len(comma)
        self.count = len(comma)  # zero or not is enough
        self.append([line], _FOOTER)
        return Slot(start, len(line), key_of(info), self.size)

    def blank(self, slot: Slot) -> bool:
        """Fill the line of an entry with spaces, in one write; return False, unchanged, if it is the only one.

        With the first entry, the comma of the next one is removed.
        """
        start, stop = slot.start, slot.start + slot.length
        if self.read(start - 1, start) == b",":
            self.write(b" " * (stop - start + 1), start - 1)
            return True
        comma = self._comma_after(stop)
        if comma is None:
            return False
        self.write(_NOT_NEWLINE.sub(b" ", self.read(start, comma + 1)), start)
        return True

    def _comma_after(self, start: int) -> int | None:
        end = self.size - len(_FOOTER)
        while start < end:
            block = self.read(start, min(end, start + _BLOCK))
            if ahead := block.lstrip():
                return start + len(block) - len(ahead) if ahead.startswith(b",") else None
            start += len(block)
        return None


def _decode_exact(line: bytes) -> SessionInfo | None:
    try:
        info = _DECODE(line)
    except DECODE_ERRORS:
        return None
    return info if encoded(info) == line else None


def quarantine(path: Path) -> Path | None:
    """Keep a file, folder or link that is not an index: copy a file, rename the others; return the copy."""
    if not os.path.lexists(path):
        return None
    if stat.S_ISREG(path.lstat().st_mode):
        kept = path.with_name(f"{path.name}.corrupt")
        disk.replace_file(kept, [disk.read_file(path)])
    else:
        stamp = timestamp().replace(":", "").replace(".", "")
        kept = path.with_name(f"{path.name}.corrupt-{stamp}")
        path.rename(kept)
    return kept
