"""A process that holds the lease of a session until it ends; with `fork`, a child of it keeps running.

lease_worker.py FOLDER ID [fork]
"""

import os
import sys
import time
from pathlib import Path

from prompt_objects.sessions.stores.file.store import FileStore
from prompt_objects.sessions.stores.lease import ProcessInfo


def main(folder: str, session_id: str, *fork: str) -> None:
    store = FileStore(Path(folder))
    lease = store.lease(session_id, ProcessInfo.current("ann"))
    child = os.fork() if fork else None
    if child == 0:
        lease.release()  # it is the parent's, so that this does nothing
    else:
        sys.stdout.write(f"{child or os.getpid()}\n")
        sys.stdout.flush()
    time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
