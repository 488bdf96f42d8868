"""Work on what strangers wrote, done in a process of its own: it can be stopped, whatever it is doing."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

__all__ = ["work_apart"]

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


async def work_apart(script: Path, request: bytes, *, seconds: float, most_bytes: int) -> tuple[bytes, bool]:
    """Run a script with `request` as its input; return what it wrote, and whether it came to its end in good order.

    After so many seconds, or with more than so many bytes of output, it is killed, and what it wrote until then is
    returned; it is killed also when this is cancelled.
    """
    written = bytearray()
    ended = False
    async with _started(script, seconds) as process:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                _, all_read = await asyncio.gather(_send(process, request), _receive(process, written, most_bytes))
                ended = all_read and await process.wait() == 0
    return bytes(written), ended


@asynccontextmanager
async def _started(script: Path, seconds: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a script with this interpreter and what it can import, but not what lies beside the script."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _BEGIN, str(script), str(int(seconds) + 1), str(_MOST_MEMORY)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the program, which ends this
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _send(process: asyncio.subprocess.Process, request: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    process.stdin.write(request)
    with suppress(ConnectionError):  # it ended without having read all
        await process.stdin.drain()
    process.stdin.close()


async def _receive(process: asyncio.subprocess.Process, written: bytearray, most_bytes: int) -> bool:
    """Add what it writes to `written`; say whether that was all."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    while len(written) <= most_bytes:
        piece = await process.stdout.read(65_536)
        if not piece:
            return True
        written += piece
    return False
