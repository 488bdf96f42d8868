"""Request frames in files, named by their digests."""

import os
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from prompt_objects.sessions.stores.frames import RENEW, checked_frame, digest_of, is_digest
from prompt_objects.utils import filesystem as disk

_SUFFIX = ".json"


class FileFrames:
    """The request frames in a folder. The modification time of a file is the last use of its frame.

    With `read_only`, methods that write raise `StoreError`.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self._read_only = read_only
        self._compared: set[str] = set()  # digests of files with the right content

    def keep(self, frame: bytes) -> str:
        digest = digest_of(frame)
        path = self._file(digest)
        with disk.store_errors("written", path):
            self._require_writable()
            if not self._is_kept(path, digest, frame):
                disk.make_folder(self.folder)
                disk.refuse_link(self.folder)
                disk.replace_file(path, [frame])
                self._compared.add(digest)
        return digest

    def _require_writable(self) -> None:
        if self._read_only:
            raise disk.opened_for_reading()

    def _is_kept(self, path: Path, digest: str, frame: bytes) -> bool:
        """Return whether a frame has its file; renew the time of its use if that is long ago."""
        try:
            status = path.lstat()
            if digest not in self._compared:
                disk.refuse_link(self.folder)
                if disk.read_file(path) != frame:
                    return False
                disk.make_private(path)
                self._compared.add(digest)
            if status.st_size != len(frame):
                return False
            if not 0 <= time.time() - status.st_mtime < RENEW.total_seconds():
                os.utime(path, follow_symlinks=False)
        except OSError:  # missing, removed just now, or not readable: writing shows why
            return False
        return True

    def get(self, digest: str) -> bytes:
        path = self._file(digest)
        disk.refuse_link(self.folder)
        try:
            return checked_frame(digest, disk.read_file(path) if is_digest(digest) else None)
        except FileNotFoundError:
            return checked_frame(digest, None)
        except OSError as error:
            raise disk.store_error("read", path, error) from error

    def remove(self, digest: str, *, unused_since: datetime) -> bool:
        # Renamed first: a writer either renewed the time before, which is seen, or finds the file missing.
        path = self._file(digest)
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        with disk.store_errors("removed", path):
            self._require_writable()
            try:
                path.rename(aside)
            except FileNotFoundError:
                return False
            if _last_use(aside.lstat()) >= unused_since:
                aside.replace(path)
                return False
            aside.unlink()
        return True

    def leftovers(self) -> list[Path]:
        """Return the temporary files of writes and removals that were interrupted."""
        return sorted(self.folder.glob(f".*{_SUFFIX}.*.tmp"))

    def settle(self, leftover: Path) -> None:
        """Remove a temporary file; its frame is kept if the file is complete. Raises `StoreError`."""
        with disk.store_errors("removed", leftover):
            content = disk.read_file(leftover)
            if leftover.name.startswith(f".{digest_of(content)}{_SUFFIX}"):
                self.keep(content)
            leftover.unlink()

    def list(self) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    digest = entry.name.removesuffix(_SUFFIX)
                    if digest != entry.name and is_digest(digest):
                        with suppress(FileNotFoundError):  # removed just now
                            found[digest] = _last_use(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise disk.store_error("read", self.folder, error) from error
        return found

    def _file(self, digest: str) -> Path:
        return self.folder / f"{digest}{_SUFFIX}"


def _last_use(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)
