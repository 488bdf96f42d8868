"""The transport to an MCP server that is a program: its standard streams, under a supervisor."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.mcp.transport_report import TransportReport

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_STDERR_SECONDS = 0.5  # to read the last output of a program that has ended


@asynccontextmanager
async def run_program(
    server: ServerConfig, folder: Path, report: TransportReport, on_end: Callable[[], None]
) -> AsyncIterator[Any]:
    """Start a program in `folder` and yield its streams; call `on_end`, in any thread, when it ended."""
    from mcp import StdioServerParameters, stdio_client

    command = [server.command or "", *server.args]
    if sys.platform != "win32":  # Windows ends the child processes with this program anyway
        command = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), *command]
    parameters = StdioServerParameters(
        command=command[0], args=command[1:], env=server.env, cwd=folder, encoding_error_handler="replace"
    )
    reading, writing = os.pipe()
    reader = threading.Thread(target=_read_stderr, args=(reading, report, on_end), name="MCP errors", daemon=True)
    reader.start()
    try:
        async with AsyncExitStack() as stack:
            with os.fdopen(writing, "w") as errors:
                streams = await stack.enter_async_context(stdio_client(parameters, errlog=errors))
            yield streams
    finally:
        await asyncio.to_thread(reader.join, _STDERR_SECONDS)


def _read_stderr(reading: int, report: TransportReport, on_end: Callable[[], None]) -> None:
    """Read until the pipe closes, which is when the program and all its child processes have ended."""
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while data := stream.read(4096):
            report.add(data)
    on_end()
