"""A process that deletes, restores, renames and makes sessions for as long as it lives.

moving_worker.py FOLDER ID
"""

import sys
from contextlib import suppress
from pathlib import Path

from prompt_objects.errors import NameTaken, NotFound
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.files import FileStore


def main(folder: str, session_id: str) -> None:
    manager = SessionManager(FileStore(Path(folder)), "reader")
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    while True:
        for work in (
            lambda: manager.delete(session_id),
            lambda: manager.restore(session_id),
            lambda: manager.create("Made"),
            lambda: manager.rename(session_id, "Precious again"),
            lambda: manager.rename("Made", "Made again"),
            lambda: manager.rename(session_id, "Precious"),
            lambda: manager.delete("Made again"),
        ):
            with suppress(NameTaken, NotFound):
                work()


if __name__ == "__main__":
    main(*sys.argv[1:])
