"""The time of a start above that of Python itself, compared with other chat programs for the terminal.

    python benchmarks/startup.py [--rounds 15] [--peers] [--save]

`--version` is timed from start to exit; the prompt is timed in a real pseudo-terminal, from start until it is on the
screen, with an empty store and with 10,000 sessions. `--peers` installs `llm` and `shell-gpt` into virtual
environments and times them in the same rounds. Exits with 1 if a goal is missed: 50 ms and 160 ms above Python, and a
full store as fast as an empty one.
"""

import argparse
import os
import pty
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from machine import describe
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.registry import open_store

HERE = Path(sys.executable).parent
SESSIONS = 10_000
PEERS = {
    "llm": (["llm"], ["llm", "chat", "-m", "gpt-4o-mini"], "> "),
    "shell-gpt": (["shell-gpt", "click"], ["sgpt", "--repl", "temp"], ">>> "),  # which it forgets to ask for
}


def run(command: list[str], environ: dict[str, str]) -> float:
    """Time a command from start to exit, in milliseconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def until_shown(command: list[str], prompt: str, environ: dict[str, str], folder: Path) -> float:
    """Time a command in a pseudo-terminal until it has written `prompt`, in milliseconds."""
    start = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        termios.tcsetwinsize(0, (24, 80))
        os.chdir(folder)
        os.execve(command[0], command, environ)
    output = b""
    try:
        while prompt.encode() not in output:
            output += os.read(terminal, 65536)
        return (time.perf_counter() - start) * 1000
    except OSError:
        raise SystemExit(f"{command[0]} ended without a prompt:\n{output.decode(errors='replace')}") from None
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def make_environment(folder: Path, sessions: int) -> Path:
    """Make an environment with that many sessions, through the same store that the program uses."""
    (folder / "objects").mkdir(parents=True)
    (folder / "objects" / "greeter.yaml").write_text("name: greeter\nprompt: You greet people.\n")
    store = open_store(f"files:{folder / '.prompt_objects'}")
    manager = SessionManager(store, "greeter")
    manager.current()
    for number in range(sessions):
        manager.create(f"Conversation {number}")
    store.close()
    return folder


def install(packages: list[str], folder: Path) -> Path:
    """Install a peer into its own virtual environment and return its programs' folder."""
    subprocess.run([sys.executable, "-m", "venv", folder / packages[0]], check=True)
    programs = folder / packages[0] / "bin"
    subprocess.run([programs / "pip", "install", "-q", *packages], check=True)
    return programs


def measurements(folder: Path, *, peers: bool) -> dict[str, Callable[[], float]]:
    """Return the commands to measure, by name."""
    environ = {**os.environ, "TERM": "xterm-256color", "OPENAI_API_KEY": "none", "HOME": str(folder)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as in normal use, Python keeps compiled files
    own = str(HERE / "prompt-objects")
    few, many = make_environment(folder / "few", 0), make_environment(folder / "many", SESSIONS)

    def shown(place: Path) -> Callable[[], float]:
        prompt = "greeter \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
        return partial(until_shown, [own, "--env", str(place)], prompt, environ, folder)

    found: dict[str, Callable[[], float]] = {
        "python -c pass": lambda: run([sys.executable, "-c", "pass"], environ),
        "prompt-objects --version": lambda: run([own, "--version"], environ),
        "prompt-objects, prompt, no sessions": shown(few),
        f"prompt-objects, prompt, {SESSIONS:,} sessions": shown(many),
    }
    for name, (packages, chat, prompt) in (PEERS if peers else {}).items():
        command = [str(install(packages, folder) / chat[0]), *chat[1:]]
        found[f"{name} --version"] = partial(run, [command[0], "--version"], environ)
        found[f"{name}, prompt"] = partial(until_shown, command, prompt, environ, folder)
    return found


def main() -> int:
    """Measure, print a table, and say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="startup-"))
    try:
        what = measurements(folder, peers=options.peers)
        times: dict[str, list[float]] = {name: [] for name in what}
        for number in range(options.rounds + 1):
            for name, measure in what.items():
                taken = measure()
                if number:  # the first round only warms the disk's cache
                    times[name].append(taken)
    finally:
        shutil.rmtree(folder)
    return report({name: statistics.median(taken) for name, taken in times.items()}, options)


def report(medians: dict[str, float], options: argparse.Namespace) -> int:
    """Print the table and the verdict; save it where that was asked for."""
    python, version, few, many = list(medians.values())[:4]
    lines = ["| start | median ms | above Python |", "|---|---|---|"]
    lines += [f"| {name} | {taken:.0f} | {taken - python:+.0f} |" for name, taken in medians.items()]
    goals = {
        "--version at most 50 ms above Python": version - python <= 50,
        "the prompt at most 160 ms above Python": many - python <= 160,
        "as fast with 10,000 sessions as with none (within 10%)": many <= few * 1.1,
    }
    lines += ["", *(f"- {'met' if met else 'MISSED'}: {goal}" for goal, met in goals.items())]
    machine = describe(Path(tempfile.gettempdir()))
    head = f"# Startup\n\n{machine} Medians of {options.rounds} rounds.\n"
    text = "\n".join([head, *lines, ""])
    print(text)
    if options.save:
        (Path(__file__).parent / "results" / "startup.md").write_text(text)
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
