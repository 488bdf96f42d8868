"""Request frames in files, named by their digests."""

import os
import secrets
import stat
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from prompt_objects.sessions.stores.frames import RENEW, checked_frame, digest_of, is_digest, unreadable_frame
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.resources import raise_if_exhausted

_SUFFIX = ".json"
_Identity: TypeAlias = tuple[int, int, int]


class FileFrames:
    """The request frames in a folder. The modification time of a file is the last use of its frame.

    With `read_only`, methods that write raise `StoreError`.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self._read_only = read_only
        self._compared: dict[str, _Identity] = {}  # files with the right content, by digest

    def keep(self, frame: bytes) -> str:
        digest = digest_of(frame)
        path = self._file(digest)
        with disk.store_errors("written", path):
            self._require_writable()
            if not self._is_kept(path, digest, frame):
                disk.make_folder(self.folder)
                disk.refuse_link(self.folder)
                disk.replace_file(path, [frame])
                with suppress(FileNotFoundError):  # removed just now
                    self._compared[digest] = _identity(path.lstat())
        return digest

    def _require_writable(self) -> None:
        if self._read_only:
            raise disk.opened_for_reading()

    def _is_kept(self, path: Path, digest: str, frame: bytes) -> bool:
        """Return whether a frame has its file, durably; renew the time of its use if that is long ago."""
        try:
            status = path.lstat()
            if self._compared.get(digest) != _identity(status):
                disk.refuse_link(self.folder)
                if disk.read_file(path) != frame:
                    return False
                disk.make_private(path)
                disk.sync_folder(self.folder)  # another process may have written it just now
                self._compared[digest] = _identity(status)
            if not timedelta(0) <= _age(status) < RENEW:
                os.utime(path)
        except OSError:  # missing, removed just now, or not readable: writing shows why
            return False
        return True

    def get(self, digest: str) -> bytes:
        disk.refuse_link(self.folder)
        try:
            return checked_frame(digest, self._find(digest) if is_digest(digest) else None)
        except OSError as error:
            raise_if_exhausted(error)
            raise unreadable_frame(digest) from error

    def _find(self, digest: str) -> bytes | None:
        """Return the content of a file, also if a removal has renamed it, or is giving it back its name."""
        for _ in range(2):  # the first may come between the two names
            with suppress(FileNotFoundError):
                return disk.read_file(self._file(digest))
            for path in self.folder.glob(f".{digest}{_SUFFIX}.*.tmp"):
                with suppress(OSError):
                    if digest_of(content := disk.read_file(path)) == digest:
                        return content
        return None

    def remove(self, digest: str, *, unused_for: timedelta) -> bool:
        if not is_digest(digest):
            return False
        # Renamed first: a writer either renewed the time before, which is seen, or finds the file missing.
        path = self._file(digest)
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        disk.refuse_link(self.folder)
        with disk.store_errors("removed", path):
            self._require_writable()
            try:
                path.rename(aside)
                if is_used := _age(aside.lstat()) < unused_for:
                    aside.replace(path)
                else:
                    aside.unlink()
            except FileNotFoundError:  # another process has removed it, or a repair has kept it
                return False
        return not is_used

    def leftovers(self) -> list[Path]:
        """Return the temporary files of writes and removals that were interrupted."""
        disk.refuse_link(self.folder)
        return sorted(self.folder.glob(f".*{_SUFFIX}.*.tmp"))

    def settle(self, leftover: Path) -> None:
        """Remove a temporary file; its frame is kept if the file is complete. Raises `StoreError`."""
        with disk.store_errors("removed", leftover):
            content = disk.read_file(leftover)
            if leftover.name.startswith(f".{digest_of(content)}{_SUFFIX}"):
                self.keep(content)
            leftover.unlink()

    def list(self) -> dict[str, timedelta]:
        disk.refuse_link(self.folder)
        found: dict[str, timedelta] = {}
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    digest = entry.name.removesuffix(_SUFFIX)
                    if digest != entry.name and is_digest(digest):
                        with suppress(FileNotFoundError):  # removed just now
                            status = entry.stat(follow_symlinks=False)
                            if stat.S_ISREG(status.st_mode):
                                found[digest] = _age(status)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise disk.store_error("read", self.folder, error) from error
        return found

    def _file(self, digest: str) -> Path:
        return self.folder / f"{digest}{_SUFFIX}"


def _identity(status: os.stat_result) -> _Identity:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _age(status: os.stat_result) -> timedelta:
    return timedelta(seconds=time.time() - status.st_mtime)
