"""A process that appends to sessions and prints the number of each acknowledged message.

    append_worker.py FOLDER NAME WRITER COUNT [LIMIT]

With LIMIT, no file can grow beyond this number of bytes, as on a full disk.
"""

import itertools
import resource
import signal
import sys
from pathlib import Path

from prompt_objects.errors import Conflict, NameTaken, StoreError
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def find_or_make(manager: SessionManager, name: str) -> Session:
    try:
        return manager.create(name)
    except NameTaken:
        return manager.get(name)


def append(session: Session, content: str) -> None:
    while True:
        try:
            return session.append({"role": "user", "content": content})
        except Conflict:
            session.refresh()


def main(folder: str, name: str, writer: str, count: str, limit: str = "") -> None:
    session = find_or_make(SessionManager(FileStore(Path(folder)), "reader"), name)
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    for number in itertools.islice(itertools.count(), int(count) or None):
        try:
            append(session, f"{writer} {number}")
        except StoreError as error:
            say(f"refused {error.hint}")
            return
        say(str(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
