"""The log of repairs and losses in a folder of session files, which `doctor` shows later."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import timestamp

_MAX_BYTES = 1_000_000


class RepairLog:
    """Reports each repair to `notify` and, unless it is `read_only`, in a file with one JSON object per line."""

    def __init__(self, path: Path, notify: Callable[[str], None], *, read_only: bool = False) -> None:
        self.path = path
        self._notify = notify
        self._read_only = read_only

    def report(self, text: str) -> None:
        """Notify the user, and write the report to the file if that is possible."""
        self._notify(text)
        if self._read_only:
            return
        with suppress(OSError):
            if not self.path.exists() or self.path.stat().st_size < _MAX_BYTES:
                line = json.dumps({"at": timestamp(), "text": text})
                disk.append_once(self.path, line.encode() + b"\n")

    def entries(self) -> Iterator[str]:
        """Yield each report with its time; nothing if the file cannot be read."""
        with suppress(OSError):
            for line in disk.read_file(self.path).splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    yield f"{entry['at'][:16]}Z: {entry['text']} (from {self.path})"


def set_aside(folder: Path) -> Iterator[str]:
    """Describe the files in which repairs kept content that they could not read."""
    for path in sorted(folder.glob("*.corrupt*")):
        with suppress(OSError):
            yield f"{path} has content that could not be read ({path.lstat().st_size:,} B)."
