"""What the prompt objects of an environment may use: its tools, those of MCP servers, and one another."""

import threading
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.config.environment import Config
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.interaction import UserInteraction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prompt_objects.analysis.graph import Edge
    from prompt_objects.config.definition import Definition
    from prompt_objects.mcp.servers import Servers
    from prompt_objects.tools.approval import Approvals
    from prompt_objects.tools.base import Tool
    from prompt_objects.tools.delegation import Receiver
    from prompt_objects.tools.loader import LoadResult

__all__ = [
    "CapabilityResolver",
]


class CapabilityResolver:
    """Makes of what definitions name the tools that turns call, each behind what must be approved before it runs.

    `given` are a program's own tools; those named in `allowed` run without the user being asked. `objects` returns
    the names of all prompt objects, `receiver` one of them by its name. Tools are looked for when they are first
    needed; safe to use from several threads.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are given by their own names
        self,
        folder: Path,
        config: Config,
        *,
        environ: Mapping[str, str],
        interaction: UserInteraction,
        objects: "Callable[[], Collection[str]]",
        receiver: "Callable[[str], Receiver]",
        given: Iterable["Tool"] = (),
        allowed: Collection[str] = (),
    ) -> None:
        self._folder = folder
        self._config = config
        self._environ = environ
        self._interaction = interaction
        self._objects = objects
        self._receiver = receiver
        self._given = tuple(given)
        self._allowed = frozenset(allowed)
        self._making = threading.Lock()
        self._toolbox: LoadResult | None = None
        self._approvals: Approvals | None = None

    def local_tools(self, definition: "Definition") -> "dict[str, Tool]":
        """Return what a definition names of the environment's own, by name and in its order.

        Raises `DefinitionError` where there is no longer what it names.
        """
        tools = (self._tool(link) for link in self._links(definition))
        return {tool.name: tool for tool in tools}

    async def all_tools(
        self, definition: "Definition", context: Context, own: "Mapping[str, Tool]"
    ) -> "Mapping[str, Tool]":
        """Return `own`, and behind it what MCP servers offer of what the definition names."""
        if not any(capability.kind == "mcp" for capability in definition.capabilities):
            return own
        offers = await self._servers.tools(definition.capabilities, context, own)
        return {**own, **{tool.name: self.approvals.wrap(tool, capability) for capability, tool in offers}}

    def _links(self, definition: "Definition") -> "Iterator[Edge]":
        """Yield what a definition names of the environment's own; files may have changed since it was checked."""
        from prompt_objects.analysis.graph import require

        own = [capability for capability in definition.capabilities if capability.kind != "mcp"]
        if own:  # else the folder need not be looked at
            objects, tools = self._objects(), self.toolbox.tools
            for capability in own:
                yield require(capability, definition, objects=objects, tools=tools)

    def _tool(self, link: "Edge") -> "Tool":
        if link.kind == "tool":
            return self.approvals.wrap(self.toolbox.tools[link.target], link.capability)
        from prompt_objects.tools.delegation import delegate

        return delegate(self._receiver(link.target), link.capability.context)

    @property
    def toolbox(self) -> "LoadResult":
        """The tools that definitions may name; made once, also for turns side by side."""
        with self._making:
            if self._toolbox is None:
                from prompt_objects.tools.registry import load_registry

                self._toolbox = load_registry(self._folder, given=self._given)
            return self._toolbox

    @property
    def approvals(self) -> "Approvals":
        """What may run, and who is asked."""
        with self._making:
            if self._approvals is None:
                from prompt_objects.tools.approval import Approvals

                self._approvals = Approvals(
                    self._config.approval,
                    self._allowed,
                    self._interaction,
                    local_names=lambda: self.toolbox.tools,
                )
            return self._approvals

    @cached_property
    def _servers(self) -> "Servers":
        """The MCP servers that environment.yaml names; each starts when it is first needed."""
        from prompt_objects.mcp.servers import Servers

        return Servers(self._config.mcp_servers, self._folder, self._environ)

    def read_only(self) -> tuple[Path, ...]:
        """Return what of the folder tools may read and not write, as MCP servers run it."""
        if not self._config.mcp_servers:
            return ()
        from prompt_objects.mcp.command_files import guarded

        return guarded(self._folder, self._config.mcp_servers)

    async def disconnect(self) -> None:
        """Let go of MCP servers; they are started again when needed."""
        if "_servers" in self.__dict__:  # they were made
            await self._servers.close()
