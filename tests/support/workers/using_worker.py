"""A process that uses sessions until it is killed, the longest unused first, so that their entries move.

using_worker.py FOLDER
"""

import sys
from contextlib import suppress
from pathlib import Path

from prompt_objects.errors import Conflict
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore


def main(folder: str) -> None:
    manager = SessionManager(FileStore(Path(folder)), "reader")
    infos = manager.list()
    sys.stdout.write("started\n")
    sys.stdout.flush()
    while True:
        for info in reversed(infos):
            with suppress(Conflict):  # the other one was quicker
                manager.get(info.id).append({"role": "user", "content": "x"})


if __name__ == "__main__":
    main(*sys.argv[1:])
