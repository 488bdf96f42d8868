"""No child process of an MCP server is left when the program ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError
from tests.support.mcp_servers import SERVER, is_gone, until, using, wait_until
from tests.support.paths import ROOT, SUPPORT

pytest.importorskip("mcp")

RAW = str(SUPPORT / "mcp_raw_server.py")
STUBBORN = ServerConfig(command=sys.executable, args=(SERVER, "stubborn"))

PROGRAM = """
import asyncio, sys
from pathlib import Path
from tests.support.mcp_servers import SERVER, using
from prompt_objects.config.environment_schema import ServerConfig

async def main():
    config = ServerConfig(command=sys.executable, args=(SERVER, *sys.argv[2:]))
    async with using(Path(sys.argv[1]), {"example": config}) as turn:
        print((await turn.call("example_look_around")).split()[0], await turn.call("example_spawn"), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_server_ends_with_all_its_child_processes(tmp_path: Path) -> None:
    async with using(tmp_path) as turn:
        pids = [int((await turn.call("example_look_around")).split()[0]), int(await turn.call("example_spawn"))]
        assert not any(is_gone(pid) for pid in pids)
    await until(lambda: all(is_gone(pid) for pid in pids), 2)


async def test_a_server_that_does_not_end_is_killed(tmp_path: Path) -> None:
    async with using(tmp_path, {"example": STUBBORN}) as turn:
        pids = [int((await turn.call("example_look_around")).split()[0]), int(await turn.call("example_spawn"))]
    await until(lambda: all(is_gone(pid) for pid in pids), 2)


async def test_child_processes_of_a_crashed_server_are_killed(tmp_path: Path) -> None:
    async with using(tmp_path) as turn:
        pid = int((await turn.call("example_look_around")).split()[0])
        child = int(await turn.call("example_spawn"))
        os.kill(pid, signal.SIGKILL)
        await until(lambda: is_gone(child), 3)


async def test_a_server_that_closed_its_output_is_ended_before_the_next_start(tmp_path: Path) -> None:
    config = ServerConfig(command=sys.executable, args=(RAW, "closing"))
    async with using(tmp_path, {"example": config}) as turn:
        with pytest.raises(ToolError, match="was lost before it responded"):
            await turn.call("example_get")
        first = int((tmp_path / "pids").read_text())
        tools = await turn.tools()
        assert is_gone(first)
        with pytest.raises(ToolError, match="was lost before it responded"):
            await tools["example_get"].run({}, turn.context)
    assert all(is_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split()[1:])
    assert len((tmp_path / "pids").read_text().split()) == 2


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGKILL, ()), (signal.SIGKILL, ("stubborn",)), (signal.SIGINT, ())]
)
def test_nothing_is_left_behind_when_the_program_is_killed(
    tmp_path: Path, number: signal.Signals, kind: tuple[str, ...]
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), *kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as program:
        assert program.stdout
        pids = [int(pid) for pid in program.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(is_gone(pid) for pid in pids)
        program.send_signal(number)
        wait_until(lambda: all(is_gone(pid) for pid in pids))
