"""The tools that a turn may call: resolved from a definition, wrapped in approval checks."""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.config.environment import Config
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.interaction import UserInteraction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prompt_objects.analysis.graph import Edge
    from prompt_objects.config.definition import Definition
    from prompt_objects.environment.authority import Authority
    from prompt_objects.mcp.servers import Servers
    from prompt_objects.tools.approval import Approvals
    from prompt_objects.tools.base import Tool
    from prompt_objects.tools.delegation import Receiver
    from prompt_objects.tools.loader import LoadedTools


class CapabilityResolver:
    """Resolves the capabilities of a definition into tools, wrapped in approval checks. Thread-safe.

    `given_tools` are tools of the calling program; tools named in `allowed` run without asking the user.
    `object_names` returns the names of all prompt objects, `receiver` one of them by name. Tools are loaded when they
    are first needed.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are keyword arguments
        self,
        folder: Path,
        config: Config,
        *,
        environ: Mapping[str, str],
        interaction: UserInteraction,
        object_names: Callable[[], Collection[str]],
        receiver: "Callable[[str], Receiver]",
        authority: "Authority",
        given_tools: Iterable["Tool"] = (),
        allowed: Collection[str] = (),
    ) -> None:
        self._folder = folder
        self._config = config
        self._environ = environ
        self._interaction = interaction
        self._object_names = object_names
        self._receiver = receiver
        self._authority = authority
        self._given_tools = tuple(given_tools)
        self._allowed = frozenset(allowed)
        self._lock = threading.Lock()
        self._loaded_tools: LoadedTools | None = None
        self._approvals: Approvals | None = None
        self._notices: set[str] = set()

    def local_tools(self, definition: "Definition") -> "dict[str, Tool]":
        """Return the tools and delegates that a definition names, by name and in its order.

        Raises `DefinitionError` if one of them no longer exists.
        """
        tools = (self._tool(edge) for edge in self._edges(definition))
        return {tool.name: tool for tool in tools}

    async def tools(
        self, definition: "Definition", context: Context, local_tools: "Mapping[str, Tool] | None" = None
    ) -> "Mapping[str, Tool]":
        """Return the local tools, given if they were loaded before, then those of the definition's MCP servers.

        Notifies the user, once, of what is left out because model servers do not accept it.
        """
        from prompt_objects.tools.server_limits import within_server_limits

        if local_tools is None:
            local_tools = await asyncio.to_thread(self.local_tools, definition)
        tools = dict(local_tools)
        if any(capability.kind == "mcp" for capability in definition.capabilities):
            offers = await self._servers.tools(definition.capabilities, context, local_tools)
            tools |= {tool.name: self.approvals.wrap(tool, capability) for capability, tool in offers}
        accepted, notices = within_server_limits(definition.name, tools)
        for notice in notices:
            if notice not in self._notices:
                self._notices.add(notice)
                context.notify(notice)
        return accepted

    def _edges(self, definition: "Definition") -> "Iterator[Edge]":
        from prompt_objects.analysis.graph import resolve_or_raise

        local = [capability for capability in definition.capabilities if capability.kind != "mcp"]
        if local:  # else there is no need to read the folder
            # files may have changed since the definition was checked
            objects, tools = self._object_names(), self.loaded_tools.tools
            for capability in local:
                yield resolve_or_raise(capability, definition, objects=objects, tools=tools)

    def _tool(self, edge: "Edge") -> "Tool":
        if edge.kind == "tool":
            return self.approvals.wrap(self.loaded_tools.tools[edge.target], edge.capability)
        from prompt_objects.tools.delegation import make_delegation_tool

        return make_delegation_tool(self._receiver(edge.target), edge.capability.context)

    @property
    def loaded_tools(self) -> "LoadedTools":
        with self._lock:
            if self._loaded_tools is None:
                from prompt_objects.tools.loader import load_tools

                self._loaded_tools = load_tools(
                    self._folder, given=self._given_tools, is_trusted=self._authority.allows_tools
                )
            return self._loaded_tools

    @property
    def approvals(self) -> "Approvals":
        """The rules for which tool calls run, are refused, or need the user's approval."""
        with self._lock:
            if self._approvals is None:
                from prompt_objects.tools.approval import Approvals

                self._approvals = Approvals(
                    self._config.approval,
                    self._allowed,
                    self._interaction,
                    local_names=lambda: self.loaded_tools.tools,
                )
            return self._approvals

    @cached_property
    def _servers(self) -> "Servers":
        from prompt_objects.mcp.servers import Servers

        return Servers(self._config.mcp_servers, self._folder, self._environ, self._authority.allows_servers)

    def read_only(self) -> tuple[Path, ...]:
        """Return the paths that tools may read but not write, because MCP servers run them."""
        if not self._config.mcp_servers:
            return ()
        from prompt_objects.mcp.command_files import program_paths

        return program_paths(self._folder, self._config.mcp_servers)

    async def disconnect(self) -> None:
        """Stop the MCP servers; they are started again when needed."""
        if "_servers" in self.__dict__:  # else none was started
            await self._servers.close()
