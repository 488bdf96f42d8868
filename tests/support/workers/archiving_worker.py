"""A process that alternately archives a session and appends to it, and prints each acknowledged message.

archiving_worker.py FOLDER ID
"""

import sys
from pathlib import Path

from prompt_objects.sessions.stores.file.store import FileStore


def main(folder: str, session_id: str) -> None:
    store = FileStore(Path(folder))
    count = store.load(session_id).info.message_count
    while True:
        store.archive(session_id)
        store.append(session_id, [{"role": "user", "content": count}], expected=count)
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()
        count += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
