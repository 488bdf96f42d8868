"""A process that reads a session before each message, and writes only if no other process was faster.

    listing_worker.py FOLDER ID WRITER COUNT

Prints the number of its acknowledged messages.
"""

import sys
from contextlib import suppress
from pathlib import Path

from prompt_objects.errors import Conflict
from prompt_objects.sessions.stores.file.store import FileStore


def main(folder: str, session_id: str, writer: str, count: str) -> None:
    store = FileStore(Path(folder))
    acknowledged = 0
    for number in range(int(count)):
        known = store.load(session_id).info.message_count
        with suppress(Conflict):
            store.append(session_id, [{"role": "user", "content": f"{writer} {number}"}], expected=known)
            acknowledged += 1
    sys.stdout.write(str(acknowledged))


if __name__ == "__main__":
    main(*sys.argv[1:])
