"""The cost of parallel prompt objects, and of a turn compared with other libraries.

    python benchmarks/agents.py [--save] [--peers DIR] [--rounds N]

All requests go to one fast server in a separate process. Measured are fifty parallel delegations against one, with
a server that takes 200 ms to respond; a turn with 20 tools against the bare client, measured alternately; and a
thousand concurrent turns in one process. `--peers` installs other libraries into a virtual environment in DIR and
measures them, too. Exits with an error if a goal is missed.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contenders import CONTENDERS
from machine import describe
from prompt_objects.environment.environment import Environment

HERE = Path(__file__).parent
PEERS = {"openai-agents": "openai-agents==0.24", "pydantic-ai": "pydantic-ai-slim[openai]==2.68"}
DELEGATIONS, LATENCY = 50, 200
MOST_OF_FIFTY = 1.3  # times one
MOST_ABOVE = 5.0  # ms
IN_FLIGHT = 1000
FILES = 10_000  # open files of a process: both ends of a connection for each concurrent turn
TURNS = {"an answer": "text", "a call, then an answer": "call-1-tool_07"}


@contextmanager
def server() -> Iterator[str]:
    """Run the server; yields its base URL."""
    command = [sys.executable, str(HERE / "quick_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.terminate()


async def delegating(base_url: str, rounds: int, store: str | None) -> dict[int, float]:
    """Return the median seconds of a message that leads to one delegation, and of one that leads to many."""
    times: dict[int, list[float]] = {1: [], DELEGATIONS: []}
    environ = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "sk-unused"}
    with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=Path.cwd()) as folder:
        objects = Path(folder) / "objects"
        objects.mkdir()
        (objects / "worker.yaml").write_text(f"name: worker\nmodel: text@{LATENCY}\nprompt: You work.\n")
        for number in times:
            model = f"call-{number}-worker@{LATENCY}"
            (objects / f"boss_{number}.yaml").write_text(
                f"name: boss_{number}\nmodel: {model}\ncapabilities: [worker]\n"
                "limits: {requests: 1000, parallel: 64}\nprompt: You ask.\n"
            )
        async with Environment.open(folder, store=store, environ=environ) as environment:
            for turn in range(rounds + 1):
                for number, measured in times.items():
                    boss = environment[f"boss_{number}"]
                    session = boss.session_manager.create()
                    start = time.perf_counter()
                    await boss.receive("Go", session=session)
                    if turn:  # the first round warms up
                        measured.append(time.perf_counter() - start)
    return {number: statistics.median(measured) for number, measured in times.items()}


def run(name: str, python: Path, base_url: str, *more: object) -> dict[str, Any]:
    """Measure a contender."""
    command = [str(python), "-P", str(HERE / "contenders.py"), name, base_url, *map(str, more)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(result.stdout))


def contenders(peers: Path | None) -> dict[str, Path]:
    """Return the Python of each contender: this one, and that of the peers if requested."""
    ours = {name: Path(sys.executable) for name in CONTENDERS if name not in PEERS}
    return ours if peers is None else ours | dict.fromkeys(PEERS, python_of(peers))


def python_of(peers: Path) -> Path:
    """Return the Python of a virtual environment with the peers, created if it is missing."""
    python = peers / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(peers)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEERS.values()], check=True)
    return python


class Report:
    """The tables, and whether every goal is met."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.missed: list[str] = []

    def table(self, title: str, head: str) -> None:
        """Start a table; all columns except the first are figures."""
        columns = head.count("|") - 2
        self.lines += ["", f"## {title}", "", head, f"|---|{'---:|' * columns}"]

    def row(self, *cells: str) -> None:
        """Add a row."""
        self.lines.append(f"| {' | '.join(cells)} |")

    def ratio(self, name: str, seconds: dict[int, float]) -> None:
        """Add a row that compares many with one."""
        one, many = seconds[1], seconds[DELEGATIONS]
        self.row(name, f"{one * 1000:.0f} ms", f"{many * 1000:.0f} ms", f"{many / one:.2f}")

    def goal(self, what: str, *, met: bool) -> None:
        """Note whether a goal is met."""
        self.lines += ["", f"Goal: {what}: {'met' if met else 'missed'}."]
        self.missed += [] if met else [what]


def report_delegations(report: Report, base_url: str, pythons: dict[str, Path], rounds: int) -> None:
    """Measure parallel delegations; the others do not delegate, but send as many requests in the same order."""
    report.table(f"Delegations at once, {LATENCY} ms a request", f"| | one | {DELEGATIONS} | ratio |")
    seconds = asyncio.run(delegating(base_url, rounds, None))
    report.ratio("prompt_objects", seconds)
    report.ratio("prompt_objects, kept in memory", asyncio.run(delegating(base_url, rounds, "memory:")))
    for name, python in pythons.items():
        if name != "prompt_objects":
            times = run(name, python, base_url, "fan", f"text@{LATENCY}", DELEGATIONS, rounds)
            report.ratio(name, {int(number): statistics.median(measured) for number, measured in times.items()})
    ratio = seconds[DELEGATIONS] / seconds[1]
    report.goal(f"{DELEGATIONS} at once take at most {MOST_OF_FIFTY} times one", met=ratio <= MOST_OF_FIFTY)


def report_cost(report: Report, base_url: str, pythons: dict[str, Path], rounds: int) -> None:
    """Measure the cost of a turn above the bare client."""
    for title, model in TURNS.items():
        report.table(f"A turn with 20 tools: {title}", "| | the bare client | a turn | above it | ratio |")
        above: dict[str, float] = {}
        for name, python in pythons.items():
            if name == "bare":
                continue
            times = run(name, python, base_url, "cost", model, rounds)
            bare, turn = (statistics.median(times[what]) for what in ("bare", "turn"))
            above[name] = turn - bare
            report.row(name, f"{bare:.2f} ms", f"{turn:.2f} ms", f"{turn - bare:.2f} ms", f"{turn / bare:.2f}")
        report.goal(f"at most {MOST_ABOVE:g} ms above the bare client", met=above["prompt_objects"] <= MOST_ABOVE)
        if len(above) > 1:
            report.goal("at or under both others", met=above["prompt_objects"] <= min(above.values()))


def report_flight(report: Report, base_url: str, pythons: dict[str, Path]) -> None:
    """Measure many concurrent turns."""
    report.table(f"{IN_FLIGHT:,} turns under way at once in one process", "| | memory a turn | all of them |")
    for name, python in pythons.items():
        measured = run(name, python, base_url, "flight", IN_FLIGHT)
        report.row(name, f"{measured['kB']:.0f} kB", f"{measured['seconds']:.1f} s")


def main() -> int:
    """Measure, print and, with `--save`, save; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true", help="keep the tables in benchmarks/results/agents.md")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="measure other libraries, kept in DIR")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if hard == resource.RLIM_INFINITY else min(hard, FILES), hard))
    report, pythons = Report(), contenders(options.peers)
    with server() as base_url:
        report_delegations(report, base_url, pythons, max(1, options.rounds // 10))
        report_cost(report, base_url, pythons, options.rounds)
        report_flight(report, base_url, pythons)
    where = describe(Path.cwd())
    words = (
        f"Medians of {options.rounds} rounds; delegations, of a tenth. All stream. A prompt object also keeps each "
        "message durably in a file; the bare client, openai-agents and pydantic-ai keep nothing here. Memory is what "
        "the process grew by at its peak."
    )
    text = "\n".join(["# Prompt objects side by side", "", where, words, *report.lines]) + "\n"
    print(text)
    if options.save:
        (HERE / "results" / "agents.md").write_text(text)
    return int(bool(report.missed))


if __name__ == "__main__":
    sys.exit(main())
