"""Checking a file store for damage and leftovers, and repairing it."""

import json
import os
import re
import stat
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.sessions.info import SessionInfo, StoreIssue, is_id
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.file.archive import Archives
from prompt_objects.sessions.stores.file.archive_file import read_archive, unpack
from prompt_objects.sessions.stores.file.directory import SessionDirectory
from prompt_objects.sessions.stores.file.format import FOOTER_LENGTH, parse_canonical, parse_file
from prompt_objects.sessions.stores.file.frames import FileFrames
from prompt_objects.sessions.stores.file.index_sync import SessionIndex
from prompt_objects.sessions.stores.file.leases import Leases
from prompt_objects.sessions.stores.file.permissions import open_to_others
from prompt_objects.sessions.stores.file.recovery import recover
from prompt_objects.sessions.stores.file.session_file import FileCache
from prompt_objects.sessions.stores.file.trash import Trash
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import pluralize, quoted

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")
_INDEX = "index.json"
_ABANDONED_SECONDS = 60  # nobody writes any more to a file that is unchanged for so long
_INDEX_ERRORS = (ValueError, KeyError, TypeError, RecursionError, msgspec.MsgspecError)
_COMPARISONS, _PAUSE = 3, 0.05  # during a write, a session may differ from its entry


@dataclass
class StoreCheck:
    """One check of a file store; with `repair`, each issue is repaired when it is found.

    `update` is that of the store.
    """

    live: SessionDirectory
    trash: Trash
    files: FileCache
    archives: Archives
    entries: SessionIndex
    leases: Leases
    frames: FileFrames
    update: Callable[..., object]
    repair: bool
    _copies: set[str] = field(default_factory=set)  # live sessions with the id of another one in their file

    def issues(self) -> Iterator[StoreIssue]:
        """Yield all issues, in the order of their repair: files first, then the index and names."""
        for folder in (self.live, self.trash):
            yield from self._leftovers(folder)
            for session_id in sorted(folder.ids()):
                yield from self._session_issues(folder, session_id)
        yield from self._frame_leftovers()
        yield from self._duplicate_ids()
        yield from self._index_issues()
        yield from self._duplicate_names()
        yield from self._lease_issues()
        yield from self._permission_issues()

    def _issue(
        self, place: Path, problem: str, remedy: str, repair: Callable[[], object], session_id: str | None = None
    ) -> StoreIssue:
        """Return an issue, repaired if it should be; if the repair fails, the remedy says so."""
        repaired = False
        if self.repair:
            try:
                repair()
                repaired = True
            except (OSError, StoreError, NotFound) as error:
                remedy = f"{remedy} That failed: {error}"
        return StoreIssue(place=str(place), problem=problem, remedy=remedy, session_id=session_id, repaired=repaired)

    def _rewrite(self, session_id: str, *, trashed: bool) -> None:
        """Rewrite the file or archive of a session in canonical form."""
        if trashed:
            self.trash.repair(session_id)
        elif not self.live.file(session_id).exists():
            self.archives.update(self.live.archive(session_id), None, None)
        else:
            with self.files.get(session_id) as file:
                file.repair()
            self.archives.drop_leftover(file)

    def _reindex(self, session_id: str) -> None:
        """Correct the entry of a session from its file; without a file, remove it."""
        try:
            self.files.with_file_or_archive(session_id, self.entries.refresh, self.archives.load)
        except NotFound:
            self.entries.remove(session_id)

    # Files

    def _leftovers(self, folder: SessionDirectory) -> Iterator[StoreIssue]:
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(folder.path)):  # noqa: PTH208 - only names are needed
                path = folder.path / name
                if (of := _TEMPORARY.fullmatch(name)) and _is_abandoned(path):
                    yield self._issue(
                        path,
                        "Left behind by a write that was interrupted.",
                        "The file is removed. Content that is nowhere else is saved in a .corrupt file.",
                        partial(_remove_temporary, path, folder.path / of[1]),
                    )
                elif name.endswith((".json", ".json.gz")) and name != _INDEX and not is_id(name.partition(".")[0]):
                    problem = "It is not listed: its name is not the id of a session."
                    yield StoreIssue(
                        place=str(path), problem=problem, remedy="Name it after its id, or move it away."
                    )

    def _frame_leftovers(self) -> Iterator[StoreIssue]:
        for path in filter(_is_abandoned, self.frames.leftovers()):
            problem = "Left behind by a write that was interrupted."
            yield self._issue(
                path, problem, "The file is removed; a complete frame is kept.", partial(self.frames.settle, path)
            )

    def _session_issues(self, folder: SessionDirectory, session_id: str) -> Iterator[StoreIssue]:
        is_trashed = folder is self.trash
        path, packed = folder.file(session_id), folder.archive(session_id)
        try:
            if not os.path.lexists(path):
                if not read_archive(packed).whole:
                    self._note_copied_file(folder, session_id, unpack(packed)[0])
                    remedy = "Readable messages are kept; the damaged archive is saved as .corrupt.gz."
                    yield self._file_issue(packed, "The archive is damaged.", remedy, session_id, trashed=is_trashed)
                return
            if not stat.S_ISREG(path.lstat().st_mode):
                problem = "A folder or a link has the path of a session file."
                yield StoreIssue(place=str(path), problem=problem, remedy="Move it away.", session_id=session_id)
                return
            data = disk.read_file(path)
            if problem := _file_problem(path, data):
                self._note_copied_file(folder, session_id, data)
                remedy = "All complete messages are kept; unreadable content is saved in a .corrupt file."
                yield self._file_issue(path, problem, remedy, session_id, trashed=is_trashed)
            if os.path.lexists(packed):
                remedy = "The .json file is used; an archive with other messages is saved as .corrupt.gz."
                yield self._file_issue(packed, "An archive beside the file.", remedy, session_id, trashed=is_trashed)
        except (FileNotFoundError, NotFound):  # deleted just now
            return
        except OSError as error:
            problem = str(disk.store_error("read", path, error))
            yield StoreIssue(place=str(path), problem=problem, remedy="Check its permissions.", session_id=session_id)

    def _note_copied_file(self, folder: SessionDirectory, session_id: str, data: bytes) -> None:
        """Note a file that was copied by hand, before a repair changes the id in it."""
        if folder is self.live and recover(data, FOOTER_LENGTH).header.get("id", session_id) != session_id:
            self._copies.add(session_id)

    def _file_issue(self, path: Path, problem: str, remedy: str, session_id: str, *, trashed: bool) -> StoreIssue:
        return self._issue(path, problem, remedy, lambda: self._rewrite(session_id, trashed=trashed), session_id)

    def _duplicate_ids(self) -> Iterator[StoreIssue]:
        for session_id in sorted(self.live.ids() & self.trash.ids()):
            if not (self.live.has_file(session_id) and self.trash.has_file(session_id)):
                continue
            yield self._issue(
                self.trash.path / f"{session_id}.json",
                "A session in the trash has the id of one that is not.",
                "The one in the trash gets an id of its own.",
                partial(self.trash.give_new_id, session_id),
                session_id,
            )

    # The index, names and leases

    def _index_issues(self) -> Iterator[StoreIssue]:
        path = self.live.path / "index.json"
        try:
            entries = _entries_in(disk.read_file(path))
        except FileNotFoundError:
            return  # it is created on the first use
        except (OSError, *_INDEX_ERRORS):  # a folder may have its name
            remedy = "It is rebuilt from the session files."
            yield self._issue(path, "The index cannot be read.", remedy, self.entries.rebuild)
            return
        entry_counts = Counter(entry.id for entry in entries)
        if any(times > 1 for times in entry_counts.values()):
            twice = sorted(session_id for session_id, times in entry_counts.items() if times > 1)
            problem = f"The index has more than one entry for {', '.join(twice)}."
            yield self._issue(path, problem, "It is rebuilt from the session files.", self.entries.rebuild)
        for session_id, problem in self._differences(path, entries).items():
            remedy = "The entry is updated from the file."
            yield self._issue(path, problem, remedy, partial(self._reindex, session_id), session_id)

    def _differences(self, index: Path, entries: list[SessionInfo]) -> dict[str, str]:
        """Return how entries differ from their files, by session; without those that differ only for a moment."""
        found = dict.fromkeys(sorted({entry.id for entry in entries} | self.live.ids()), "")
        for attempt in range(_COMPARISONS):
            if attempt:
                time.sleep(_PAUSE)
                with suppress(OSError, *_INDEX_ERRORS):  # it may be changing now
                    entries = _entries_in(disk.read_file(index))
            known = {entry.id: entry for entry in entries}
            compared = ((each, _difference(known.get(each), self._info(each))) for each in found)
            found = {session_id: difference for session_id, difference in compared if difference}
            if not found:
                break
        return found

    def _info(self, session_id: str) -> SessionInfo | None:
        return next((info for info, _ in self.live.infos([session_id])), None)

    def _duplicate_names(self) -> Iterator[StoreIssue]:
        """Give numbers to sessions of the same name; a file that was copied by hand comes last."""
        infos = [info for info, _ in self.live.infos(self.live.ids())]
        names: defaultdict[str, set[str]] = defaultdict(set)
        for info in infos:
            names[info.po_name].add(info.name)
        seen: set[tuple[str, str]] = set()
        for info in sorted(infos, key=lambda info: (info.id in self._copies, info.id)):
            if (info.po_name, info.name) in seen:
                free = unique_name(info.name, names[info.po_name])
                yield self._issue(
                    self.live.file(info.id),
                    f"Another session of {info.po_name} is called {quoted(info.name)} as well.",
                    f"This one is called {quoted(free)}.",
                    partial(self.update, info.id, name=free),
                    info.id,
                )
                names[info.po_name].add(free)
            seen.add((info.po_name, info.name))

    def _lease_issues(self) -> Iterator[StoreIssue]:
        for lease in self.leases.abandoned():
            problem = "A lease of a process that has ended."
            yield self._issue(lease.path, problem, "It is removed.", lease.release)

    def _permission_issues(self) -> Iterator[StoreIssue]:
        """Report what `git clone` or `cp` opened to other users; the first write takes their rights as well."""
        if paths := list(open_to_others(self.live.path.parent)):
            files = pluralize(sum(path.is_file() for path in paths), "file")
            problem = f"Other users may read this folder and {files} in it."
            yield self._issue(paths[0], problem, "Their rights are removed.", partial(_make_private, paths))


def _make_private(paths: list[Path]) -> None:
    for path in paths:
        disk.make_private(path)


def _remove_temporary(path: Path, target: Path) -> None:
    """Remove a temporary file; content that is nowhere else goes into a `.corrupt` file."""
    session_id = target.name.partition(".")[0]
    if is_id(session_id):
        data = disk.read_file(path)
        with suppress(FileNotFoundError):
            if data in disk.read_file(target):
                data = b""
        if data.strip(b"\0"):
            disk.append_once(target.with_name(f"{session_id}.corrupt"), data)
    path.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - path.lstat().st_mtime > _ABANDONED_SECONDS
    return False


def _file_problem(path: Path, data: bytes) -> str:
    """Return the problem of a session file; empty if there is none."""
    if not data.strip(b"\0 \t\r\n"):
        return "The file is empty." if not data else "The file contains only NUL bytes or whitespace."
    found = parse_file(path, data)
    messages = pluralize(found.info.message_count, "whole message")
    if parse_canonical(path, data):
        try:
            found.read(0, sys.maxsize)
        except ValueError:
            return "A message in it cannot be read."
        return ""
    if found.whole:
        return f"The file is valid, but not in canonical form; it holds {messages}."
    return f"The file is cut off or damaged; it holds {messages}."


def _difference(entry: SessionInfo | None, info: SessionInfo | None) -> str:
    """Return how an index entry differs from the info in the file; empty if it does not."""
    if info == entry:
        return ""
    if entry is None:
        return "A session file has no index entry."
    if info is None:
        return f"The index knows a session {quoted(entry.name)} that has no file."
    return f"The index entry of {quoted(info.name)} differs from its file."


def _entries_in(data: bytes) -> list[SessionInfo]:
    return msgspec.convert(json.loads(data)["sessions"], list[SessionInfo])
