"""Repairs a file store and kills itself at its n-th change of the disk: repairing_worker.py FOLDER N."""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from prompt_objects.sessions.stores.file.store import FileStore

_COUNTER = count(1)


def dying(call: Callable[..., Any], dies_at: int) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        if next(_COUNTER) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)

    return counted


def main() -> None:
    for name in ("write", "pwrite", "replace", "rename", "unlink", "fsync", "fdatasync"):
        setattr(os, name, dying(getattr(os, name), int(sys.argv[2])))
    FileStore(Path(sys.argv[1])).check(repair=True)


main()
