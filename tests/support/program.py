"""The program as a separate process."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.forked import can_fork, run_forked

PROGRAM = [sys.executable, "-m", "prompt_objects"]


def run(*arguments: str, cwd: Path, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the program, with the rehearsal as its model unless `environ` names another."""
    environ = {"PROMPT_OBJECTS_MODEL": "rehearsal", **environ}
    if not can_fork(environ):
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=60,
            env={**os.environ, **environ},
            check=False,
        )
    done = run_forked("prompt_objects", *arguments, cwd=cwd, environ=environ, stdin=(stdin or "").encode())
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def list_sessions(folder: Path) -> list[dict[str, Any]]:
    """Return the sessions that the program lists in a folder."""
    found: list[dict[str, Any]] = json.loads(run("sessions", "list", "--json", cwd=folder).stdout)
    return found


def shell(line: str, cwd: Path, *, stdin: bytes | None = None, **environ: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash, in which `po` is the program; the exit code is the program's, also in a pipe."""
    program = shlex.join(PROGRAM)
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; po() {{ {program} "$@"; }}; {line}'],
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PROMPT_OBJECTS_MODEL": "rehearsal", **environ},
        check=False,
    )
