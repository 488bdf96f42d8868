"""Worker processes for the contracts, which may be killed at any moment."""

import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from tests.support.paths import worker_path

__all__ = ["Worker"]

_PROGRAM = worker_path("store")


class Worker:
    """Another process that has a store open."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, _PROGRAM, url]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def begin(self, *operation: Any) -> None:
        """Start an operation without waiting for it."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(operation).encode() + b"\n")
        self.process.stdin.flush()

    def do(self, *operation: Any) -> None:
        """Do an operation and wait for it."""
        self.begin(*operation)
        assert self.process.stdout
        assert self.process.stdout.readline() == b"done\n"

    def kill(self) -> bytes:
        """Kill the process with SIGKILL; return its remaining output."""
        self.process.kill()
        output, _ = self.process.communicate()
        return output

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.kill()
