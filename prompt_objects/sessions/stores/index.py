"""index.json: a line for every session, so that listing them opens none. A cache, rebuilt when it is in doubt.

An entry is padded with spaces and overwritten in place, without a sync: what it says stands in the session files.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import RLock

import msgspec

from prompt_objects.sessions.session import SessionInfo
from prompt_objects.sessions.stores import disk
from prompt_objects.sessions.stores.line_document import LineDocument, body_of

__all__ = ["Index"]

_HEAD = b'{"sessions":[\n'
_FOOT = b"]}\n"
_STEP, _SLACK = 64, 32  # an entry has room to grow: its figures get longer, its name may


class _Sessions(msgspec.Struct):
    sessions: list[SessionInfo]


_DECODE_ALL = msgspec.json.Decoder(_Sessions).decode
_DECODE = msgspec.json.Decoder(SessionInfo).decode
_ENCODE = msgspec.json.Encoder().encode


def _line(info: SessionInfo) -> bytes:
    entry = _ENCODE(info)
    return entry.ljust(-(-(len(entry) + _SLACK) // _STEP) * _STEP - 1)


def _id_part(session_id: str) -> bytes:
    return b'{"id":"%s",' % session_id.encode()


class Index:
    """The entries of all sessions: `with index:` holds its lock, and knows it as it is now, rebuilt if need be.

    Everything but `close` wants that, and what the disk refuses leaves the block as `StoreError`. `survey` reads
    the session files anew; its result is what the index is rebuilt from.
    """

    def __init__(self, path: Path, survey: Callable[[], Iterable[SessionInfo]]) -> None:
        self.path = path
        self._survey = survey
        self._mutex = RLock()
        self._lock: disk.OpenFile | None = None  # a file of its own: the index itself is replaced now and then
        self._doc: LineDocument | None = None
        self._places: dict[str, tuple[int, int]] = {}  # where each entry was last found, and its length

    def close(self) -> None:
        """Let go of the descriptors; for when nobody is using them."""
        self._forget_document()
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def __enter__(self) -> None:
        self._mutex.acquire()
        try:
            self._take_lock()
        except BaseException as error:
            self._mutex.release()
            if isinstance(error, OSError):
                raise disk.failure("used", self.path, error) from error
            raise

    def _take_lock(self) -> None:
        if self._lock is None:
            lock_path = self.path.with_name(self.path.name + ".lock")
            self._lock = disk.OpenFile(lock_path, os.O_RDWR | os.O_CREAT)
        disk.lock(self._lock.descriptor)
        try:
            self._catch_up()
        except BaseException:
            disk.unlock(self._lock.descriptor)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._lock is not None:
                disk.unlock(self._lock.descriptor)
        finally:
            self._mutex.release()
        if isinstance(error, OSError):
            raise disk.failure("used", self.path, error) from error

    def entries(self) -> list[SessionInfo]:
        """Return all entries."""
        try:
            return _DECODE_ALL(self._data()).sessions
        except msgspec.DecodeError:
            self.rebuild()
            return _DECODE_ALL(self._data()).sessions

    def find(self, session_id: str) -> SessionInfo | None:
        """Return the entry of a session, if it has one."""
        place = self._place(session_id)
        if place is None:
            return None
        start, length = place
        try:
            return _DECODE(os.pread(self._open().descriptor, length, start))
        except msgspec.DecodeError:
            self.rebuild()
            return self.find(session_id)

    def names(self, po_name: str) -> set[str]:
        """Return the names of the sessions of a prompt object."""
        return {info.name for info in self.entries() if info.po_name == po_name}

    def has_name(self, name: str, po_name: str) -> bool:
        """Is there a session of that name? Searches for the bytes, which takes a tenth of reading them all."""
        part = b'"name":%s,"po_name":%s,' % (_ENCODE(name), _ENCODE(po_name))
        return self._data().find(part) >= 0

    def put(self, info: SessionInfo) -> None:
        """Write the entry of a session, in place of the one it may have."""
        place = self._place(info.id)
        if place is None:
            self._add(info)
            return
        start, length = place
        entry = _ENCODE(info)
        if len(entry) <= length:
            os.pwrite(self._open().descriptor, entry.ljust(length), start)
        else:
            data = self._data()
            self._write([data[:start], _line(info), data[start + length :]])

    def remove(self, session_id: str) -> None:
        """Take the entry of a session out."""
        lines = [line.removeprefix(b",") for line in self._data().split(b"\n")[1:-2]]
        part = _id_part(session_id)
        kept = [line for line in lines if not line.startswith(part)]
        self._write([_HEAD, body_of(kept, first=True), _FOOT])

    def rebuild(self) -> None:
        """Write the index anew from the session files."""
        self._write([_HEAD, body_of(map(_line, self._survey()), first=True), _FOOT])

    def _add(self, info: SessionInfo) -> None:
        doc, line = self._open(), _line(info)
        comma = b"" if doc.size == len(_HEAD) + len(_FOOT) else b","
        self._places[info.id] = (doc.size - len(_FOOT) + len(comma), len(line))
        doc.append(comma + line + b"\n", _FOOT)

    def _write(self, chunks: Iterable[bytes]) -> None:
        disk.replace_file(self.path, chunks, durable=False)
        self._forget_document()
        self._catch_up()

    def _data(self) -> bytes:
        doc = self._open()
        return doc.read(0, doc.size)

    def _place(self, session_id: str) -> tuple[int, int] | None:
        """Find an entry; in a file that is not replaced it stays in its place."""
        if session_id not in self._places:
            data = self._data()
            start = data.find(_id_part(session_id))
            if start < 0:
                return None
            self._places[session_id] = (start, data.index(b"\n", start) - start)
        return self._places[session_id]

    def _open(self) -> LineDocument:
        if self._doc is None:
            self._doc = LineDocument(self.path, len(_FOOT))
        return self._doc

    def _forget_document(self) -> None:
        if self._doc is not None:
            self._doc.close()
        self._doc = None
        self._places.clear()

    def _catch_up(self) -> None:
        """See that the open document is the one at the path, and has our form."""
        size = self._doc.size_now() if self._doc else None
        if self._doc and size == self._doc.size:
            return
        if size is None:
            self._forget_document()
        if not self._is_in_form():
            self.rebuild()

    def _is_in_form(self) -> bool:
        new = self._doc is None
        try:
            doc = self._open()
        except FileNotFoundError:
            return False
        doc.size = doc.size_now() or 0
        return doc.foot() == b"\n" + _FOOT and not (new and doc.read(0, len(_HEAD)) != _HEAD)
