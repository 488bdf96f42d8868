"""Python programs in separate processes, forked from a server that has already imported the package.

Such a process is as real as one started by a command line: it has its own memory and files, and can be killed. But it
starts in milliseconds, where an interpreter that imports the package takes longer than most tests need.
"""

import atexit
import os
import runpy
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping, Sequence
from functools import cache
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from multiprocessing.context import ForkServerContext
from pathlib import Path

PRELOADED = [
    "anyio._backends._asyncio",
    "filelock",
    "genai_prices.data",
    "httpcore2",
    "httpx2",
    "mcp.client.stdio",
    "mcp.client.streamable_http",
    "openai.resources.chat",
    "prompt_objects.analysis.check",
    "prompt_objects.cli.commands.chat",
    "prompt_objects.cli.commands.sessions",
    "prompt_objects.cli.parser",
    "prompt_objects.environment.environment",
    "prompt_objects.llm.chat_api.http",
    "prompt_objects.llm.chat_api.client",
    "prompt_objects.migrations.apply",
    "prompt_objects.sessions.formats.json",
    "prompt_objects.sessions.stores.file.store",
    "prompt_objects.tools.builtin.edit",
    "prompt_objects.tools.builtin.http",
    "prompt_objects.tools.builtin.propose",
    "prompt_objects.tools.builtin.search",
    "prompt_objects.tools.loader",
    "prompt_objects.turns.turn",
    "prompt_objects.ui.line.repl",
    "pygments.lexers.python",
    "rich.markdown",
    "truststore",
    "yaml",
]
_READ_AT_START = ("PYTHON", "LANG", "LC_")  # by the interpreter


@cache
def _context() -> ForkServerContext:
    context = ForkServerContext()
    context.set_forkserver_preload(["tests.support.forked", *PRELOADED])
    return context


class ForkedProgram:
    """A program, the path of a file or the name of a module, that runs; its output goes to files.

    Its environment is that of this process, updated by `environ`.
    """

    def __init__(
        self,
        program: str | Path,
        *words: str | Path,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> None:
        self._command = [str(program), *map(str, words)]
        self._folder = tempfile.TemporaryDirectory()
        Path(self._folder.name, "0").write_bytes(stdin)
        variables = {**os.environ, **(environ or {})}
        arguments = (self._command, str(cwd or Path.cwd()), variables, self._folder.name)
        self._process = _context().Process(target=_run, args=arguments)
        self._process.start()

    def output(self, number: int = 1) -> bytes:
        """Return the output so far on standard output (1) or error (2)."""
        path = Path(self._folder.name, str(number))
        return path.read_bytes() if path.exists() else b""

    def kill(self) -> None:
        """Kill the program."""
        self._process.kill()

    def wait(self, timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
        """Wait for the end, and return exit code and output; raises `subprocess.TimeoutExpired`, and kills."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            raise subprocess.TimeoutExpired(self._command, timeout)
        result = subprocess.CompletedProcess(self._command, self._process.exitcode, self.output(1), self.output(2))
        self._folder.cleanup()
        return result


def run_forked(
    program: str | Path,
    *words: str | Path,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 60,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, as `ForkedProgram` does. Raises `subprocess.TimeoutExpired`."""
    return ForkedProgram(program, *words, cwd=cwd, environ=environ, stdin=stdin).wait(timeout)


class ForkedPty:
    """A program on its own pseudo-terminal, with the methods of `ptyprocess.PtyProcess` that the tests need."""

    def __init__(
        self, program: str, *words: str, cwd: str | None, environ: Mapping[str, str], dimensions: tuple[int, int]
    ) -> None:
        self._master, slave = os.openpty()
        self.setwinsize(*dimensions)
        arguments = ([program, *words], cwd or str(Path.cwd()), dict(environ), os.ttyname(slave))
        self._process = _context().Process(target=_run_on_terminal, args=arguments)
        self._process.start()
        self._slave: int | None = slave  # a read would fail if no process had it open

    @property
    def exitstatus(self) -> int:
        """The exit code of the program, which has ended."""
        assert self._process.exitcode is not None
        return self._process.exitcode

    def isalive(self) -> bool:
        """Return whether the program runs."""
        is_alive = self._process.is_alive()
        if not is_alive:
            self._release()
        return is_alive

    def kill(self, signum: int) -> None:
        """Send a signal."""
        assert self._process.pid
        os.kill(self._process.pid, signum)

    def wait(self) -> None:
        """Wait until the program has ended."""
        self._process.join()
        self._release()

    def read(self, size: int) -> bytes:
        """Read from the terminal; `OSError` at its end."""
        piece = os.read(self._master, size)
        self._release()
        return piece

    def write(self, data: bytes) -> None:
        """Type into the terminal."""
        while data:
            data = data[os.write(self._master, data) :]

    def setwinsize(self, rows: int, columns: int) -> None:
        """Set the size of the terminal."""
        termios.tcsetwinsize(self._master, (rows, columns))

    def close(self) -> None:
        """Close the terminal."""
        self._release()
        os.close(self._master)

    def _release(self) -> None:
        """Leave the terminal to the program, which has opened it, so that the end of the one ends the other."""
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None


def can_fork(environ: Mapping[str, str]) -> bool:
    """Return whether a forked program reads these variables as a started one does."""
    return not any(name.startswith(_READ_AT_START) for name in environ)


def _run_on_terminal(command: Sequence[str], cwd: str, environ: Mapping[str, str], terminal: str) -> None:
    os.setsid()
    descriptor = os.open(terminal, os.O_RDWR)  # becomes the controlling terminal
    for number in range(3):
        os.dup2(descriptor, number)
    os.close(descriptor)
    _execute(command, cwd, environ)


def _run(command: Sequence[str], cwd: str, environ: Mapping[str, str], folder: str) -> None:
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)):
        descriptor = os.open(Path(folder, str(number)), flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    _execute(command, cwd, environ)


def _execute(command: Sequence[str], cwd: str, environ: Mapping[str, str]) -> None:
    sys.stdin = TextIOWrapper(BufferedReader(FileIO(0)), encoding="utf-8")
    sys.stdout = TextIOWrapper(BufferedWriter(FileIO(1, "w")), encoding="utf-8", line_buffering=os.isatty(1))
    sys.stderr = TextIOWrapper(
        BufferedWriter(FileIO(2, "w")), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = list(command)
    try:
        if command[0].endswith(".py"):
            runpy.run_path(command[0], run_name="__main__")
        else:
            runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()
