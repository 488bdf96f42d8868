"""Work on what strangers wrote, done in a process of its own: it can be stopped, whatever it is doing."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

__all__ = [
    "run_isolated",
]

_MOST_MEMORY = 2_000_000_000
# The limits hold also where nobody is left to kill it. Not every system has them.
_BEGIN = """
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


async def run_isolated(script: Path, request: bytes, *, seconds: float, most_bytes: int) -> tuple[bytes, bool]:
    """Run a script with `request` as its input; return what it wrote, and whether it came to its end in good order.

    After so many seconds, or with more than so many bytes of output, it is killed, and what it wrote until then is
    returned; it is killed also when this is cancelled.
    """
    async with _started(script, seconds, most_bytes) as (transport, worker):
        stdin = transport.get_pipe_transport(0)
        assert isinstance(stdin, asyncio.WriteTransport)  # noqa: S101 - it is a pipe
        stdin.write(request)
        stdin.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await worker.done.wait()
    return bytes(worker.written), worker.is_finished and transport.get_returncode() == 0


class _Worker(asyncio.SubprocessProtocol):
    """Takes what a process writes.

    It is no `asyncio.subprocess.Process`, whose `wait` may wait for ever for one that was killed while it wrote.
    """

    def __init__(self, most_bytes: int) -> None:
        self.written = bytearray()
        self.is_finished = False  # it ended, and all it wrote was taken
        self.done = asyncio.Event()  # finished, or it wrote too much
        self.exited = asyncio.Event()
        self._most_bytes = most_bytes

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002
        self.written += data
        if len(self.written) > self._most_bytes:
            self.done.set()

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.is_finished = not self.done.is_set()
        self.done.set()


@asynccontextmanager
async def _started(
    script: Path, seconds: float, most_bytes: int
) -> AsyncIterator[tuple[asyncio.SubprocessTransport, _Worker]]:
    """Start a script with this interpreter and what it can import, but not what lies beside the script."""
    transport, worker = await asyncio.get_running_loop().subprocess_exec(
        lambda: _Worker(most_bytes),
        *(sys.executable, "-P", "-c", _BEGIN, str(script), str(int(seconds) + 1), str(_MOST_MEMORY)),
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the program, which ends this
    )
    try:
        yield transport, worker
    finally:
        _kill(transport.get_pid())
        transport.close()
        await worker.exited.wait()


if sys.platform == "win32":

    def _kill(process: int) -> None:
        """Do nothing: closing the transport kills the process itself, and groups there are none."""
else:

    def _kill(process: int) -> None:
        """Kill a process that leads a group, with all that it started; also where it has ended before them."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)
