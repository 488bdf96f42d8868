"""The trash of a file store: session files whose modification time is the time of deletion."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, SessionRecord, TrashedSession, new_id
from prompt_objects.sessions.stores.errors import duplicate_id, not_found
from prompt_objects.sessions.stores.file.archive_file import pack, read_archive, rewrite_archive
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import document, id_of, parse_file
from prompt_objects.sessions.stores.file.index_sync import SessionIndex
from prompt_objects.sessions.stores.file.session_file import SessionFile
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp


class Trash(SessionDirectory):
    """Deleted sessions. They come and go under the lock of the index of the `live` folder."""

    def __init__(self, live: SessionDirectory, entries: SessionIndex, notify: Callable[[str], None]) -> None:
        super().__init__(live.path / "trash", notify, read_only=live.read_only)
        self._live = live
        self._entries = entries
        self._index = entries.index

    def entries(self) -> list[TrashedSession]:
        """Return the sessions in the trash, most recently deleted first."""
        found = [TrashedSession(info, datetime.fromtimestamp(at, UTC)) for info, at in self.infos(self.ids())]
        return sorted(found, key=lambda trashed: trashed.deleted_at, reverse=True)

    def put(self, path: Path, session_id: str) -> None:
        """Move a session file or archive into the trash; the caller holds the lock of the index."""
        if self.has_file(session_id):
            raise duplicate_id(session_id, "deleted")
        self._index.mark_dirty(session_id)
        self.move_in(path, touch=True)
        with self._index.committing():
            self._index.remove(session_id)

    def read(self, session_id: str) -> tuple[SessionRecord, list[Message]]:
        packed = self.archive(session_id)
        if packed.exists():
            found = read_archive(packed)
            return found.record, found.read(0, sys.maxsize)
        with self._opened(session_id) as file:
            messages = file.read(0, sys.maxsize)  # repairs the file first if necessary
            return file.record(file.info()), messages

    def restore(self, session_id: str) -> SessionRecord:
        """Move a session back; it gets a number if its name is taken."""
        packed = self.archive(session_id)
        if packed.exists():
            return self._restore_archive(packed)
        with self._opened(session_id) as file, file.locked(writing=True), self._index:
            self._check_restorable(session_id)
            info = file.info()
            name = self._entries.name_for(info, make_unique=True)
            if name != info.name:
                file.rewrite_header({**file.header, "name": name})
            return file.record(self._move_back(file.path, replace(info, name=name)))

    def _check_restorable(self, session_id: str) -> None:
        if not self.has_file(session_id):  # restored by another process
            raise not_found(session_id, trashed=True)
        if self._live.has_file(session_id):
            raise duplicate_id(session_id, "restored")

    @contextmanager
    def _opened(self, session_id: str) -> Iterator[SessionFile]:
        if not self.has(session_id):
            raise not_found(session_id, trashed=True)
        with SessionFile(self.file(session_id), self._notify, read_only=self.read_only) as file:
            try:
                yield file
            finally:
                file.close()

    def _restore_archive(self, packed: Path) -> SessionRecord:
        with self._index:
            self._check_restorable(id_of(packed))
            found = read_archive(packed)
            name = self._entries.name_for(found.info, make_unique=True)
            if name != found.info.name:
                found = rewrite_archive(packed, found, {"name": name})
            self._move_back(packed, found.info)
            return found.record

    def _move_back(self, path: Path, info: SessionInfo) -> SessionInfo:
        self._index.mark_dirty(info.id)
        self._live.move_in(path)
        self._index.commit(info)
        return info

    def repair(self, session_id: str) -> None:
        """Rewrite the file or archive of a session in canonical form, whatever is wrong with it."""
        packed = self.archive(session_id)
        if packed.exists():
            rewrite_archive(packed, read_archive(packed), {})
            return
        with self._opened(session_id) as file:
            file.repair()

    def give_new_id(self, session_id: str) -> None:
        """Give a valid session another id and change nothing else, not even its time of deletion.

        The file with the new id is written before the old one is removed, so that a kill loses nothing.
        """
        new = new_id()
        with self._index:
            for place_of in (self.file, self.archive):
                if place_of(session_id).exists():
                    self._write_as(place_of(session_id), place_of(new))
            beside = self.path / f"{session_id}.corrupt"
            if beside.exists():
                beside.rename(beside.with_name(f"{new}.corrupt"))
            for path in (self.file(session_id), self.archive(session_id)):
                disk.remove_file(path)
            disk.sync_folder(self.path)

    def _write_as(self, path: Path, place: Path) -> None:
        is_packed = path.suffix == ".gz"
        deleted_at = path.stat().st_mtime_ns
        found = read_archive(path) if is_packed else parse_file(path, disk.read_file(path))
        header = {**found.header, "id": id_of(place)}
        data = b"".join(document(header, map(encode, found.read(0, sys.maxsize)), timestamp(found.info.updated_at)))
        if is_packed:
            pack(place, data)
        else:
            disk.replace_file(place, (data,))
        os.utime(place, ns=(deleted_at, deleted_at))

    def purge(self, session_id: str) -> None:
        """Remove a session, its own file last: after a kill it can be purged again."""
        if not self.has(session_id):
            raise not_found(session_id, trashed=True)
        with self._index:
            beside = [self.path / f"{session_id}.corrupt"]
            if not self._live.has(session_id):
                beside.append(self._live.path / f"{session_id}.corrupt")
            for path in (*beside, self.archive(session_id), self.file(session_id)):
                disk.remove_file(path)
            disk.sync_folder(self.path)
