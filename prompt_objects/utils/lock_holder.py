"""The process that holds the lock of a file, in words for the user."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_STATES = {"T": ", which is stopped", "t": ", which is stopped", "D": ", which waits for a disk"}

if sys.platform == "linux":

    def lock_holder(descriptor: int) -> str:
        """Return "process 1234", with its state if it cannot run, or else "another process"."""
        with suppress(OSError, ValueError, IndexError):
            status = os.fstat(descriptor)
            file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
            for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
                _, kind, _, _, process, locked = line.split()[:6]  # a line of a waiting process has one word more
                if kind == "FLOCK" and locked == file and int(process) > 0:
                    return f"process {process}{_state(process)}"
        return "another process"

    def _state(process: str) -> str:
        with suppress(OSError):
            text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
            return _STATES.get(text.rpartition(")")[2].split()[0], "")
        return ""
else:

    def lock_holder(_descriptor: int) -> str:
        """Return "another process": this system does not say which."""
        return "another process"
