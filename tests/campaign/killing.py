"""Kills a program at work on a store, again and again, and looks each time at what is left.

    killing.py URL PROGRESS SEED KILLS

A child is forked for each life: it does one deed after another, and tells of each before it and after. At a random
moment it is killed with SIGKILL. What is in the store then must be what it acknowledged, with or without what it had
begun. PROGRESS is a file from which an interrupted run goes on; the totals are in it.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
from deeds import Deed, carry_out, choose_deed, messages_of
from expectation import State, after, outcomes
from inspection import check_files, observe

from prompt_objects.sessions.stores import open_store

_STEP = 10  # a deed takes so many numbers for its messages at most
_LONGEST_LIFE = 0.03


class Progress(msgspec.Struct):
    """How far a run has come, and what is in the store."""

    kills: int = 0
    number: int = 0
    acknowledged: int = 0
    messages: int = 0
    in_midst: int = 0
    repaired: int = 0
    deeds: Counter[str] = msgspec.field(default_factory=Counter)
    state: State = {}


def run(url: str, file: Path, seed: str, kills: int) -> Progress:
    """Go on until there were so many kills."""
    progress = msgspec.json.decode(file.read_bytes(), type=Progress) if file.exists() else Progress()
    while progress.kills < kills:
        one_life(url, random.Random(f"{seed} {progress.kills}"), progress)
        if progress.kills % 20 == 0 or progress.kills == kills:
            keep(file, progress)
    return progress


def keep(file: Path, progress: Progress) -> None:
    """Write down how far it has come, so that a kill of this program costs nothing either."""
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(progress))
    new.replace(file)


def one_life(url: str, choose: random.Random, progress: Progress) -> None:
    """Let a child live for a moment, kill it, and see that nothing is lost."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            live(url, choose, progress, writing)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(1)  # whatever happens, it is not to go on as its parent
    os.close(writing)
    told = [os.read(reading, 65536)]  # it is at work now
    time.sleep(choose.random() * _LONGEST_LIFE)
    os.kill(child, signal.SIGKILL)
    while data := os.read(reading, 65536):
        told.append(data)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "it ended by itself"
    lines = b"".join(told).split(b"\n")
    state, pending = progress.state, []
    for line, answer in zip(lines[::2], lines[1::2], strict=False):
        deed = msgspec.json.decode(line, type=Deed)
        if answer != b"done":
            pending.append(deed)
            break
        state = after(state, deed)
        progress.acknowledged += 1
        progress.messages += len(deed.numbers)
        progress.deeds[deed.kind] += 1
    progress.number += _STEP * (len(lines) // 2 + 1)
    progress.kills += 1
    progress.in_midst += len(pending)
    look(url, outcomes(state, pending), progress)


def live(url: str, choose: random.Random, progress: Progress, writing: int) -> None:
    """Do deeds for ever, and tell of each of them before and after."""
    store, state, number = open_store(url), progress.state, progress.number
    while True:
        deed = choose_deed(choose, state, number)
        os.write(writing, msgspec.json.encode(deed) + b"\n")
        carry_out(store, deed, state.get(deed.id))
        os.write(writing, b"done\n")
        state = after(state, deed)
        number += _STEP


def look(url: str, possible: list[State], progress: Progress) -> None:
    """See that a store holds one of what is possible: before anything is repaired, and after."""
    with closing(open_store(url)) as store:
        trashed = {entry.info.id for entry in store.trash()}
        there = {info.id for info in store.sessions()}
        for key in possible[0].keys() & there - trashed:
            read = store.read(key, 0, sys.maxsize)
            assert any(key in state and read == messages_of(state[key].numbers) for state in possible), key
        progress.repaired += sum(finding.repaired for finding in store.examine(repair=True))
        assert store.examine() == []
        found = observe(store)
        assert found in possible, (found, possible)
        progress.state = found
    if url.startswith("files:") and found:
        check_files(Path(url.partition(":")[2]))


def main() -> None:
    """Carry out what the command line says, and print the totals."""
    url, file, seed, kills = sys.argv[1:]
    progress = run(url, Path(file), seed, int(kills))
    done = ", ".join(f"{kind} {number:,}" for kind, number in sorted(progress.deeds.items()))
    print(  # noqa: T201 - the totals are what a campaign is for
        f"{url.partition(':')[0]}: {progress.kills:,} kills, {progress.in_midst:,} in the midst of a deed; "
        f"{progress.acknowledged:,} deeds acknowledged ({done}), {progress.messages:,} messages; "
        f"{progress.repaired:,} things put right; nothing lost."
    )


if __name__ == "__main__":
    main()
