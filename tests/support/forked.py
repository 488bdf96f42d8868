"""Python programs in processes of their own, forked from a server that has already imported the package.

Such a process is as real as one started by a command line: it has its own memory and files, and can be killed. But it
starts in milliseconds, where an interpreter that imports the package takes longer than most tests need.
"""

import atexit
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from multiprocessing.context import ForkServerContext
from pathlib import Path

PRELOADED = [
    "filelock",
    "prompt_objects.cli.commands.send",
    "prompt_objects.cli.commands.sessions",
    "prompt_objects.cli.parser",
    "prompt_objects.environment.environment",
    "prompt_objects.migrations.apply",
    "prompt_objects.sessions.stores.file.store",
    "prompt_objects.tools.loader",
    "prompt_objects.turns.turn",
    "yaml",
]


@cache
def _context() -> ForkServerContext:
    context = ForkServerContext()
    context.set_forkserver_preload(["tests.support.forked", *PRELOADED])
    return context


def run_forked(
    program: str,
    *words: str | Path,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 60,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program, the path of a file or the name of a module, and return its exit code and output.

    The environment is this process's, updated by `environ`. Raises `subprocess.TimeoutExpired`.
    """
    command = [program, *map(str, words)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "0").write_bytes(stdin)
        arguments = (command, str(cwd or Path.cwd()), {**os.environ, **(environ or {})}, name)
        process = _context().Process(target=_run, args=arguments)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout)
        output, errors = ((folder / number).read_bytes() if (folder / number).exists() else b"" for number in "12")
        return subprocess.CompletedProcess(command, process.exitcode, output, errors)


def _run(command: Sequence[str], cwd: str, environ: Mapping[str, str], folder: str) -> None:
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)):
        descriptor = os.open(Path(folder, str(number)), flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = TextIOWrapper(BufferedReader(FileIO(0)), encoding="utf-8")
    sys.stdout = TextIOWrapper(BufferedWriter(FileIO(1, "w")), encoding="utf-8")
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
