"""MCP servers in tests, used as by a turn of a prompt object."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from msgspec.structs import replace

from prompt_objects.config.definition import Capability
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.config.yaml.document import TOP
from prompt_objects.environment.environment import Environment
from prompt_objects.mcp.servers import Servers
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import EventBus, Notice, Subscription
from prompt_objects.tools.base import Tool

SERVER = str(Path(__file__).with_name("mcp_example_server.py"))
EXAMPLE = ServerConfig(command=sys.executable, args=(SERVER,))


class Turn:
    """The servers as a turn uses them, and the notices for the user."""

    def __init__(self, servers: Servers, folder: Path, news: Subscription, bus: EventBus) -> None:
        self.servers = servers
        self.context = context_in(folder, bus)
        self._news = news

    async def tools(self, *globs: str, name: str = "example", taken: Collection[str] = ()) -> dict[str, Tool]:
        capability = Capability(kind="mcp", name=name, tools=globs, at=TOP)
        return {tool.name: tool for _, tool in await self.servers.tools([capability], self.context, taken)}

    async def call(self, tool: str, **arguments: object) -> str:
        return await (await self.tools())[tool].run(arguments, self.context)

    def started(self, tool: str, **arguments: object) -> asyncio.Task[str]:
        """Begin a call."""
        return asyncio.create_task(self.call(tool, **arguments))

    def notices(self) -> list[str]:
        """Return the notices since the last call, except those that depend on the speed of the machine."""
        return [notice for notice in self.all_notices() if not notice.endswith("is still starting.")]

    def all_notices(self) -> list[str]:
        """Return the notices since the last call."""
        return [event.text for event in self._news.drain() if isinstance(event, Notice)]


@asynccontextmanager
async def using(
    folder: Path, configs: Mapping[str, ServerConfig] | None = None, *, trusted: bool = True, **environ: str
) -> AsyncIterator[Turn]:
    """Offer servers, by default the example, and end them."""
    configs = {"example": EXAMPLE} if configs is None else configs
    servers, bus = Servers(configs, folder, environ, lambda _: trusted), EventBus()
    with bus.subscribe() as news:
        try:
            yield Turn(servers, folder, news, bus)
        finally:
            await servers.close()


def context_in(folder: Path, bus: EventBus) -> Context:
    """Return the context of a turn that publishes to `bus`."""
    (folder / "objects").mkdir(exist_ok=True)
    context = Environment.open(folder, store="memory:").context()
    return replace(context, services=replace(context.services, bus=bus))


async def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until a condition holds; fail if it takes too long."""
    await asyncio.to_thread(wait_until, is_so, seconds)


def wait_until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, even if its parent has not waited for it yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    if not Path("/proc/self").exists():
        return False
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
