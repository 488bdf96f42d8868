"""Making sessions: threads that make some at the same moment share what takes longest of it."""

import threading
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from prompt_objects.errors import PromptObjectsError
from prompt_objects.message import Message, timestamp
from prompt_objects.sessions import disk
from prompt_objects.sessions.record import SessionInfo, head_of
from prompt_objects.sessions.stores.contents import document, padded
from prompt_objects.sessions.stores.entries import Entries
from prompt_objects.sessions.stores.refusals import exists
from prompt_objects.sessions.stores.session_folder import SessionFolder

__all__ = ["Newcomers"]


class Newcomers:
    """Makes the files of new sessions, and their entries, for any number of threads.

    One thread at a time makes all that wait by then: under one lock of the index, with one sync of the folder and one
    note of what is in doubt. Each waits only for its own, as databases commit in groups.
    """

    def __init__(self, live: SessionFolder, trash: SessionFolder, entries: Entries) -> None:
        self._live = live
        self._trash = trash
        self._entries = entries
        self._waiting: deque[_Newcomer] = deque()
        self._making = threading.Lock()

    def make(
        self, info: SessionInfo, metadata: dict[str, Any], history: Sequence[Message], *, numbered: bool
    ) -> SessionInfo:
        """Make a session, durably; return its info, whose name may have got a number."""
        mine = _Newcomer(info, metadata, history, numbered=numbered)
        self._waiting.append(mine)
        with self._making:
            if not mine.is_done:
                self._make_all(mine)
        if mine.error:
            raise mine.error
        return mine.info

    def _make_all(self, mine: "_Newcomer") -> None:
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            self._make(batch)
        except PromptObjectsError as error:  # the index is not to be had, for none of them
            for each in batch:
                each.error = each.error or error
        finally:  # where something else went wrong, it did for this thread, and the others do it themselves
            self._waiting.extend(each for each in batch if not each.is_done and each is not mine)

    def _make(self, batch: Sequence["_Newcomer"]) -> None:
        index = self._entries.index
        with index:
            fit = self._fit(batch)
            if fit:
                index.doubt(fit[0].info.id)  # one is enough: none of them has an entry that could be wrong
                placed = [each for each in fit if self._place(each)]
                self._sync(placed)
                if not any(each.error for each in fit):  # else it stays in doubt, and all files are looked at
                    with index.following():
                        for each in fit:
                            index.add(each.info)
        for each in batch:
            each.is_made = each.error is None

    def _fit(self, batch: Sequence["_Newcomer"]) -> list["_Newcomer"]:
        """Give them their names, and return those that can be made."""
        given: defaultdict[str, set[str]] = defaultdict(set)
        for each in batch:
            names = given[each.info.po_name]
            try:
                each.name(self._entries, names)
                if self._live.has(each.info.id) or self._trash.holds(each.info.id):
                    raise exists(each.info.id)
                each.data = each.written()
            except PromptObjectsError as error:
                each.error = error
            else:
                names.add(each.info.name)
        return [each for each in batch if each.error is None]

    def _place(self, newcomer: "_Newcomer") -> bool:
        path = self._live.file(newcomer.info.id)
        try:
            disk.put_file(path, [newcomer.data])
        except OSError as error:
            self._withdraw(newcomer, path, error)
        return newcomer.error is None

    def _sync(self, placed: Sequence["_Newcomer"]) -> None:
        try:
            disk.sync_folder(self._live.path)
        except OSError as error:
            for each in placed:
                self._withdraw(each, self._live.file(each.info.id), error)

    def _withdraw(self, newcomer: "_Newcomer", path: Path, error: OSError) -> None:
        newcomer.error = disk.failure("written", path, error)
        newcomer.error.__cause__ = error
        with suppress(OSError):  # it was never told to be there
            path.unlink()


class _Newcomer:
    """A session that is to be made, and what became of that."""

    def __init__(
        self, info: SessionInfo, metadata: dict[str, Any], history: Sequence[Message], *, numbered: bool
    ) -> None:
        self.info = info
        self.data = b""
        self.error: PromptObjectsError | None = None
        self.is_made = False
        self._metadata = metadata
        self._history = history
        self._numbered = numbered

    @property
    def is_done(self) -> bool:
        return self.is_made or self.error is not None

    def name(self, entries: Entries, given: Collection[str]) -> None:
        name = entries.name_for(self.info, numbered=self._numbered, given=given)
        self.info = replace(self.info, name=name)

    def written(self) -> bytes:
        updated_at = timestamp(self.info.updated_at)
        return b"".join(padded(document(head_of(self.info, self._metadata), self._history, updated_at)))
