"""Injects a fault into the n-th disk operation of a store operation, for every n and every store operation.

    faulty_operations.py FOLDER FAULT…

Each time, a forked child does one operation on a store that was just opened or already in use. An acknowledged
operation must be done; one that failed, or whose child was killed, must be done completely or not at all.
A fault is written in words, such as "ENOSPC lasting".
"""

import sys

from tests.support.campaign.faults import Fault, arm, disarm  # before any module that keeps a function of `os`

import shutil  # isort: skip
from contextlib import closing
from itertools import count
from pathlib import Path

from prompt_objects.errors import StoreError
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.stores.registry import open_store
from tests.support.campaign.expectation import State, after, outcomes
from tests.support.campaign.inspection import check_files
from tests.support.campaign.killing import look
from tests.support.campaign.operations import Operation, carry_out
from tests.support.campaign.processes import in_child, outcome_of

_REFUSED, _FAULTLESS = 3, 4  # exit codes


def begin(folder: Path) -> State:
    """Create a store with a session of each kind: live, archived, in the trash."""
    state: State = {}
    kinds = ["", "archive", "delete"]
    with closing(open_store(f"files:{folder}")) as store:
        for number, kind in enumerate(kinds):
            key = new_id()
            made = Operation("create", key, (number * 10, number * 10 + 1), name=f"Notes {number}", mark=number)
            for operation in (
                made,
                Operation("append", key, (number * 10 + 2,)),
                *([Operation(kind, key)] if kind else []),
            ):
                carry_out(store, operation, state.get(key))
                state = after(state, operation)
    return state


def operations_on(state: State) -> list[Operation]:
    """Return an operation of each kind; those that an archived session allows, on both kinds of session."""
    live, archived, trashed = state
    on_both = [
        operation
        for key in (live, archived)
        for operation in (
            Operation("append", key, (50, 51)),
            Operation("rename", key, name="Another name"),
            Operation("note", key, mark=7),
            Operation("truncate", key, count=1),
            Operation("delete", key),
        )
    ]
    alone = [
        Operation("create", new_id(), (60,), name="New"),
        Operation("archive", live),
        Operation("restore", trashed),
        Operation("prune", live),
    ]
    return [*on_both, *alone, Operation("purge", trashed)]


def one(folder: Path, state: State, operation: Operation, fault: Fault, at: int) -> bool:
    """Inject one fault in an operation of a child and check the remaining data; return False if no fault happened."""
    output, code = outcome_of(in_child(lambda _: do(folder, state, operation, fault, at)))
    assert output == b""
    killed = not fault.error and code < 0
    assert code in (0, _REFUSED, _FAULTLESS) or killed, f"{operation}, {fault} at {at}: exit code {code}"
    done = code in (0, _FAULTLESS)
    possible = [after(state, operation)] if done else outcomes(state, [operation])
    with closing(open_store(f"files:{folder}")) as store:
        look(store, possible)
    check_files(folder)
    return code != _FAULTLESS


def do(folder: Path, state: State, operation: Operation, fault: Fault, at: int) -> int:
    """Do the operation with a fault, on a store already in use if the number is even; return the exit code."""
    store = open_store(f"files:{folder}")
    if at % 2 == 0:
        store.list()
    arm(fault, at)
    try:
        carry_out(store, operation, state.get(operation.id))
        refused = False
    except StoreError:
        refused = True
    asked = disarm()
    if not refused:
        return 0 if asked >= at else _FAULTLESS
    look(store, outcomes(state, [operation]), examined=False)  # it continues with the state it found
    return _REFUSED


def main() -> None:
    """Inject each fault at every point of each operation; print the totals."""
    folder = Path(sys.argv[1])
    state = begin(folder / "initial")
    for words in sys.argv[2:]:
        places = 0
        for operation in operations_on(state):
            for at in count(1):
                shutil.rmtree(folder / "data", ignore_errors=True)
                shutil.copytree(folder / "initial", folder / "data")
                if not one(folder / "data", state, operation, Fault.named(words), at):
                    break
                places += 1
        number = len(operations_on(state))
        print(f"{words}: at each of {places} places in {number} operations; nothing lost.", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
