"""Repeatedly kills programs that use a store, and checks the remaining data each time.

    killing.py URL PROGRESS KILLS

One or several children do operations and report each before and after. At random moments they are killed with
SIGKILL. The store must then contain everything they acknowledged, with or without the operation each had started.
PROGRESS is a file with the totals, from which an interrupted run is resumed. A resumed run accepts the store as it
finds it: it cannot know the last reports of its children.
"""

import random
import secrets
import sys
import time
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path

import msgspec

from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.stores.base import Checking, Store
from tests.support.campaign.expectation import Held, State, after, outcomes
from tests.support.campaign.inspection import check_files, observe, remove_unused_frames
from tests.support.campaign.operations import Operation, carry_out, messages_of
from tests.support.campaign.processes import STEP, Life, Plan
from tests.support.store_urls import open_full_store

__all__ = ["Progress", "look", "run"]

_LONGEST_LIFE = 0.03
_CREWS = (1, 1, 1, 3)
_MOST_SHARED = 100


class Progress(msgspec.Struct):
    """The progress of a run and the content of the store; `shared` is the session to which all children append."""

    seed: str = msgspec.field(default_factory=lambda: secrets.token_hex(4))
    kills: int = 0
    number: int = 0
    acknowledged: int = 0
    messages: int = 0
    in_midst: int = 0
    repaired: int = 0
    operations: dict[str, int] = {}
    state: State = {}
    shared: str = ""
    shared_numbers: tuple[int, ...] = ()


def run(url: str, file: Path, kills: int) -> Progress:
    """Run until there were `kills` kills; a store that stays open must read the same data as a new one."""
    progress = msgspec.json.decode(file.read_bytes(), type=Progress) if file.exists() else Progress()
    _find_or_begin(url, progress)
    with closing(open_full_store(url)) as watcher:
        while progress.kills < kills:
            _one_round(url, random.Random(f"{progress.seed} {progress.kills}"), progress)
            shared = observe(watcher).pop(progress.shared)
            assert shared.numbers == progress.shared_numbers
            assert observe(watcher) == {**progress.state, progress.shared: shared}
            _keep(file, progress)
    return progress


def _find_or_begin(url: str, progress: Progress) -> None:
    with closing(open_full_store(url)) as store:
        store.check(repair=True)
        progress.state = observe(store)
        if progress.shared not in progress.state:
            progress.shared = new_id()
            name = f"Shared {progress.shared}"
            carry_out(store, Operation("create", progress.shared, name=name))
            progress.state[progress.shared] = Held(name, (), 0)
        progress.shared_numbers = progress.state.pop(progress.shared).numbers
        written = [number for held in progress.state.values() for number in held.numbers]
        progress.number = max([progress.number, *written, *progress.shared_numbers]) + STEP


def _keep(file: Path, progress: Progress) -> None:
    """Save the progress atomically: this program may be killed, too."""
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(progress))
    new.replace(file)


def _one_round(url: str, choose: random.Random, progress: Progress) -> None:
    """Let some children run for a moment, kill them one after the other, and check that nothing is lost."""
    crew = choose.choice(_CREWS)
    lives = [Life(url, _plan(choose.random(), which, crew, progress)) for which in range(crew)]
    for life in lives:
        life.begin()
    ended = []
    for life in lives:
        time.sleep(choose.random() * _LONGEST_LIFE)
        ended.append(life.end())
    progress.kills += crew
    progress.number += STEP * crew * (max(len(done) for done, _ in ended) + 2)
    _count(progress, ended)
    state = progress.state
    for operation in (operation for done, _ in ended for operation in done if operation.kind != "share"):
        state = after(state, operation)
    pending = [operation for _, operation in ended if operation and operation.kind != "share"]
    _look_round(url, outcomes(state, pending), ended, progress)


def _plan(seed: float, which: int, crew: int, progress: Progress) -> Plan:
    own = dict(sorted(progress.state.items())[which::crew])
    return Plan(seed, own, progress.shared, progress.number + which * STEP, crew * STEP)


def _count(progress: Progress, ended: list[tuple[list[Operation], Operation | None]]) -> None:
    for done, pending in ended:
        progress.acknowledged += len(done)
        progress.messages += sum(len(operation.numbers) for operation in done)
        for operation in done:
            progress.operations[operation.kind] = progress.operations.get(operation.kind, 0) + 1
        progress.in_midst += pending is not None


def _look_round(
    url: str, possible: list[State], ended: list[tuple[list[Operation], Operation | None]], progress: Progress
) -> None:
    with closing(open_full_store(url)) as store:
        found, repaired = look(store, possible, besides={progress.shared})
        progress.repaired += repaired
        _check_shared(found.pop(progress.shared).numbers, ended, progress)
        progress.state = found
        remove_unused_frames(store)
        if len(progress.shared_numbers) > _MOST_SHARED:
            store.truncate(progress.shared, 0)
            progress.shared_numbers = ()
    if url.startswith("files:"):
        check_files(Path(url.partition(":")[2]))


def look(
    store: Store, possible: list[State], *, besides: AbstractSet[str] = frozenset(), examined: bool = True
) -> tuple[State, int]:
    """Check that a store has one of the possible states before and after repairs; count the repairs.

    Damage is repaired by the examination, or otherwise by opening every session.
    """
    trashed = {entry.info.id for entry in store.trash()}
    there = {info.id for info in store.list()}
    for key in possible[0].keys() & there - trashed:
        read = store.read(key, 0, sys.maxsize)
        assert any(key in state and read == messages_of(state[key].numbers) for state in possible), key
    repaired = _put_right(store, there, examined=examined)
    found = observe(store, sums=examined)
    rest = {key: held for key, held in found.items() if key not in besides}
    assert rest in possible, (rest, possible)
    return found, repaired


def _put_right(store: Store, there: set[str], *, examined: bool) -> int:
    if examined:
        assert isinstance(store, Checking)
        repaired = sum(finding.repaired for finding in store.check(repair=True))
        # the temporary file of a killed write may just have become old enough to be reported
        assert all(finding.place.endswith(".tmp") for finding in store.check())
        return repaired
    for session_id in there:
        store.load(session_id)
    return 0


def _check_shared(
    found: tuple[int, ...], ended: list[tuple[list[Operation], Operation | None]], progress: Progress
) -> None:
    """Check that the shared session has the new messages of all writers after the old ones: each once, in order."""
    before = len(progress.shared_numbers)
    assert found[:before] == progress.shared_numbers
    accounted = 0
    for done, pending in ended:
        shares = [operation.numbers[0] for operation in done if operation.kind == "share"]
        unacknowledged = [pending.numbers[0]] if pending and pending.kind == "share" else []
        own = [number for number in found[before:] if number in {*shares, *unacknowledged}]
        assert own in (shares, shares + unacknowledged), (own, shares, unacknowledged)
        accounted += len(own)
    assert accounted == len(found) - before
    progress.shared_numbers = found


def main() -> None:
    """Run the command line and print the totals."""
    url, file, kills = sys.argv[1:]
    progress = run(url, Path(file), int(kills))
    done = ", ".join(f"{kind} {number:,}" for kind, number in sorted(progress.operations.items()))
    print(  # noqa: T201 - the totals are what a campaign is for
        f"{url.partition(':')[0]}: {progress.kills:,} kills, {progress.in_midst:,} in the midst of an operation; "
        f"{progress.acknowledged:,} operations acknowledged ({done}), {progress.messages:,} messages; "
        f"{progress.repaired:,} things put right; nothing lost (seed {progress.seed})."
    )


if __name__ == "__main__":
    main()
