"""index.json: a line for every session, so that listing them opens none. A cache, put right when it is in doubt.

An entry is padded with spaces and overwritten in place, without a sync: what it says stands in the session files.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

import msgspec

from prompt_objects.message import timestamp
from prompt_objects.sessions import disk
from prompt_objects.sessions.record import SessionInfo
from prompt_objects.sessions.stores.line_document import LineDocument, body_of

__all__ = ["Index"]

_HEAD = b'{"sessions":[\n'
_FOOT = b"]}\n"
_STEP, _SLACK = 64, 32  # an entry has room to grow: its figures get longer, its name may
_ID_LENGTH = 36


class _Sessions(msgspec.Struct):
    sessions: list[SessionInfo]


_DECODE_ALL = msgspec.json.Decoder(_Sessions).decode
_DECODE = msgspec.json.Decoder(SessionInfo).decode
_ENCODE = msgspec.json.Encoder().encode


def _line(info: SessionInfo) -> bytes:
    entry = _ENCODE(info)
    return entry.ljust(-(-(len(entry) + _SLACK) // _STEP) * _STEP - 1)


def _lines(data: bytes) -> list[bytes]:
    return [line.removeprefix(b",") for line in data.split(b"\n")[1:-2]]


def _id_part(session_id: str) -> bytes:
    return b'{"id":"%s",' % session_id.encode()


class Index:
    """The entries of all sessions: `with index:` holds its lock, and knows it as it is now, rebuilt if need be.

    Everything but `glance` and `close` wants that, and what the disk refuses leaves the block as `StoreError`.
    `ids` names the sessions that have a file, and `survey` reads what the files of some of them say.

    Before a file comes, goes or gets another name, `doubt` writes the session's id into the lock file, and
    `following` takes it out once the entry tells of it. Where that did not come to pass, whoever next asks for all
    entries puts that one right; whoever does so first after opening, or after somebody else replaced the index,
    compares all of them with the files, as the index may be older than they are since the power failed.
    """

    def __init__(
        self, path: Path, ids: Callable[[], set[str]], survey: Callable[[Iterable[str]], Iterable[SessionInfo]]
    ) -> None:
        self.path = path
        self._ids = ids
        self._survey = survey
        self._mutex = RLock()
        self._lock: disk.OpenFile | None = None  # a file of its own: the index itself is replaced now and then
        self._doc: LineDocument | None = None
        self._places: dict[str, tuple[int, int]] = {}  # where each entry was last found, and its length
        self._glimpsed: dict[str, tuple[int, int]] = {}  # by `glance`: a write that was still going on may be undone
        self._is_compared = False

    def close(self) -> None:
        """Let go of the descriptors; the next use opens them again."""
        with self._mutex:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the descriptors without waiting for other threads: in a forked child there are none."""
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
            try:
                self._lock = disk.OpenFile(lock_path, os.O_RDWR | os.O_CREAT)
            except FileNotFoundError:  # and it may not be made: nobody writes here
                return self._catch_up()
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

    # Reading

    def entries(self) -> list[SessionInfo]:
        """Return all entries."""
        if self._is_in_doubt():
            return self._compare()
        try:
            return _DECODE_ALL(self._data()).sessions
        except msgspec.DecodeError:
            return self.rebuild()

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

    def glance(self, session_id: str) -> SessionInfo | None:
        """Return the entry of a session, if it can be had without the lock; it may be a moment old."""
        with self._mutex, suppress(OSError, ValueError, msgspec.DecodeError):
            known = self._glimpsed.pop(session_id, None) or self._places.get(session_id)
            if self._is_in_form() and (place := known or self._search(session_id)):
                start, length = place
                entry = _DECODE(os.pread(self._open().descriptor, length, start))
                if entry.id == session_id:
                    self._glimpsed[session_id] = place
                    return entry
        return None

    def names(self, po_name: str) -> set[str]:
        """Return the names of the sessions of a prompt object."""
        return {info.name for info in self.entries() if info.po_name == po_name}

    def has_name(self, name: str, po_name: str) -> bool:
        """Is there a session of that name? Searches for the bytes, which takes a tenth of reading them all."""
        if self._is_in_doubt():
            self._compare()
        part = b'"name":%s,"po_name":%s,' % (_ENCODE(name), _ENCODE(po_name))
        return self._data().find(part) >= 0

    # Writing

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

    def sync(self) -> None:
        """Wait until the entries are on the disk: without a name's change they would look sound after a power cut."""
        disk.sync(self._open().descriptor)
        disk.sync_folder(self.path.parent)

    def remove(self, session_id: str) -> None:
        """Take the entry of a session out."""
        part = _id_part(session_id)
        self._write_lines(line for line in _lines(self._data()) if not line.startswith(part))

    def rebuild(self) -> list[SessionInfo]:
        """Write the index anew from the session files; return all entries."""
        infos = list(self._survey(self._ids()))
        self._write_lines(map(_line, infos))
        self._is_compared = True
        return infos

    def doubt(self, session_id: str) -> None:
        """Note, before it happens, that the file of a session comes, goes, or is called something else."""
        if self._doubtful() not in ("", session_id):
            self._compare()
        self._note(session_id)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Change the entry as the file was changed; where the disk refuses, it stays in doubt, and that is all."""
        with suppress(OSError):
            yield
            self._note("")

    def _note(self, doubtful: str) -> None:
        if self._lock is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if self._lock.refusal:
            raise self._lock.refusal
        os.pwrite(self._lock.descriptor, doubtful.encode().ljust(_ID_LENGTH), 0)

    def _doubtful(self) -> str:
        return os.pread(self._lock.descriptor, _ID_LENGTH, 0).decode(errors="replace").strip() if self._lock else ""

    def _is_in_doubt(self) -> bool:
        return not self._is_compared or self._doubtful() != ""

    def _compare(self) -> list[SessionInfo]:
        """Put right what is in doubt: entries without a file, files without an entry, what is no entry of ours."""
        data, there, doubtful = self._data(), self._ids(), self._doubtful()
        lines = _lines(data)
        try:
            infos = _DECODE_ALL(data).sessions
        except msgspec.DecodeError:
            infos = []
        known = {
            info.id: (line, info)
            for line, info in zip(lines, infos, strict=False)
            if info.id in there and info.id != doubtful and line.rstrip() == _ENCODE(info)
        }
        found = list(self._survey(there - known.keys()))
        if found or len(known) != len(lines):
            self._write_lines([*(line for line, _ in known.values()), *map(_line, found)])
        if doubtful:
            self._note("")
        self._is_compared = True
        return [*(info for _, info in known.values()), *found]

    def _add(self, info: SessionInfo) -> None:
        doc, line = self._open(), _line(info)
        comma = b"" if doc.size == len(_HEAD) + len(_FOOT) else b","
        start = doc.size - len(_FOOT) + len(comma)
        doc.append(comma + line + b"\n", _FOOT)
        self._places[info.id] = (start, len(line))

    def _write_lines(self, lines: Iterable[bytes]) -> None:
        self._write([_HEAD, body_of(lines, first=True), _FOOT])

    def _write(self, chunks: Iterable[bytes]) -> None:
        disk.replace_file(self.path, chunks, durable=False)
        was_compared = self._is_compared
        self._forget_document()
        self._catch_up()
        self._is_compared = was_compared

    # The document

    def _data(self) -> bytes:
        doc = self._open()
        return doc.read(0, doc.size)

    def _place(self, session_id: str) -> tuple[int, int] | None:
        """Find an entry; in a file that is not replaced it stays in its place."""
        if session_id not in self._places:
            place = self._search(session_id)
            if place is None:
                return None
            self._places[session_id] = place
        return self._places[session_id]

    def _search(self, session_id: str) -> tuple[int, int] | None:
        data = self._data()
        start = data.find(_id_part(session_id))
        return None if start < 0 else (start, data.index(b"\n", start) - start)

    def _open(self) -> LineDocument:
        if self._doc is None:
            self._doc = LineDocument(self.path, len(_FOOT))
        return self._doc

    def _forget_document(self) -> None:
        if self._doc is not None:
            self._doc.close()
        self._doc = None
        self._places.clear()
        self._glimpsed.clear()
        self._is_compared = False

    def _catch_up(self) -> None:
        """See that the open document is the one at the path, and has our form."""
        size = self._doc.size_now() if self._doc else None
        if self._doc and size == self._doc.size:
            return
        if not self._is_in_form():
            self._forget_document()
            self._put_aside()
            self.rebuild()

    def _is_in_form(self) -> bool:
        if self._doc and self._doc.size_now() is None:
            self._forget_document()
        try:
            doc = self._open()
            doc.size = doc.size_now() or 0
            is_ours = doc.foot() == b"\n" + _FOOT and doc.read(0, len(_HEAD)) == _HEAD
        except OSError:
            return False
        if not is_ours:
            doc.size = -1  # not known, so that whoever has the lock looks again
        return is_ours

    def _put_aside(self) -> None:
        """Move out of the way what stands at the path and is no file: a folder, a link."""
        if os.path.lexists(self.path) and not stat.S_ISREG(self.path.lstat().st_mode):
            stamp = timestamp().replace(":", "").replace(".", "")
            self.path.rename(self.path.with_name(f"{self.path.name}.corrupt-{stamp}"))
