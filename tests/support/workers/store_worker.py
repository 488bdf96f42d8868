"""A process that does store operations read from its standard input, and reports each when it is done.

    store_worker.py URL

A line is a JSON list, ["append", ID, MESSAGES, EXPECTED], ["keep", FRAME] or ["lease", ID, USER]; each is answered by
a line.
"""

import json
import sys
from typing import Any

from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.lease import ProcessInfo, take_lease
from prompt_objects.sessions.stores.registry import open_store


def do(store: Store, operation: str, key: str, *more: Any) -> None:
    if operation == "append":
        messages, expected = more
        store.append(key, messages, expected=expected)
    elif operation == "keep":
        store.frames.keep(key.encode())
    else:
        take_lease(store, key, ProcessInfo.current(*more))


def main(url: str) -> None:
    store = open_store(url)
    for line in sys.stdin:
        do(store, *json.loads(line))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
