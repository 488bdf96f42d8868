"""A program of a user who may read a folder of sessions but not write to it; prints its results and errors.

reading_worker.py FOLDER
"""

import os
import sys
from importlib import import_module
from pathlib import Path

from prompt_objects.errors import PromptObjectsError
from prompt_objects.sessions.formats.markdown import export
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore

NOBODY = 65534


def main(folder: str) -> None:
    for name in ("filelock", "uuid_utils"):  # while they can be read
        import_module(name)
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    manager = SessionManager(FileStore(Path(folder)), "reader")
    (info,) = manager.list()
    session = manager.get("notes")
    lines = [f"{info.name} {info.message_count}", session.history[0]["content"], export(session).splitlines()[0]]
    for work in (
        lambda: session.append({"role": "user", "content": "two"}),
        lambda: manager.create("Other"),
        lambda: manager.rename("Notes", "Other"),
        lambda: session.set_metadata({}),
        lambda: manager.delete("Notes"),
    ):
        try:
            work()
        except PromptObjectsError as error:
            lines.append(type(error).__name__)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
