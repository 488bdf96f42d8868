"""The trash of a file store: a folder of session files, each of which bears the time of its deletion."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions import disk
from prompt_objects.sessions.names import free_name
from prompt_objects.sessions.record import Record, SessionInfo, Trashed
from prompt_objects.sessions.stores.archive import read_archive, rewrite_archive
from prompt_objects.sessions.stores.contents import gone
from prompt_objects.sessions.stores.head import metadata_of
from prompt_objects.sessions.stores.index import Index
from prompt_objects.sessions.stores.session_file import SessionFile
from prompt_objects.sessions.stores.session_folder import SessionFolder

__all__ = ["Trash"]


class Trash(SessionFolder):
    """Deleted sessions. What comes or goes does so under the lock of the index of the `live` ones."""

    def __init__(self, live: SessionFolder, index: Index, notes: list[str]) -> None:
        super().__init__(live.path / "trash", notes)
        self._live = live
        self._index = index

    def entries(self) -> list[Trashed]:
        """Return what can be restored, the last deleted first."""
        found = [Trashed(info, datetime.fromtimestamp(at, UTC)) for info, at in self.infos(self.ids())]
        return sorted(found, key=lambda trashed: trashed.deleted_at, reverse=True)

    def put(self, path: Path, session_id: str) -> None:
        """Take in the file of a session, or its archive; whoever calls has the lock of the index."""
        self._index.doubt(session_id)
        self.take(path, touch=True)
        with self._index.following():
            self._index.remove(session_id)

    def read(self, session_id: str) -> tuple[Record, list[Message]]:
        """Return a session, history and all."""
        packed = self.archive(session_id)
        if packed.exists():
            found = read_archive(packed)
            return Record(found.info, found.metadata), found.read(0, sys.maxsize)
        file = self._file(session_id)
        try:
            with file:
                messages = file.read(0, sys.maxsize)  # which has it repaired first, if need be
                return Record(file.info(), metadata_of(file.head)), messages
        finally:
            file.close()

    def restore(self, session_id: str) -> Record:
        """Bring a session back, under another name where its own is taken."""
        packed = self.archive(session_id)
        if packed.exists():
            return self._restore_archive(packed)
        file = self._file(session_id)
        try:
            with file, file.locked(), self._index:
                info = file.info()
                name = self._free_name(info)
                if name != info.name:
                    file.rewrite_head({**file.head, "name": name})
                return Record(self._give_back(file.path, replace(info, name=name)), metadata_of(file.head))
        finally:
            file.close()

    def _file(self, session_id: str) -> SessionFile:
        return SessionFile(self.file(session_id), self._notes)

    def _restore_archive(self, packed: Path) -> Record:
        with self._index:
            found = read_archive(packed)
            name = self._free_name(found.info)
            if name != found.info.name:
                count, updated_at = found.info.message_count, found.info.updated_at
                found = rewrite_archive(packed, found, {"name": name}, count=count, updated_at=updated_at)
            return Record(self._give_back(packed, found.info), found.metadata)

    def _free_name(self, info: SessionInfo) -> str:
        return free_name(info.name, self._index.names(info.po_name))

    def _give_back(self, path: Path, info: SessionInfo) -> SessionInfo:
        self._index.doubt(info.id)
        self._live.take(path)
        with self._index.following():
            self._index.put(info)
        return info

    def mend(self, session_id: str) -> None:
        """Bring the file of a session, or its archive, into our form, whatever is wrong with it."""
        packed = self.archive(session_id)
        if packed.exists():
            found = read_archive(packed)
            count, updated_at = found.info.message_count, found.info.updated_at
            rewrite_archive(packed, found, {}, count=count, updated_at=updated_at)
            return
        file = self._file(session_id)
        with file:
            file.mend()
            file.close()

    def purge(self, session_id: str) -> None:
        """Remove a session, its own file last, so that a kill leaves it to be purged."""
        if not self.has(session_id):
            raise gone(self.file(session_id))
        with self._index:
            beside = [self.path / f"{session_id}.corrupt"]
            if not self._live.has(session_id):
                beside.append(self._live.path / f"{session_id}.corrupt")
            for path in (*beside, self.archive(session_id), self.file(session_id)):
                self._remove(path)
            disk.sync_folder(self.path)

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise disk.failure("removed", path, error) from error
