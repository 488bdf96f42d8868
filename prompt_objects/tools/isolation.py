"""Runs scripts on untrusted input in a separate process, which can always be killed."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_MAX_MEMORY = 2_000_000_000
# The limits end the process even if its parent is gone. Not every system supports them.
_BOOTSTRAP = """
import runpy, sys
script, seconds, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
except (ImportError, OSError, ValueError):
    pass
runpy.run_path(script, run_name="__main__")
"""


async def run_isolated(script: Path, request: bytes, *, seconds: float, max_bytes: int) -> tuple[bytes, bool]:
    """Return a script's output, and whether it finished within `seconds` and `max_bytes`; otherwise it is killed."""
    transport, worker = await asyncio.get_running_loop().subprocess_exec(
        lambda: _Worker(max_bytes),
        # `-P` and PYTHONPATH: the script has this program's import path, without its own folder.
        *(sys.executable, "-P", "-c", _BOOTSTRAP, str(script), str(int(seconds) + 1), str(_MAX_MEMORY)),
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C must reach only the main program
    )
    try:
        stdin = transport.get_pipe_transport(0)
        assert isinstance(stdin, asyncio.WriteTransport)  # noqa: S101 - it is a pipe
        stdin.write(request)
        stdin.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await worker.done.wait()
    finally:
        if sys.platform != "win32":  # there, closing the transport kills the process
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(transport.get_pid(), signal.SIGKILL)  # even if the leader of the group has ended
        transport.close()
        await worker.exited.wait()
    return bytes(worker.output), worker.is_finished and transport.get_returncode() == 0


class _Worker(asyncio.SubprocessProtocol):
    """Collects the output of a process; `asyncio`'s own class may wait forever for a process that was killed."""

    def __init__(self, max_bytes: int) -> None:
        self.output = bytearray()
        self.is_finished = False  # it ended, and all its output was read
        self.done = asyncio.Event()  # finished, or the output is too long
        self.exited = asyncio.Event()
        self._max_bytes = max_bytes

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002
        if not self.done.is_set():  # what comes before the process is killed is discarded
            self.output += data
        if len(self.output) > self._max_bytes:
            self.done.set()

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.is_finished = not self.done.is_set()
        self.done.set()
