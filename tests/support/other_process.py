"""A turn in another process, for tests of concurrent use."""

import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.support.paths import worker_path

WORKER = worker_path("turn")


class Elsewhere:
    """Runs a turn of the scout in a session, from `with` on, until `answer` or `kill`."""

    def __init__(self, folder: Path, session_id: str) -> None:
        command = [sys.executable, WORKER, str(folder), session_id]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        self._expect("at it")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def tell(self, answer: str) -> None:
        """Let the model respond; the turn ends soon."""
        assert self._process.stdin
        self._process.stdin.write(f"{answer}\n")
        self._process.stdin.flush()

    def answer(self, answer: str) -> None:
        """Let the model respond and wait until the turn has ended."""
        self.tell(answer)
        self._expect("done")

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()

    def _expect(self, line: str) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline().strip() == line
