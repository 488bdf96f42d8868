"""Creating sessions: threads that create sessions at the same time share the slow steps."""

from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from prompt_objects.errors import StoreError
from prompt_objects.sessions.info import SessionInfo, header_of
from prompt_objects.sessions.stores.errors import already_exists
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import document
from prompt_objects.sessions.stores.file.index_file import encoded
from prompt_objects.sessions.stores.file.index_sync import SessionIndex
from prompt_objects.sessions.stores.json_lines import pad_to_block
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp
from prompt_objects.utils.waiting import GaveUp, Mutex


class GroupCommit:
    """Creates the files and index entries of new sessions, for any number of threads.

    One thread at a time creates all waiting sessions, like the group commit of a database: with one lock of the
    index, one sync of the folder and one dirty mark. The other threads wait and find their sessions created.
    """

    def __init__(self, live: SessionDirectory, trash: SessionDirectory, entries: SessionIndex) -> None:
        self._live = live
        self._trash = trash
        self._entries = entries
        self._waiting: deque[_PendingSession] = deque()
        self._mutex = Mutex(f"the index of {live.path}")

    def create(
        self, info: SessionInfo, metadata: dict[str, Any], lines: Sequence[bytes], *, unique_name: bool
    ) -> SessionInfo:
        """Create a session of encoded messages, durably; its returned name may have a number added."""
        mine = _PendingSession(info, metadata, lines, unique_name)
        self._waiting.append(mine)
        try:
            with self._mutex:
                if not mine.is_done:
                    self._commit_all(mine)
        except GaveUp as error:
            if not mine.is_done:
                mine.refuse(error)  # so that no other thread creates it
        if mine.error:
            raise mine.error
        if not mine.is_done:
            raise StoreError(f"{mine.info.name} was not created.", hint="Try again.")
        return mine.info

    def _commit_all(self, mine: "_PendingSession") -> None:
        batch: list[_PendingSession] = []
        try:
            while self._waiting:
                batch.append(self._waiting.popleft())
            self._commit(batch)
        except GaveUp:  # only this thread
            raise
        except StoreError as error:  # the index cannot be used, by any of them
            for each in batch:
                each.refuse(_copy_of(error))
        finally:  # if this thread was interrupted, the others create their own
            self._waiting.extend(each for each in batch if not each.is_done and each is not mine)

    def _commit(self, batch: Sequence["_PendingSession"]) -> None:
        index = self._entries.index
        with index:
            accepted = self._prepare(batch)
            if not accepted:
                return
            index.mark_dirty(accepted[0].info.id)  # one is enough: none of them has an old entry
            try:
                self._sync([each for each in accepted if self._write_file(each)])
            except BaseException:  # an interruption: no caller knows of these files yet
                for each in accepted:
                    self._remove(each)
                raise
            for each in accepted:
                each.is_done = True
            # After an error the index stays dirty, and all files are compared.
            if not any(each.error for each in accepted):
                with index.committing():
                    for each in accepted:
                        index.add(each.info)

    def _prepare(self, batch: Sequence["_PendingSession"]) -> list["_PendingSession"]:
        names: defaultdict[str, set[str]] = defaultdict(set)
        ids: set[str] = set()
        for each in batch:
            try:
                each.take_name(self._entries, names[each.info.po_name])
                self._check_id(each.info.id, ids)
                each.encode()
            except OSError:  # of the folder, so all of them fail
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

    def _write_file(self, pending: "_PendingSession") -> bool:
        try:
            disk.replace_file(self._live.file(pending.info.id), [pending.data], sync_parent=False)
        except OSError as error:
            self._fail(pending, error)
        return pending.error is None

    def _sync(self, written: Sequence["_PendingSession"]) -> None:
        try:
            disk.sync_folder(self._live.path)
        except OSError as error:
            for each in written:
                self._fail(each, error)

    def _fail(self, pending: "_PendingSession", error: OSError) -> None:
        failure = disk.store_error("written", self._live.file(pending.info.id), error)
        failure.__cause__ = error
        pending.refuse(failure)
        self._remove(pending)

    def _remove(self, pending: "_PendingSession") -> None:
        with suppress(OSError):  # no caller knows of it
            self._live.file(pending.info.id).unlink()


@dataclass(eq=False)
class _PendingSession:
    info: SessionInfo
    metadata: dict[str, Any]
    lines: Sequence[bytes]
    unique_name: bool
    data: bytes = b""
    error: Exception | None = None
    is_done: bool = False

    def refuse(self, error: Exception) -> None:
        self.error = self.error or error
        self.is_done = True

    def take_name(self, entries: SessionIndex, given: Collection[str]) -> None:
        name = entries.name_for(self.info, make_unique=self.unique_name, given=given)
        self.info = replace(self.info, name=name)

    def encode(self) -> None:
        """Encode the file; raises the errors of encoding the entry, too."""
        encoded(self.info)
        updated_at = timestamp(self.info.updated_at)
        self.data = b"".join(pad_to_block(document(header_of(self.info, self.metadata), self.lines, updated_at)))


def _copy_of(error: StoreError) -> StoreError:
    """Return a copy of an error for one thread: a traceback belongs to one thread."""
    own = StoreError(str(error), hint=error.hint)
    own.__cause__ = error
    return own
