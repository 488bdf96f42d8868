"""What a person trusted: code in an environment's folder that runs as soon as it is loaded.

A folder that came from elsewhere may hold such code. It is run only after the person said so, for just the bytes that
were there then: where they change, it is asked for again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from prompt_objects.errors import StoreError
from prompt_objects.utils import filesystem as disk

__all__ = [
    "Trust",
    "digest_of",
]


def digest_of(files: Mapping[Path, bytes]) -> str:
    """Return what stands for these files with just these contents."""
    digest = hashlib.sha256()
    for file, content in sorted(files.items()):
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


class Trust:
    """The digests that a person trusted, by folder, in a file outside of all environments."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of_user(cls) -> "Trust":
        """Return what the person who runs the program trusts."""
        from platformdirs import user_state_path

        return cls(user_state_path("prompt_objects", appauthor=False) / "trusted.json")

    def holds(self, folder: Path, digest: str) -> bool:
        """Say whether what the digest stands for was trusted; a file that cannot be read trusts nothing."""
        return self._known().get(str(folder.resolve())) == digest

    def add(self, folder: Path, digest: str) -> None:
        """Trust it from now on, in place of what was trusted there before. Raises `StoreError`."""
        known = {**self._known(), str(folder.resolve()): digest}
        try:
            disk.make_folder(self._file.parent)
            disk.replace_file(self._file, [json.dumps(known, indent=1).encode()])
        except OSError as error:
            raise StoreError(f"{self._file} could not be written: {error.strerror}.") from error

    def _known(self) -> dict[str, object]:
        try:
            known = json.loads(disk.read_file(self._file))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}
