"""Simulates power failures at every moment of a program's work: power_loss.py FOLDER SEED OPERATIONS STATES.

The system calls of the store are recorded, with the operations acknowledged so far. For each moment the disk has
many possible states: writes that were not synced are there completely, partly or not at all. Each state must have
everything that was acknowledged. The store recognizes the reboot by the boot ID.
"""

import os
import random
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.campaign.simulated_disk import (
    ActedDisk,
    Created,
    Renamed,
    Synced,
    SyncedFolder,
    Truncated,
    Unlinked,
    Written,
)

if TYPE_CHECKING:
    from tests.support.campaign.simulated_disk import Event

_EXAMINED_EVERY = 40  # an examination checks its findings again after a while


class Recorder:
    """Records the system calls below a folder, in order."""

    def __init__(self) -> None:
        self.folder = ""
        self.events: list[Event] = []
        self._files: dict[int, int] = {}  # by inode, which is used again
        self._folders: dict[int, str] = {}  # by descriptor
        self._is_on = False
        for name in ("write", "pwrite", "ftruncate", "fsync", "fdatasync", "replace", "rename", "unlink", "open"):
            setattr(os, name, self._noting(name, getattr(os, name)))

    def begin(self, folder: Path) -> None:
        """Write down everything from now on."""
        self.folder, self._is_on = str(folder), True

    def end(self) -> None:
        """Stop recording."""
        self._is_on = False

    def _noting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        note = getattr(self, f"_{'sync' if 'sync' in name else 'rename' if name == 'replace' else name}")

        def noted(*arguments: Any, **options: Any) -> Any:
            before = os.path.lexists(arguments[0]) if name == "open" else None
            position = os.lseek(arguments[0], 0, os.SEEK_CUR) if name == "write" and self._knows(arguments[0]) else 0
            result = call(*arguments, **options)
            if self._is_on:
                note(result, before if name == "open" else position, *arguments)
            return result

        return noted

    def _knows(self, descriptor: int) -> bool:
        return os.fstat(descriptor).st_ino in self._files

    def _file(self, descriptor: int) -> int:
        return self._files[os.fstat(descriptor).st_ino]

    def _open(self, descriptor: int, existed: bool, path: Any, *_: Any) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._folders[descriptor] = str(path)
        elif not existed and str(path).startswith(self.folder):
            file = self._files[os.fstat(descriptor).st_ino] = len(self.events)
            self.events.append(Created(str(path), file))

    def _write(self, count: int, position: int, descriptor: int, data: Any) -> None:
        if self._knows(descriptor):
            self.events.append(Written(self._file(descriptor), position, bytes(data[:count])))

    def _pwrite(self, count: int, _: int, descriptor: int, data: Any, start: int) -> None:
        self.events.append(Written(self._file(descriptor), start, bytes(data[:count])))

    def _ftruncate(self, _result: None, _: int, descriptor: int, length: int) -> None:
        self.events.append(Truncated(self._file(descriptor), length))

    def _sync(self, _result: None, _: int, descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self.events.append(SyncedFolder(self._folders[descriptor]))
        else:
            self.events.append(Synced(self._file(descriptor)))

    def _rename(self, _result: None, _: int, old: Any, new: Any) -> None:
        self.events.append(Renamed(str(old), str(new)))

    def _unlink(self, _result: None, _: int, path: Any) -> None:
        self.events.append(Unlinked(str(path)))


RECORDER = Recorder()

import shutil  # noqa: E402 - everything else comes after the wrapping
from contextlib import closing  # noqa: E402

from prompt_objects.sessions.stores.registry import open_store  # noqa: E402
from prompt_objects.utils.boot import boot_id  # noqa: E402
from tests.support.campaign.expectation import State, after, outcomes  # noqa: E402
from tests.support.campaign.killing import look  # noqa: E402
from tests.support.campaign.operations import carry_out, choose_operation  # noqa: E402
from tests.support.campaign.processes import STEP  # noqa: E402


def work(folder: Path, choose: random.Random, count: int) -> list[tuple[int, list[State]]]:
    """Do operations while their system calls are recorded; check that none was missed.

    Return the possible states from each event on: several while an operation runs, one when it is done.
    """
    state, possible = State(), [(0, [State()])]
    RECORDER.begin(folder)
    with closing(open_store(f"files:{folder}")) as store:
        for number in range(count):
            operation = choose_operation(choose, state, number * STEP)
            possible.append((len(RECORDER.events), outcomes(state, [operation], torn=True)))
            carry_out(store, operation, state.get(operation.id))
            state = after(state, operation)
            possible.append((len(RECORDER.events), [state]))
    RECORDER.end()
    disk = ActedDisk()
    for event in RECORDER.events:
        disk.ask(event)
    assert disk.now() == {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return possible


def fail_everywhere(
    folder: Path, possible: list[tuple[int, list[State]]], choose: random.Random, samples: int
) -> int:
    """Simulate a power failure after each event and check some of the possible states; return their number."""
    disk, count = ActedDisk(), 0
    elsewhere = folder.with_name("after")
    for number, event in enumerate(RECORDER.events, 1):
        disk.ask(event)
        expected = next(states for begin, states in reversed(possible) if begin <= number)
        for _ in range(samples):
            put(disk.after_power_loss(choose), folder, elsewhere)
            try:
                with closing(open_store(f"files:{elsewhere}")) as store:
                    look(store, expected, examined=count % _EXAMINED_EVERY == 0)
            except BaseException:
                sys.stderr.write(f"after event {number}: {RECORDER.events[max(0, number - 12) : number]}\n")
                raise
            count += 1
    return count


def put(files: dict[str, bytes], folder: Path, elsewhere: Path) -> None:
    """Write the content of the disk to another folder, as it is after a reboot."""
    shutil.rmtree(elsewhere, ignore_errors=True)
    for name, content in files.items():
        path = elsewhere / Path(name).relative_to(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.replace(boot_id().encode(), b"f" * len(boot_id())))


def main() -> None:
    """Run the command line and print the totals."""
    folder, seed, operations, states = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    choose = random.Random(seed)
    possible = work(folder / "work", choose, operations)
    count = fail_everywhere(folder / "work", possible, choose, states)
    print(f"{count:,} states after a power loss in {operations} operations (seed {seed}); nothing lost.")  # noqa: T201


if __name__ == "__main__":
    main()
