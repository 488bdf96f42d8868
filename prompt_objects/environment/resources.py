"""Definitions of an environment, and the models and tools that they name."""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.config.environment import Config
from prompt_objects.config.limits import LimitsConfig
from prompt_objects.errors import DefinitionError, NotFound
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.interaction import UserInteraction
from prompt_objects.utils.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prompt_objects.analysis.graph import Edge
    from prompt_objects.config.definition import Definition
    from prompt_objects.llm.base import LLM
    from prompt_objects.llm.connect import FallbackChain, ModelConnection
    from prompt_objects.mcp.server import Servers
    from prompt_objects.tools.approval import Approvals
    from prompt_objects.tools.base import Tool
    from prompt_objects.tools.delegation import Receiver
    from prompt_objects.tools.loader import LoadedTools


SUFFIXES = (".yaml", ".yml", ".md")


class Catalog:
    """The definitions of one folder, each read when it is first needed and again when its file changes.

    `tools` returns the names of all tools; `servers` are the names of MCP servers; `bounds` limit every prompt
    object. Thread-safe: at worst two threads read the same file.
    """

    def __init__(
        self, folder: Path, tools: Callable[[], Collection[str]], servers: Collection[str], bounds: LimitsConfig
    ) -> None:
        self.folder = folder
        self._tools = tools
        self._servers = servers
        self._bounds = bounds
        self._cache: dict[Path, tuple[object, Definition | DefinitionError]] = {}

    def files(self) -> tuple[dict[str, Path], list[DefinitionError]]:
        """Return the definition files by name, and an error for every file whose name is already taken."""
        return find_definitions(self.folder)

    def names(self) -> list[str]:
        """Return the names of all prompt objects in alphabetical order, including those with invalid definitions."""
        return sorted(self.files()[0])

    def __contains__(self, name: object) -> bool:
        return name in self.files()[0]

    def __getitem__(self, name: str) -> "Definition":
        """Return a definition in its file's current version. Raises `NotFound` and `DefinitionError`."""
        from prompt_objects.analysis.graph import require

        files, _ = self.files()
        if name not in files:
            hint = did_you_mean(name, files) or f"There are: {', '.join(sorted(files)) or 'none'}."
            raise NotFound(f"There is no prompt object {name!r} in {self.folder}.", hint=hint)
        definition = self._load(files[name])
        for capability in definition.capabilities:
            require(capability, definition, objects=files, tools=self._tools(), servers=self._servers)
        return definition

    def errors(self) -> list[DefinitionError]:
        files, errors = self.files()
        for name in sorted(files):
            try:
                self[name]
            except DefinitionError as error:
                errors.append(error)
        return errors

    def notices(self) -> list[str]:
        notices: list[str] = []
        for name in self.names():
            with suppress(DefinitionError):
                notices += self[name].notices
        return notices

    def _load(self, file: Path) -> "Definition":
        try:
            status = file.stat()
            version: object = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        except OSError:
            version = None
        cached = self._cache.get(file)
        if cached is None or version is None or cached[0] != version:
            from prompt_objects.config.definition import load_definition

            try:
                cached = (version, load_definition(file, bounds=self._bounds))
            except DefinitionError as error:
                cached = (version, error)
            self._cache[file] = cached
        if isinstance(cached[1], DefinitionError):
            raise cached[1]
        return cached[1]


def find_definitions(folder: Path) -> tuple[dict[str, Path], list[DefinitionError]]:
    """Return the definition files of a folder by name, and the errors found on the way.

    If several files define one name, the first in the order .yaml, .yml, .md counts, and each other one is an error.
    Hidden files and backups of editors are ignored; a missing folder is empty.
    """
    found: dict[str, Path] = {}
    errors: list[DefinitionError] = []
    try:
        files = [file for file in folder.iterdir() if file.suffix in SUFFIXES and not file.name.startswith(".")]
    except FileNotFoundError:
        return found, errors
    except OSError as error:
        return found, [DefinitionError(f"The folder cannot be read: {error.strerror}.", file=folder)]
    for file in sorted(files, key=lambda file: (file.stem, SUFFIXES.index(file.suffix))):
        first = found.setdefault(file.stem, file)
        if first is not file:
            problem = f"{first.name} already defines {file.stem!r}."
            errors.append(DefinitionError(problem, file=file, hint="Rename or remove one of the two."))
    return found, errors


class ModelRegistry:
    """The `connections` to models by name, each opened when it is first needed. Thread-safe.

    `selected` (a model's name, or a key of `models` in environment.yaml) is used instead of the definitions' models;
    `llm` is a client to use for every model.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], *, selected: str | None = None, llm: "LLM | None" = None
    ) -> None:
        self._config = config
        self._environ = environ
        self._selected = selected
        self._llm = llm
        self.connections: dict[str | None, ModelConnection] = {}
        self._lock = threading.Lock()

    def connection_for(self, definition: "Definition") -> "ModelConnection":
        """Return the connection to the model of a definition. Raises `UsageError`.

        If no model is configured, this looks for a local model server, which takes a moment.
        """
        return self._connect(self._name_for(definition))

    async def fallback_chain_for(self, definition: "Definition") -> "FallbackChain":
        """Return the models that a turn tries: the definition's model, then its fallbacks. Raises `UsageError`.

        Fallbacks are ignored if the user selected a model explicitly.
        """
        from prompt_objects.llm.connect import FallbackChain

        names = () if self._selected or not definition.model else definition.model.fallback
        connection = self.connections.get(self._name_for(definition))
        if connection is None:
            connection = await asyncio.to_thread(self.connection_for, definition)
        return FallbackChain(connection, [partial(self._connect, name) for name in names])

    def select(self, model: str) -> "ModelConnection":
        """Use a model, given by name or by a key of `models`, for every prompt object. Raises `UsageError`."""
        connection = self._connect(model)
        self._selected = model
        return connection

    def connected_model(self, definition: "Definition") -> str:
        """Return the name of the model of a definition; empty if there is no connection to it yet."""
        connection = self.connections.get(self._name_for(definition))
        return connection.llm.model if connection else ""

    def has_known_price(self, model: str | None) -> bool:
        from prompt_objects.llm.connect import has_known_price

        return has_known_price(model, self._config, self._environ)

    def _connect(self, model: str | None) -> "ModelConnection":
        from prompt_objects.llm.connect import ModelConnection, connect

        with self._lock:
            if model not in self.connections:
                given = self._llm and ModelConnection(self._llm, "given by the program")
                self.connections[model] = given or connect(model, self._config, self._environ)
            return self.connections[model]

    def _name_for(self, definition: "Definition") -> str | None:
        return self._selected or (definition.model.use if definition.model else None)

    async def disconnect(self) -> None:
        await asyncio.gather(*(connection.llm.close() for connection in self.connections.values()))


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
        given_tools: Iterable["Tool"] = (),
        allowed: Collection[str] = (),
    ) -> None:
        self._folder = folder
        self._config = config
        self._environ = environ
        self._interaction = interaction
        self._object_names = object_names
        self._receiver = receiver
        self._given_tools = tuple(given_tools)
        self._allowed = frozenset(allowed)
        self._lock = threading.Lock()
        self._loaded_tools: LoadedTools | None = None
        self._approvals: Approvals | None = None

    def local_tools(self, definition: "Definition") -> "dict[str, Tool]":
        """Return the tools and delegates that a definition names, by name and in its order.

        Raises `DefinitionError` if one of them no longer exists.
        """
        tools = (self._tool(edge) for edge in self._edges(definition))
        return {tool.name: tool for tool in tools}

    async def all_tools(
        self, definition: "Definition", context: Context, local_tools: "Mapping[str, Tool]"
    ) -> "Mapping[str, Tool]":
        """Return `local_tools`, followed by the tools of MCP servers that the definition names."""
        if not any(capability.kind == "mcp" for capability in definition.capabilities):
            return local_tools
        offers = await self._servers.tools(definition.capabilities, context, local_tools)
        return {**local_tools, **{tool.name: self.approvals.wrap(tool, capability) for capability, tool in offers}}

    def _edges(self, definition: "Definition") -> "Iterator[Edge]":
        from prompt_objects.analysis.graph import require  # files may have changed since the definition was checked

        local = [capability for capability in definition.capabilities if capability.kind != "mcp"]
        if local:  # else there is no need to read the folder
            objects, tools = self._object_names(), self.loaded_tools.tools
            for capability in local:
                yield require(capability, definition, objects=objects, tools=tools)

    def _tool(self, edge: "Edge") -> "Tool":
        if edge.kind == "tool":
            return self.approvals.wrap(self.loaded_tools.tools[edge.target], edge.capability)
        from prompt_objects.tools.delegation import delegate

        return delegate(self._receiver(edge.target), edge.capability.context)

    @property
    def loaded_tools(self) -> "LoadedTools":
        with self._lock:
            if self._loaded_tools is None:
                from prompt_objects.tools.loader import load_tools

                self._loaded_tools = load_tools(self._folder, given=self._given_tools)
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
        from prompt_objects.mcp.server import Servers

        return Servers(self._config.mcp_servers, self._folder, self._environ)

    def read_only(self) -> tuple[Path, ...]:
        """Return the paths that tools may read but not write, because MCP servers run them."""
        if not self._config.mcp_servers:
            return ()
        from prompt_objects.mcp.command_files import read_only_paths

        return read_only_paths(self._folder, self._config.mcp_servers)

    async def disconnect(self) -> None:
        """Stop the MCP servers; they are started again when needed."""
        if "_servers" in self.__dict__:  # else none was started
            await self._servers.close()


class DefinitionResources:
    """The models and tools of one definition for one turn, loaded once its first messages are saved."""

    def __init__(self, definition: "Definition", models: ModelRegistry, capabilities: CapabilityResolver) -> None:
        self._definition = definition
        self._models = models
        self._capabilities = capabilities
        self._local_tools: Mapping[str, Tool] | None = None

    def load_local_tools(self) -> "Mapping[str, Tool]":
        """Load all tools but those of MCP servers. Raises `DefinitionError` if one no longer exists."""
        self._local_tools = self._capabilities.local_tools(self._definition)
        return self._local_tools

    async def load(self, context: Context) -> "tuple[FallbackChain, Mapping[str, Tool]]":
        """Return the models to try, and the tools by name. Raises `UsageError` and `DefinitionError`."""
        models = await self._models.fallback_chain_for(self._definition)
        local_tools = self._local_tools
        if local_tools is None:
            local_tools = await asyncio.to_thread(self.load_local_tools)
        return models, await self._capabilities.all_tools(self._definition, context, local_tools)
