"""Paths of data through the code: the files used and the calls between files, for three everyday actions.

    python benchmarks/call_paths.py [--checkout DIR] [--list] [--save]

A message and `/session rename` are typed into the program in a pseudo-terminal; an append is made from Python. Each
is done twice, the second time under `sys.setprofile` in all threads. Counted are the files of the package in which a
function ran, and the distinct pairs of caller and called function in different files. The files of `ui/` are left
out, because the screen is drawn again at every key and tick. `--checkout` measures another checkout of this
repository, `--list` names the files. The goals are two thirds of what the flat layout (decision 0009) needed. Exits
with 1 if one is missed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from machine import describe

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "call_paths.md"
GOALS = {"a typed message": (33, 121), "/session rename": (20, 73), "one append": (10, 28)}
QUIET_SECONDS = 1.5
PATIENCE_SECONDS = 20
SCOUT = "name: scout\nprompt: You look.\n"
APPEND = """
from prompt_objects import Environment
with Environment.open(".") as environment:
    session = environment["scout"].session_manager.create("Notes")
    session.append({"role": "user", "content": "first"})
    recorder.start()
    session.append({"role": "user", "content": "second"})
    recorder.stop(None, None)
"""


class Recorder:
    """Notes every call into the package's files, in all threads, between `start` and `stop`."""

    def __init__(self, package: Path, result: Path) -> None:
        self._package = f"{package}{os.sep}"
        self._result = result
        self._calls: set[tuple[str, str]] = set()

    def start(self, *_: object) -> None:
        """Clear the records and start recording."""
        self._calls.clear()
        threading.setprofile(self)
        sys.setprofile(self)

    def stop(self, *_: object) -> None:
        """Write the records."""
        sys.setprofile(None)
        self._result.write_text(json.dumps(sorted(self._calls)))

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """Note one event of `sys.setprofile`: a function's file, and the function that called it if it is ours."""
        if event == "call" and (name := self._name(frame)):
            self._calls.add((self._name(frame.f_back), name))

    def _name(self, frame: FrameType | None) -> str:
        if frame is None or not frame.f_code.co_filename.startswith(self._package):
            return ""
        return f"{frame.f_code.co_filename.removeprefix(self._package)}:{frame.f_code.co_qualname}"


class Travel(NamedTuple):
    """The files in which functions ran, and the number of pairs of functions that called each other across files."""

    files: list[str]
    calls: int


def travel(result: Path) -> Travel:
    """Read the records of a recorder."""
    pairs = [
        (caller.partition(":")[0], called.partition(":")[0]) for caller, called in json.loads(result.read_text())
    ]
    pairs = [pair for pair in pairs if not any(name.startswith("ui/") for name in pair)]
    return Travel(sorted({called for _, called in pairs}), sum(bool(a) and a != b for a, b in pairs))


def run_recorded(package: Path, result: Path, arguments: list[str]) -> None:
    """Run the append, or the program with its arguments; in the child process."""
    recorder = Recorder(package, result)
    if not arguments:
        exec(APPEND, {"recorder": recorder})
        return
    from prompt_objects.cli import main

    threading.setprofile(recorder)  # threads that are started before the action are recorded, too
    signal.signal(signal.SIGUSR1, recorder.start)
    signal.signal(signal.SIGUSR2, recorder.stop)
    sys.exit(main(arguments))


def command(checkout: Path, result: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command of the child process, and its environment."""
    child = [sys.executable, __file__, "--recorded", str(checkout / "prompt_objects"), str(result), *arguments]
    return child, {**os.environ, "PYTHONPATH": str(checkout), "TERM": "xterm-256color"}


def typed(checkout: Path, folder: Path, first: str, second: str) -> Travel:
    """Type two lines at the prompt, and record the second until the screen has been quiet for a while."""
    from ptyprocess import PtyProcess

    result = folder / "calls.json"
    child, environ = command(checkout, result, "--model", "rehearsal", "--env", str(folder))
    process = PtyProcess.spawn(child, dimensions=(24, 80), env=environ)
    written: list[float] = []  # when the program wrote something since the last wait

    def read() -> None:
        while True:
            try:
                process.read(65536)
            except (EOFError, OSError):
                return
            written.append(time.monotonic())

    def wait() -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and not (written and time.monotonic() - written[-1] > QUIET_SECONDS):
            time.sleep(0.05)
        written.clear()

    threading.Thread(target=read, daemon=True).start()
    wait()
    process.write(f"{first}\r".encode())  # first use loads modules
    wait()
    process.kill(signal.SIGUSR1)
    process.write(f"{second}\r".encode())
    wait()
    process.kill(signal.SIGUSR2)
    end = time.monotonic() + PATIENCE_SECONDS
    while not (result.exists() and result.stat().st_size):
        if not process.isalive() or time.monotonic() > end:
            sys.exit("The program ended, or did not answer, before it was recorded.")
        time.sleep(0.05)
    process.kill(signal.SIGTERM)
    process.wait()
    return travel(result)


def appended(checkout: Path, folder: Path) -> Travel:
    """Record one append to a session of the file store."""
    result = folder / "calls.json"
    child, environ = command(checkout, result)
    subprocess.run(child, check=True, cwd=folder, env=environ)
    return travel(result)


def measure(checkout: Path) -> dict[str, Travel]:
    """Record each action in its own environment."""
    actions: dict[str, Callable[[Path], Travel]] = {
        "a typed message": lambda folder: typed(checkout, folder, "Hello", "Hello again"),
        "/session rename": lambda folder: typed(checkout, folder, "/session rename Two", "/session rename Three"),
        "one append": lambda folder: appended(checkout, folder),
    }
    found = {}
    for action, record in actions.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "objects").mkdir()
            (folder / "objects" / "scout.yaml").write_text(SCOUT)
            found[action] = record(folder)
    return found


def table(found: dict[str, Travel]) -> tuple[str, bool]:
    """Return the table of results, and whether every goal is met."""
    rows, met = ["| action | files | goal | calls between files | goal |", "|---|---|---|---|---|"], True
    for action, (files, calls) in GOALS.items():
        is_met = len(found[action].files) <= files and found[action].calls <= calls
        met = met and is_met
        rows.append(f"| {action} | {len(found[action].files)} | {files} | {found[action].calls} | {calls} |")
    return "\n".join(rows), met


def main() -> int:
    """Measure and print; return 1 if a goal is missed."""
    if sys.argv[1:2] == ["--recorded"]:
        run_recorded(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, default=ROOT, help="the checkout to measure")
    parser.add_argument("--list", action="store_true", help="name the files")
    parser.add_argument("--save", action="store_true", help=f"write the table to {RESULT.relative_to(ROOT)}")
    options = parser.parse_args()
    found = measure(options.checkout.resolve())
    text, met = table(found)
    print(text)
    if options.list:
        for action, path in found.items():
            print(f"\n{action}: {' '.join(path.files)}")
    if options.save:
        RESULT.write_text(f"# Call paths\n\n{describe(ROOT)}\n\n{text}\n", encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
