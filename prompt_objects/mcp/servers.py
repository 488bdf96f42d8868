"""The MCP servers of an environment: each starts when first needed, once for all prompt objects."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeAlias

from prompt_objects.config.definition import Capability
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError
from prompt_objects.mcp.server import Server
from prompt_objects.mcp.trust import is_trusted
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.loader import without_clashes
from prompt_objects.tools.trust import Trust
from prompt_objects.utils.text import did_you_mean

__all__ = [
    "Servers",
]

Offer: TypeAlias = tuple[Capability, Tool]


class Servers:
    """The servers in environment.yaml. They start in `folder`, and only if the user trusts their configuration.

    If a server fails, the turn that needs it gets a notice, and the other servers keep working. `trust` is the
    user's own by default.
    """

    def __init__(
        self,
        configs: Mapping[str, ServerConfig],
        folder: Path,
        environ: Mapping[str, str],
        trust: Trust | None = None,
    ) -> None:
        trusted = partial(is_trusted, folder, configs, trust)
        self._servers = {name: Server(name, config, folder, environ, trusted) for name, config in configs.items()}

    async def tools(
        self, capabilities: Iterable[Capability], context: Context, taken: Collection[str] = ()
    ) -> list[Offer]:
        """Return the tools of all capabilities of the kind `mcp`, each with its capability, in their order.

        Servers that do not run are started, at the same time. Tools whose names are `taken` or occur twice are left
        out.
        """
        wanted = [capability for capability in capabilities if capability.kind == "mcp"]
        offered = await asyncio.gather(*(self._offered(capability, context) for capability in wanted))
        chosen: dict[str, Offer] = {}
        for capability, tools in zip(wanted, offered, strict=True):
            result = without_clashes(tools, {*taken, *chosen}, f"the one of the MCP server {capability.name}")
            chosen |= {name: (capability, tool) for name, tool in result.tools.items()}
            for text in result.notices:
                context.notify(text)
        return list(chosen.values())

    async def close(self) -> None:
        """End all servers; they start again when needed."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    async def _offered(self, capability: Capability, context: Context) -> list[Tool]:
        server = self._servers.get(capability.name)
        if server is None:
            hint = did_you_mean(capability.name, self._servers)
            context.notify(f"There is no MCP server {capability.name!r} in environment.yaml. {hint}".rstrip())
            return []
        try:
            tools = await server.tools(context)
        except ToolError as error:
            context.notify(str(error))
            return []
        for pattern in capability.tools:
            if not any(fnmatchcase(name, pattern) for name in tools):
                context.notify(f"The MCP server {capability.name} has no tool that matches {pattern!r}.")
        patterns = capability.tools or ("*",)
        return [tool for name, tool in tools.items() if any(fnmatchcase(name, pattern) for pattern in patterns)]
