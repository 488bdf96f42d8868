"""Fills a small disk, makes room, and continues: full_disk.py FOLDER SEED TIMES.

The folder is on a file system of a few hundred kilobytes, so that the system itself runs out of space.
"""

import random
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

from prompt_objects.errors import StoreError
from prompt_objects.sessions.stores.registry import open_store
from tests.support.campaign.expectation import State, after, outcomes
from tests.support.campaign.inspection import check_files, remove_unused_frames
from tests.support.campaign.killing import look
from tests.support.campaign.operations import Operation, carry_out, choose_operation
from tests.support.campaign.processes import STEP

_KEPT = 8  # even a short file takes a page


def fill(folder: Path, state: State, choose: random.Random, numbers: "count[int]") -> State:
    """Do operations until the disk is full; return the state as read by the same store and by a new one."""
    with closing(open_store(f"files:{folder}")) as store:
        while True:
            operation = choose_operation(choose, state, next(numbers))
            try:
                carry_out(store, operation, state.get(operation.id))
            except StoreError as error:
                if "Free some space" not in error.hint:
                    raise  # it was to be the disk
                break
            state = after(state, operation)
        look(store, outcomes(state, [operation]), examined=False)
    with closing(open_store(f"files:{folder}")) as store:
        found, _ = look(store, outcomes(state, [operation]), examined=False)
    return found


def make_room(folder: Path, state: State) -> State:
    """Delete most sessions and truncate the others, as a user who needs space would; truncating needs some space."""
    with closing(open_store(f"files:{folder}")) as store:
        sessions = sorted(state.items(), key=lambda item: (not item[1].trashed, len(item[1].numbers)))
        for place, (key, held) in enumerate(sessions):
            if held.trashed:
                operations = [Operation("purge", key)]
            elif place + _KEPT < len(sessions):
                operations = [Operation("delete", key), Operation("purge", key)]
            else:
                operations = [Operation("truncate", key, count=len(held.numbers) // 3)]
            for operation in operations:
                carry_out(store, operation)
                state = after(state, operation)
        remove_unused_frames(store)
        look(store, [state])
    check_files(folder)
    return state


def main() -> None:
    """Fill the disk TIMES times; print the totals."""
    folder, seed, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    reserve = folder / "reserve"
    choose, numbers, state = random.Random(seed), count(0, STEP), State()
    for _ in range(times):
        reserve.write_bytes(bytes(150_000))
        state = fill(folder / "data", state, choose, numbers)
        reserve.unlink()
        state = make_room(folder / "data", state)
    print(f"{times} times a full disk in {next(numbers) // STEP} operations (seed {seed}); nothing lost.")  # noqa: T201


if __name__ == "__main__":
    main()
