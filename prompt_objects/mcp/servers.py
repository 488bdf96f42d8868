"""The MCP servers of an environment, and the tools that a prompt object gets from them."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from prompt_objects.config.definition import Capability
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError
from prompt_objects.mcp.server import Server
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.loader import without_duplicates
from prompt_objects.utils.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

CapabilityTool: TypeAlias = tuple[Capability, Tool]


class Servers:
    """The servers in environment.yaml, which start only if `is_trusted`; one may fail without the others."""

    def __init__(
        self,
        configs: Mapping[str, ServerConfig],
        folder: Path,
        environ: Mapping[str, str],
        is_trusted: "Callable[[Mapping[str, ServerConfig]], bool]",
    ) -> None:
        trusted = partial(is_trusted, configs)
        self._servers = {name: Server(name, config, folder, environ, trusted) for name, config in configs.items()}

    async def tools(
        self, capabilities: Iterable[Capability], context: Context, taken: Collection[str] = ()
    ) -> list[CapabilityTool]:
        """Return the tools of the MCP servers among the capabilities; duplicates and `taken` names are left out."""
        wanted = [capability for capability in capabilities if capability.kind == "mcp"]
        offered = await asyncio.gather(*(self._tools_of(capability, context) for capability in wanted))
        chosen: dict[str, CapabilityTool] = {}
        for capability, tools in zip(wanted, offered, strict=True):
            result = without_duplicates(tools, {*taken, *chosen}, f"the one of the MCP server {capability.name}")
            chosen |= {name: (capability, tool) for name, tool in result.tools.items()}
            for text in result.notices:
                context.notify(text)
        return list(chosen.values())

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    async def _tools_of(self, capability: Capability, context: Context) -> list[Tool]:
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
