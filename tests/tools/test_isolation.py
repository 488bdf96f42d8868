"""Scripts in a separate process end in time and leave no process behind."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from prompt_objects.tools.isolation import run_isolated

ECHO = "import sys; sys.stdout.write(sys.stdin.read().upper())"
HANG = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def script(folder: Path, source: str) -> Path:
    (folder / "json.py").write_text("raise AssertionError('what lies beside a script is not imported')")
    file = folder / "script.py"
    file.write_text(source)
    return file


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")  # if the file exists: a zombie process has ended
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_the_output_is_returned(tmp_path: Path) -> None:
    source = f"import json, msgspec\n{ECHO}"
    request = b"a" * 300_000
    assert await run_isolated(script(tmp_path, source), request, seconds=10, max_bytes=10**6) == (
        request.upper(),
        True,
    )


async def test_failure_is_distinguished_from_success(tmp_path: Path) -> None:
    written, ended = await run_isolated(script(tmp_path, "print('a'); 1 / 0"), b"x" * 10**6, seconds=10, max_bytes=99)
    assert (written, ended) == (b"a\n", False)


async def test_after_the_time_limit_the_process_is_killed_and_its_output_returned(tmp_path: Path) -> None:
    start = time.perf_counter()
    written, ended = await run_isolated(script(tmp_path, HANG), b"", seconds=0.7, max_bytes=99)
    assert time.perf_counter() - start < 3
    assert not ended
    assert not is_alive(int(written))


async def test_a_process_with_endless_output_is_killed(tmp_path: Path) -> None:
    written, ended = await run_isolated(
        script(tmp_path, "while True: print('x' * 1000)"), b"", seconds=10, max_bytes=100_000
    )
    assert not ended
    assert 100_000 < len(written) <= 100_000 + 256 * 1024  # at most one read too many


async def test_many_processes_with_endless_output_are_all_killed(tmp_path: Path) -> None:
    """A process that is killed while it writes does not block the others."""
    endless = script(tmp_path, "while True: print('x' * 1000)")
    for _ in range(6):
        done = await asyncio.gather(*(run_isolated(endless, b"", seconds=10, max_bytes=99) for _ in range(3)))
        assert not any(ended for _, ended in done)


async def test_child_processes_are_killed_too(tmp_path: Path) -> None:
    source = "import os, time\nif not os.fork(): print(os.getpid(), flush=True); time.sleep(60)"
    written, _ = await run_isolated(script(tmp_path, source), b"", seconds=2, max_bytes=99)
    child = int(written)
    end = time.monotonic() + 5
    while is_alive(child):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_cancellation_kills_the_process(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")
    source = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    work = asyncio.create_task(run_isolated(script(tmp_path, source), b"", seconds=30, max_bytes=99))
    process = int(await asyncio.to_thread((tmp_path / "pid").read_text))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not is_alive(process)
