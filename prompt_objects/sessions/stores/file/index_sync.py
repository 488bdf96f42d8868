"""Keeps the index of a file store in agreement with the session files."""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from msgspec.structs import replace

from prompt_objects.errors import StoreError
from prompt_objects.sessions.info import SessionInfo, SessionRecord
from prompt_objects.sessions.names import numbering_stem, unique_name
from prompt_objects.sessions.stores.base import SessionFilter
from prompt_objects.sessions.stores.errors import check_truncation, name_taken
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.index import Index
from prompt_objects.sessions.stores.file.index_file import Correction, in_order
from prompt_objects.sessions.stores.file.repair_log import RepairLog
from prompt_objects.sessions.stores.file.session_file import SessionFile
from prompt_objects.utils.text import pluralize
from prompt_objects.utils.time import timestamp

Infos: TypeAlias = list[SessionInfo]  # `list` is a method below
_COMPARED = 100  # sessions in each list
_NEW = 1.0  # seconds


class SessionIndex:
    """The index entries of the sessions in a folder. Callers hold the thread lock of a file that they pass.

    Methods that take a name or an info also need the lock of the `index`.
    """

    def __init__(self, folder: SessionDirectory, repairs: RepairLog) -> None:
        self._folder = folder
        self._repairs = repairs
        self.ids = folder.ids
        self.corrected = folder.corrected
        self.index = Index(folder.path / "index.json", self, read_only=folder.read_only)

    def read_infos(self, ids: Iterable[str]) -> Iterator[SessionInfo]:
        return (info for info, _ in self._folder.infos(ids))

    def note_quarantine(self, kept: Path) -> None:
        self._repairs.report(f"The index of the sessions could not be read, and was rebuilt. It is kept in {kept}.")

    def note_corrections(self, corrections: Iterable[Correction]) -> None:
        number = 0
        for before, now in corrections:
            self.note_loss(before, now.message_count)
            is_new = (datetime.now(UTC) - now.updated_at).total_seconds() < _NEW  # its writer may wait for the index
            number += now.message_count >= before.message_count and not is_new
        if number:
            fate = "the next change corrects it" if self._folder.read_only else "it was corrected"
            text = f"The index did not match the files of {pluralize(number, 'session')}; {fate}."
            self._folder.report(f"{text} Perhaps an older one was put back, or a program was interrupted.")

    def note_loss(self, entry: SessionInfo | None, count: int) -> None:
        """Tell the user if a file has fewer messages than its entry in the index."""
        if entry and count < entry.message_count:
            self._repairs.report(
                f"The session {entry.name!r} of {entry.po_name} had {pluralize(entry.message_count, 'message')}, and "
                f"its file has {count} now: an older file was put back, or a part was cut off. "
                f"To look for the others: prompt-objects sessions backups {entry.id}"
            )

    def list(self, where: SessionFilter, limit: int | None) -> list[SessionInfo]:
        """Return the selected entries, most recently changed first; if the index cannot be used, read the files.

        The newest entries are compared with the times of their files.
        """
        try:
            with self.index:
                infos = self._listed(where, limit)
                corrections = self._correct(infos[:_COMPARED])
                if corrections and self._folder.read_only:
                    return in_order(where.select(corrections.get(info.id, info) for info in infos))
                return self._listed(where, limit) if corrections else infos
        except StoreError:
            return in_order(where.select(self.read_infos(self._folder.ids())))[:limit]

    def _listed(self, where: SessionFilter, limit: int | None) -> Infos:
        return self.index.entries(where) if limit is None else self.index.newest(limit, where)

    def _correct(self, entries: Infos) -> dict[str, SessionInfo]:
        """Correct entries that do not match their files; return them as they are now, by id."""
        corrections = [(entry, now) for entry in entries if (now := self._folder.corrected(entry))]
        for _, now in corrections if not self._folder.read_only else ():
            self.index.put(now)
        self.note_corrections(corrections)
        return {now.id: now for _, now in corrections}

    # Names

    def check_name(self, name: str, po_name: str, given: Collection[str] = ()) -> None:
        """Raise `NameTaken` if the prompt object has a session of that name, or one in `given`."""
        if name in given or self.index.has_name(name, po_name):
            raise name_taken(name, po_name, self._names_like(name, po_name).union(given))

    def name_for(self, info: SessionInfo, *, make_unique: bool, given: Collection[str] = ()) -> str:
        """Return the name for a new session, with a number if it is taken and `make_unique`; else raise `NameTaken`.

        Names in `given` are taken too, but not in the index yet.
        """
        if not make_unique:
            self.check_name(info.name, info.po_name, given)
            return info.name
        return unique_name(info.name, self._names_like(info.name, info.po_name).union(given))

    def _names_like(self, name: str, po_name: str) -> set[str]:
        return self.index.names(po_name, numbering_stem(name))

    # Of a file

    def load(self, file: SessionFile) -> SessionRecord:
        """Return a session without its history, from its index entry if that is up to date."""
        file.refresh()
        entry = self.index.peek(file.id)
        info = entry if file.is_described_by(entry) else self._corrected(file)
        return file.record(info)

    def _corrected(self, file: SessionFile) -> SessionInfo:
        """Correct the entry; if the index cannot be written, only return the correct info."""
        with file.locked():
            if self._folder.read_only:
                return file.info()
            try:
                with self.index:
                    return self.entry(file)
            except StoreError:
                return file.info()

    def entry(self, file: SessionFile) -> SessionInfo:
        """Return the entry of a file, corrected if it differs; file and index are locked."""
        entry = self.index.find(file.id)
        if file.is_described_by(entry):
            return entry
        info = file.info()
        if not file.is_repaired:  # the user knows of the repair
            self.note_loss(entry, info.message_count)
        self.index.put(info)
        return info

    def update(self, file: SessionFile, name: str | None, metadata: dict[str, Any] | None) -> SessionRecord:
        with file.locked(writing=True), self.index:
            info = self.entry(file)
            header = dict(file.header)
            if name is not None and name != info.name:
                self.check_name(name, info.po_name)
                info = replace(info, name=name)
                header["name"] = name
            if metadata is not None:
                header["metadata"] = metadata
            self.index.mark_dirty(file.id)
            file.rewrite_header(header)
            self.index.commit(info, durable=True)
            return file.record(info)

    def truncate(self, file: SessionFile, count: int, expected: int | None) -> SessionRecord:
        with file.locked(writing=True), self.index:
            check_truncation(file.header.get("name"), file.doc.count, count, expected)
            info = self.entry(file)
            if count < file.doc.count:
                self.index.mark_dirty(file.id)
                file.truncate(count, timestamp())
                info = file.info()
                self.index.commit(info, durable=True)
            return file.record(info)

    # As a whole

    def refresh(self, file: SessionFile) -> None:
        """Rewrite an entry from its file, with totals."""
        with file.locked(), self.index:
            info = file.info()
            if self.index.find(file.id) != info:
                self.index.put(info)
                file.entry = None

    def rebuild(self) -> None:
        """Rewrite the index from the session files."""
        with self.index:
            self.index.rebuild()

    def remove(self, session_id: str) -> None:
        """Remove the entry of a session that has no file."""
        with self.index:
            if self.index.find(session_id) and not self._folder.has(session_id):
                self.index.remove(session_id)
