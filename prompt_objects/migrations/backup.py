"""The backup of one migration: exact copies of the files that it changes, and the data that it skipped."""

import json
import os
from collections.abc import Iterable, Mapping
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from prompt_objects.migrations.change import FileChange, Skipped
from prompt_objects.migrations.progress import OriginalFile
from prompt_objects.utils import filesystem as disk


class OriginalFiles:
    """A folder of copies, created with the first one; methods raise `OSError`."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self._root = root

    def plan(self, changes: Iterable[FileChange], earlier: Mapping[str, OriginalFile]) -> dict[str, OriginalFile]:
        """Return the copy of each file by its path; `earlier` is the plan of an interrupted run."""
        plan = dict(earlier)
        for change in changes:
            relative = self._relative(change.before.path)
            plan[relative] = self._plan_copy(relative, change, earlier.get(relative))
        return plan

    def _plan_copy(self, relative: str, change: FileChange, earlier: OriginalFile | None) -> OriginalFile:
        after = None if change.after is None else sha256(change.after).hexdigest()
        if earlier and sha256(change.before.data).hexdigest() == earlier.after:
            return OriginalFile(earlier.copy, earlier.mode, after)  # the copy has the original content
        copy, number = f"files/{relative}", 2
        while (path := self.folder / copy).exists() and path.read_bytes() != change.before.data:
            # The user changed the file after an interruption.
            copy, number = f"files/{relative}.{number}", number + 1
        return OriginalFile(copy, change.before.mode, after)

    def copy_files(self, changes: Iterable[FileChange], plan: Mapping[str, OriginalFile]) -> None:
        """Copy the files as they were read, durably, with their modification times."""
        for change in changes:
            copy = self.folder / plan[self._relative(change.before.path)].copy
            if not copy.exists():
                disk.make_folder(copy.parent)
                disk.replace_file(copy, [change.before.data])
            if copy.read_bytes() == change.before.data:
                os.utime(copy, ns=(change.before.mtime_ns, change.before.mtime_ns))

    def save_skipped(self, skipped: Iterable[Skipped]) -> None:
        """Add skipped data to `set-aside.json`, without duplicates."""
        path = self.folder / "set-aside.json"
        saved: list[Any] = json.loads(disk.read_file(path)) if path.exists() else []
        new = [each for each in map(asdict, skipped) if each not in saved]
        if new:
            disk.make_folder(self.folder)
            disk.replace_file(path, [json.dumps([*saved, *new], indent=1).encode(), b"\n"])

    def restore(self, files: Mapping[str, OriginalFile]) -> None:
        """Restore files, except those that changed since the migration wrote them."""
        for relative, original in files.items():
            path = self._root / relative
            copy = self.folder / original.copy
            if copy.exists() and _hash_of(path) == original.after:
                disk.replace_file(path, [disk.read_file(copy)])
                path.chmod(original.mode)
                moment = copy.stat().st_mtime_ns
                os.utime(path, ns=(moment, moment))

    def clean_up(self, files: Mapping[str, OriginalFile]) -> None:
        """Set the permissions of changed files, and remove temporary files of a killed migration."""
        for relative, original in files.items():
            path = self._root / relative
            for half_written in (path, self.folder / original.copy):
                for leftover in half_written.parent.glob(f".{escape(half_written.name)}.*.tmp"):
                    leftover.unlink(missing_ok=True)
            if original.after and _hash_of(path) == original.after:
                path.chmod(original.mode)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _hash_of(path: Path) -> str | None:
    return sha256(path.read_bytes()).hexdigest() if path.exists() else None
