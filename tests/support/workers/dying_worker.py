"""A process that is killed at its n-th write to a file: before, during or after it.

dying_worker.py FOLDER WHAT N before|during|after; WHAT names one of OPERATIONS; exits with 0 after fewer writes.
"""

import os
import signal
import sys
from pathlib import Path

from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore
from prompt_objects.utils import filesystem

real_pwrite = os.pwrite
left: list[str] = []  # one entry for each write before the kill, and a last one: when to kill


def pwrite(descriptor: int, data: bytes, start: int) -> int:
    if len(left) == 1:
        part = {"before": b"", "during": data[: len(data) // 2], "after": data}[left[0]]
        real_pwrite(descriptor, part, start)
        os.kill(os.getpid(), signal.SIGKILL)
    del left[:1]
    return real_pwrite(descriptor, data, start)


filesystem.pwrite = pwrite  # type: ignore[assignment]

OPERATIONS = {
    "use the first": lambda manager, infos: manager.get(infos[-1].id).append({"role": "user", "content": "x"}),
    "use another": lambda manager, infos: manager.get(infos[-9].id).append({"role": "user", "content": "x"}),
    "delete the first": lambda manager, infos: manager.delete(infos[-1].id),
    "delete another": lambda manager, infos: manager.delete(infos[-9].id),
    "create": lambda manager, infos: manager.create("Made", unique_name=True),
    "rename": lambda manager, infos: manager.rename(infos[-9].id, f"Renamed {'x' * 60} {os.getpid()}"),
}


def main(folder: str, what: str, number: str, when: str) -> None:
    manager = SessionManager(FileStore(Path(folder)), "reader")
    infos = manager.list()
    left.extend([""] * int(number) + [when])
    OPERATIONS[what](manager, infos)


if __name__ == "__main__":
    main(*sys.argv[1:])
