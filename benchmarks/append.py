"""What a turn of two acknowledged messages costs, beside the least that any store could: write and sync.

    python benchmarks/append.py [--save] [--rounds N] [--folder DIR]

The floor writes the same number of bytes to the end of a file in the same folder and waits for the disk. Both
are measured in turn, many times, for short and long histories among few and many sessions. Leaves with an error
where a turn costs more than 1.5 times the floor, or where its cost grows with either.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from machine import describe
from prompt_objects.message import now
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.record import SessionInfo, head_of, new_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores import Store, open_store, session_file

SIZES = [(10, 10), (10_000, 10), (10, 10_000), (10_000, 10_000)]  # messages, sessions
MOST = 1.5  # times the floor
FLAT = 1.5  # between the cheapest and the dearest of SIZES
TURN = (
    {"role": "user", "content": "What is in README.md?"},
    {
        "role": "assistant",
        "content": "It says what the project is for. " * 8,
        "model": "gpt",
        "usage": {"prompt_tokens": 812, "completion_tokens": 64, "cached_tokens": 512},
    },
)


def fill(folder: Path, messages: int, sessions: int) -> tuple[Store, Session]:
    """Write many sessions as files, and one long one through the store."""
    store = open_store(f"files:{folder}")
    for number in range(sessions - 1):
        moment = now()
        info = SessionInfo(
            id=new_id(),
            name=f"Notes {number}",
            po_name="reader",
            message_count=0,
            created_at=moment,
            updated_at=moment,
        )
        chunks = session_file.document(head_of(info, {}), TURN, "2026-01-01T00:00:00.000000Z")
        (folder / "sessions" / f"{info.id}.json").write_bytes(b"".join(chunks))
    (folder / "sessions" / "index.json").unlink(missing_ok=True)
    session = SessionManager(store, "reader").create("Long")
    session.append(*(TURN * (messages // 2)))
    return store, session


def a_turn(session: Session) -> None:
    """Append two messages, each acknowledged before the next."""
    for message in TURN:
        session.append(message)


def floor_of(folder: Path, session: Session) -> Callable[[], None]:
    """Make the raw equivalent of a turn: the bytes that each append writes, at the end of a growing file."""
    path = folder / "sessions" / f"{session.id}.json"
    before = path.stat().st_size
    a_turn(session)
    each = (path.stat().st_size - before) // 2 + 46
    descriptor = os.open(folder / "sessions" / "floor", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(descriptor, b"x" * before, 0)
    os.fsync(descriptor)
    data, position = b"x" * each, before

    def turn() -> None:
        nonlocal position
        for _ in TURN:
            os.pwrite(descriptor, data, position)
            position += each - 46
            os.fdatasync(descriptor)

    return turn


def seconds(work: Callable[[], None]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(messages: int, sessions: int, rounds: int, within: Path) -> tuple[float, float, float]:
    """Return the medians of the floor and of a turn, in seconds, and of their ratio over groups of rounds."""
    with tempfile.TemporaryDirectory(dir=within) as name:
        folder = Path(name)
        store, session = fill(folder, messages, sessions)
        floor = floor_of(folder, session)
        pairs = [(seconds(floor), seconds(lambda: a_turn(session))) for _ in range(rounds)]
        store.close()
    floors, turns = zip(*pairs[rounds // 10 :], strict=True)
    return statistics.median(floors), statistics.median(turns), statistics.median(turns) / statistics.median(floors)


def main() -> int:
    """Measure, print, save if asked to; 1 where a bound is passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--save", action="store_true", help="keep the table in benchmarks/results/append.md")
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on the disk to be measured")
    options = parser.parse_args()
    results = [(*size, *measure(*size, options.rounds, options.folder)) for size in SIZES]
    table = ["| messages | sessions | floor, µs | turn, µs | ratio |", "|---:|---:|---:|---:|---:|"]
    for messages, sessions, floor, turn, ratio in results:
        table.append(f"| {messages:,} | {sessions:,} | {floor * 1e6:.0f} | {turn * 1e6:.0f} | {ratio:.2f} |")
    ratios = [result[-1] for result in results]
    spread = max(ratios) / min(ratios)
    fine = max(ratios) <= MOST and spread <= FLAT
    table += ["", f"Dearest over cheapest: {spread:.2f}. {'Within' if fine else 'OUT OF'} bounds ({MOST}, {FLAT})."]
    text = "\n".join([f"# A turn of two acknowledged appends\n\n{describe(options.folder)}\n", *table]) + "\n"
    print(text)
    if options.save:
        results_file = Path(__file__).parent / "results" / "append.md"
        results_file.parent.mkdir(exist_ok=True)
        results_file.write_text(text)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
