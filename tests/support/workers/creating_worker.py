"""A process whose threads create sessions with the same name until it is killed, and print each.

creating_worker.py FOLDER
"""

import os
import sys
from pathlib import Path
from threading import Thread

from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore

THREADS = 6


def make(manager: SessionManager) -> None:
    while True:
        session = manager.draft("Same")
        session.append({"role": "user", "content": "x"})
        os.write(sys.stdout.fileno(), f"{session.id} {session.name}\n".encode())  # in one piece


def main(folder: str) -> None:
    manager = SessionManager(FileStore(Path(folder)), "reader")
    for _ in range(THREADS):
        Thread(target=make, args=(manager,)).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
