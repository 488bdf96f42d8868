"""Making sessions: threads that make some at the same moment share what takes longest of it."""

import threading
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from prompt_objects.errors import StoreError
from prompt_objects.sessions.info import SessionInfo, header_of
from prompt_objects.sessions.stores.errors import already_exists
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import document_of, pad_to_block
from prompt_objects.sessions.stores.file.index_file import encoded
from prompt_objects.sessions.stores.file.index_sync import SessionIndex
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp

__all__ = [
    "GroupCommit",
]


class GroupCommit:
    """Makes the files of new sessions, and their entries, for any number of threads.

    One thread at a time makes all that wait by then, as databases commit in groups: under one lock of the index, with
    one sync of the folder and one note of what is in doubt. The others wait for it, and find theirs made.
    """

    def __init__(self, live: SessionDirectory, trash: SessionDirectory, entries: SessionIndex) -> None:
        self._live = live
        self._trash = trash
        self._entries = entries
        self._waiting: deque[_PendingSession] = deque()
        self._making = threading.Lock()

    def create(
        self, info: SessionInfo, metadata: dict[str, Any], lines: Sequence[bytes], *, numbered: bool
    ) -> SessionInfo:
        """Make a session of encoded messages, durably; return its info, whose name may have got a number."""
        mine = _PendingSession(info, metadata, lines, numbered=numbered)
        self._waiting.append(mine)
        with self._making:
            if not mine.is_done:
                self._make_all(mine)
        if mine.error:
            raise mine.error
        if not mine.is_done:
            raise StoreError(f"{mine.info.name} was not made.", hint="Try again.")
        return mine.info

    def _make_all(self, mine: "_PendingSession") -> None:
        batch: list[_PendingSession] = []
        try:
            while self._waiting:
                batch.append(self._waiting.popleft())
            self._make(batch)
        except StoreError as error:  # the index is not to be had, for none of them
            for each in batch:
                each.refuse(_own(error))
        finally:  # where this thread was interrupted, the others see to theirs themselves
            self._waiting.extend(each for each in batch if not each.is_done and each is not mine)

    def _make(self, batch: Sequence["_PendingSession"]) -> None:
        index = self._entries.index
        with index:
            fit = self._fit(batch)
            if not fit:
                return
            index.mark_dirty(fit[0].info.id)  # one is enough: none of them has an entry that could be wrong
            try:
                self._sync([each for each in fit if self._place(each)])
            except BaseException:  # an interruption: nobody was told of what stands there
                for each in fit:
                    self._remove(each)
                raise
            for each in fit:
                each.is_done = True
            if not any(each.error for each in fit):  # else it stays in doubt, and all files are looked at
                with index.committing():
                    for each in fit:
                        index.add(each.info)

    def _fit(self, batch: Sequence["_PendingSession"]) -> list["_PendingSession"]:
        """Give them their names, and return those that can be made."""
        names: defaultdict[str, set[str]] = defaultdict(set)
        ids: set[str] = set()
        for each in batch:
            try:
                each.take_name(self._entries, names[each.info.po_name])
                self._check_id(each.info.id, ids)
                each.write_down()
            except OSError:  # of the folder, and so of all of them
                raise
            except Exception as error:  # noqa: BLE001 - it is raised again, in the thread that it concerns
                each.refuse(error)
            else:
                names[each.info.po_name].add(each.info.name)
                ids.add(each.info.id)
        return [each for each in batch if not each.is_done]

    def _check_id(self, session_id: str, given: Collection[str]) -> None:
        if session_id in given or self._live.has(session_id) or self._trash.has_file(session_id):
            raise already_exists(session_id)

    def _place(self, newcomer: "_PendingSession") -> bool:
        try:
            disk.replace_file(self._live.file(newcomer.info.id), [newcomer.data], with_folder=False)
        except OSError as error:
            self._withdraw(newcomer, error)
        return newcomer.error is None

    def _sync(self, placed: Sequence["_PendingSession"]) -> None:
        try:
            disk.sync_folder(self._live.path)
        except OSError as error:
            for each in placed:
                self._withdraw(each, error)

    def _withdraw(self, newcomer: "_PendingSession", error: OSError) -> None:
        failure = disk.store_error("written", self._live.file(newcomer.info.id), error)
        failure.__cause__ = error
        newcomer.refuse(failure)
        self._remove(newcomer)

    def _remove(self, newcomer: "_PendingSession") -> None:
        with suppress(OSError):  # it was never told to be there
            self._live.file(newcomer.info.id).unlink()


class _PendingSession:
    """A session that is to be made, and what became of that."""

    def __init__(
        self, info: SessionInfo, metadata: dict[str, Any], lines: Sequence[bytes], *, numbered: bool
    ) -> None:
        self.info = info
        self.data = b""
        self.error: Exception | None = None
        self.is_done = False
        self._metadata = metadata
        self._lines = lines
        self._numbered = numbered

    def refuse(self, error: Exception) -> None:
        self.error = self.error or error
        self.is_done = True

    def take_name(self, entries: SessionIndex, given: Collection[str]) -> None:
        name = entries.name_for(self.info, numbered=self._numbered, given=given)
        self.info = replace(self.info, name=name)

    def write_down(self) -> None:
        """Know what is to be in the file; raises what the entry could not be written for, too."""
        encoded(self.info)
        updated_at = timestamp(self.info.updated_at)
        self.data = b"".join(pad_to_block(document_of(header_of(self.info, self._metadata), self._lines, updated_at)))


def _own(error: StoreError) -> StoreError:
    """Return an error for a thread of its own: each adds to it where it passes."""
    own = StoreError(str(error), hint=error.hint)
    own.__cause__ = error
    return own
