"""The user's trust in the code of environment folders.

A folder may come from another person. Its code runs only after the user trusted exactly these bytes; if they change,
trust must be given again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from prompt_objects.utils import filesystem as disk


def digest_of(files: Mapping[Path, bytes]) -> str:
    """Return a digest of the names and contents of files."""
    digest = hashlib.sha256()
    for file, content in sorted(files.items()):
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


class Trust:
    """The digests that the user trusts, by folder, in a file outside all environments."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of_user(cls) -> "Trust":
        from platformdirs import user_state_path

        return cls(user_state_path("prompt_objects", appauthor=False) / "trusted.json")

    def holds(self, folder: Path, digest: str) -> bool:
        """Return whether the digest is trusted; False if the trust file cannot be read."""
        return self._known().get(str(folder.resolve())) == digest

    def add(self, folder: Path, digest: str) -> None:
        """Trust a digest, in place of the one trusted before. Raises `StoreError`."""
        known = {**self._known(), str(folder.resolve()): digest}
        with disk.store_errors("written", self._file):
            disk.make_folder(self._file.parent)
            disk.replace_file(self._file, [json.dumps(known, indent=1).encode()])

    def _known(self) -> dict[str, object]:
        try:
            known = json.loads(disk.read_file(self._file))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}
