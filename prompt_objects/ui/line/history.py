"""What was typed before, kept across runs for the person alone."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import FileHistory

__all__ = [
    "TypedHistory",
]


class TypedHistory(FileHistory):
    """prompt_toolkit's file of lines; where it cannot be read or written, the lines of this run are still there."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._file = file

    def load_history_strings(self) -> Iterable[str]:
        """Return what was typed, the latest first."""
        with suppress(OSError):
            if self._is_usable():
                return list(super().load_history_strings())
        return []

    def store_string(self, string: str) -> None:
        """Keep a line."""
        with suppress(OSError):
            if self._is_usable():
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self._file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
                super().store_string(string)

    def _is_usable(self) -> bool:
        """Whether it is an ordinary file, or none yet: to open a pipe would wait for its other end."""
        return self._file.is_file() or not self._file.exists()
