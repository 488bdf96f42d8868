"""Injects a fault into the n-th disk operation while threads create sessions concurrently, for every n.

    faulty_creations.py FOLDER FAULT…

Each time, threads of a forked child create a session each, all with one name. An acknowledged session must exist
under the acknowledged name; any other session must be complete or absent.
"""

import os
import sys

from tests.support.campaign.faults import Fault, arm, disarm  # before any module that keeps a function of `os`
from tests.support.store_urls import open_full_store

import shutil  # isort: skip
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Barrier

from prompt_objects.errors import StoreError
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.registry import open_store
from tests.support.campaign.inspection import check_files
from tests.support.campaign.processes import in_child, outcome_of

_FAULTLESS = 4  # exit code
_THREADS = 5
_HELLO = {"role": "user", "content": "Hello"}


def one(folder: Path, fault: Fault, at: int) -> bool:
    """Inject one fault in a child and check the remaining data; return False if no fault happened."""
    output, code = outcome_of(in_child(lambda pipe: do(folder, fault, at, pipe)))
    killed = not fault.error and code < 0
    assert code in (0, _FAULTLESS) or killed, f"{fault} at {at}: exit code {code}"
    made = dict(line.split(" ", 1) for line in output.decode().splitlines())
    assert code != _FAULTLESS or len(made) == _THREADS
    with closing(open_full_store(f"files:{folder}")) as store:
        manager = SessionManager(store, "reader")
        there = {info.id: info.name for info in manager.list()}
        assert made.items() <= there.items(), f"{fault} at {at}: {made} is not in {there}"
        assert len(set(there.values())) == len(there)
        for key in there:
            assert [message["content"] for message in manager.get(key).history] == ["Hello"]
        store.check(repair=True)
        assert {info.id: info.name for info in manager.list()} == there
    check_files(folder)
    return code != _FAULTLESS


def do(folder: Path, fault: Fault, at: int, pipe: int) -> int:
    """Create sessions in threads with a fault; return the exit code."""
    manager = SessionManager(open_store(f"files:{folder}"), "reader")
    manager.list()
    barrier = Barrier(_THREADS)

    def make(_: int) -> None:
        draft = manager.draft("New")
        barrier.wait()
        try:
            draft.append(_HELLO)
        except StoreError:
            return
        os.write(pipe, f"{draft.id} {draft.name}\n".encode())

    arm(fault, at)
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(make, range(_THREADS)))
    return 0 if disarm() >= at else _FAULTLESS


def main() -> None:
    """Inject each fault at every operation; print the totals."""
    folder = Path(sys.argv[1])
    with closing(open_store(f"files:{folder / 'initial'}")) as store:
        SessionManager(store, "reader").draft("Old").append(_HELLO)
    for words in sys.argv[2:]:
        for at in count(1):
            shutil.rmtree(folder / "data", ignore_errors=True)
            shutil.copytree(folder / "initial", folder / "data")
            if not one(folder / "data", Fault.named(words), at):
                break
        print(f"{words}: at each of {at - 1} places; nothing lost.", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
