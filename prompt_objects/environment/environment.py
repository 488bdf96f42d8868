"""An environment: a folder of prompt objects, made live. It owns their sessions, models and news."""

import asyncio
import os
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from prompt_objects.config.environment import CONFIG_FILE, Config, load_config
from prompt_objects.config.limits import Limits, LimitsConfig
from prompt_objects.environment.capabilities import CapabilityResolver
from prompt_objects.environment.catalog import Catalog, find_definitions
from prompt_objects.environment.locate import require_environment
from prompt_objects.environment.models import ModelRegistry
from prompt_objects.environment.prompt_object import PromptObject
from prompt_objects.environment.storage import Storage
from prompt_objects.errors import NotFound
from prompt_objects.migrations.runner import Migrations
from prompt_objects.runtime.active_turns import ActiveTurns
from prompt_objects.runtime.context import Context, Services
from prompt_objects.runtime.events import EventBus
from prompt_objects.runtime.interaction import UserInteraction
from prompt_objects.runtime.prompt_cache import PromptCacheMonitor
from prompt_objects.runtime.session_lock import SessionLocks

if TYPE_CHECKING:
    from prompt_objects.analysis.snapshot import EnvironmentSnapshot
    from prompt_objects.config.definition import Definition
    from prompt_objects.llm.base import LLM
    from prompt_objects.llm.connect import ModelConnection
    from prompt_objects.sessions.backups import Backups
    from prompt_objects.sessions.prune import Pruned
    from prompt_objects.tools.approval import Approvals
    from prompt_objects.tools.base import Tool
    from prompt_objects.trace.model import Trace
    from prompt_objects.turns.turn import TurnResources

__all__ = [
    "Environment",
]


class Environment:
    """The prompt objects of a folder by name, their sessions, models and news.

    Opening one reads only its `environment.yaml`: a definition is read when it is first needed, and a faulty one
    troubles nobody but those who use it. Use it as an async context manager, or `close()` it.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are given by their own names
        self,
        folder: Path,
        config: Config,
        *,
        environ: Mapping[str, str],
        model: str | None = None,
        llm: "LLM | None" = None,
        store: str | None = None,
        tools: Iterable["Tool"] = (),
        allow: Collection[str] = (),
    ) -> None:
        self.folder = folder
        self.config = config
        self.data_dir = config.data_dir
        self.storage = Storage(folder, config, store)
        self.store_url, self.store = self.storage.url, self.storage.store
        self.workspace, self.recent = self.storage.workspace, self.storage.last_used
        self.session_manager, self.recorder = self.storage.session_manager, self.storage.recorder
        self.session_locks = SessionLocks(self.store, config.user)
        self.models = ModelRegistry(config, environ, chosen=model, llm=llm)
        self.interaction = UserInteraction()
        self.catalog = Catalog(folder / "objects", lambda: self._tools, config.mcp_servers, config.limits)
        self.capabilities = CapabilityResolver(
            folder,
            config,
            environ=environ,
            interaction=self.interaction,
            objects=self.catalog.names,
            receiver=self.__getitem__,
            given=tools,
            allowed=allow,
        )
        self.bus = EventBus()
        if not self.storage.is_ephemeral:
            self.bus.add_subscriber(self.recorder)
        self.active_turns = ActiveTurns()
        self.prompt_cache = PromptCacheMonitor()
        self.notices: list[str] = []
        self._live: dict[str, PromptObject] = {}

    @classmethod
    def open(  # noqa: PLR0913 - all but the folder are given by their own names
        cls,
        folder: str | os.PathLike[str],
        *,
        model: str | None = None,
        llm: "LLM | None" = None,
        store: str | None = None,
        tools: Iterable["Tool"] = (),
        allow: Collection[str] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Open the environment in `folder`.

        `model` (a model's name, or a key of `models` in environment.yaml) is used in place of whatever definitions
        ask for; `llm` is one to use for everything; `store` is the URL of where sessions live instead of where
        environment.yaml says, with a relative path from `folder` on. `tools` are a program's own, which definitions
        may name; those named in `allow` run without a person being asked. What an older version made is brought up
        to date; `notices` say so. Raises `NoEnvironment`, `ConfigError`, and `NewerEnvironment` for what a newer
        version made.
        """
        path = require_environment(Path(folder).expanduser().absolute())
        config = load_config(path, environ)
        migrations = Migrations(path, config.data_dir)
        is_due = migrations.is_due()  # raises before anything is touched
        environment = cls(path, config, environ=environ, model=model, llm=llm, store=store, tools=tools, allow=allow)
        if is_due:
            environment.notices = migrations.run_at_opening(environment.session_manager)
            environment.config = replace(config, notices=load_config(path, environ).notices)  # of the migrated file
        return environment

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()
        self.close()

    def close(self) -> None:
        """Let go of files; what was acknowledged is on the disk already."""
        self.storage.close()

    # What is done now and then

    @property
    def backups(self) -> "Backups":
        """The backups of the sessions."""
        return self.storage.backups

    def prune(self, *, dry_run: bool = False) -> "Pruned":
        """Remove what is old, as environment.yaml says, or only look what that would be; raises `StoreError`."""
        return self.storage.prune(dry_run=dry_run)

    def keep_up(self) -> list[str]:
        """Do what is due in the background: backups, and, once, pruning where it is to be done at start.

        Returns in sentences which sessions could not be backed up; raises `StoreError`. Costs a look at one file
        where nothing is due.
        """
        return self.storage.run_maintenance()

    def trace(self, session_id: str) -> "Trace":
        """Put together what happened in a session; raises `NotFound`, `Damaged` and `StoreError`."""
        return self.storage.trace(session_id)

    # The prompt objects

    def __getitem__(self, name: str) -> PromptObject:
        """Return a prompt object, whether its definition is sound or not; raises `NotFound`."""
        if name not in self.catalog:
            self.catalog[name]  # raises NotFound, with the nearest name
        if name not in self._live:
            sessions = self.session_manager.for_object(name, templates=lambda: self.definition(name).templates)
            self._live[name] = PromptObject(name, self, sessions)
        return self._live[name]

    @property
    def objects(self) -> Mapping[str, PromptObject]:
        """All prompt objects by name, sound and faulty."""
        return {name: self[name] for name in self.catalog.names()}

    def problems(self) -> list[str]:
        """Read every definition, and say what is wrong with them and what in them has no effect yet."""
        faults = [f"faulty: {fault}" for fault in self.catalog.errors()]
        return [*faults, *self.config.notices, *self.catalog.notices(), *self.capabilities.toolbox.notices]

    @property
    def current_object(self) -> PromptObject:
        """The prompt object last used, else the environment's default, else the first; raises `NotFound`."""
        names = self.catalog.names()
        for name in (self.recent.last_object(), self.config.default_object, *names):
            if name in names:
                return self[name]
        raise NotFound(
            f"There are no prompt objects in {self.catalog.folder}.", hint="Write one: see docs/objects.md."
        )

    # What prompt objects need (the Host of prompt_object.py)

    def context(self) -> Context:
        """Make the context of a turn that nobody's turn started."""
        depth = Limits.resolve(LimitsConfig(), self.config.limits).depth
        return Context.top_level(self._surroundings, depth)

    @cached_property
    def _surroundings(self) -> Services:
        return Services(
            bus=self.bus,
            active_turns=self.active_turns,
            interaction=self.interaction,
            prompt_cache=self.prompt_cache,
            folder=self.folder,
            data_dir=self.data_dir,
            store=self.store,
            workspace=self.workspace,
            take_snapshot=self.snapshot,
            private=self.storage.local_paths(),
            read_only=self.capabilities.read_only(),
            http_allow=self.config.http_allow,
        )

    def snapshot(self, drafts: Mapping[Path, str] = MappingProxyType({})) -> "EnvironmentSnapshot":
        """Look at all definitions as their files now stand; `drafts` are texts that stand for those in files."""
        from prompt_objects.analysis.snapshot import take_snapshot

        files, clashes = find_definitions(self.catalog.folder)
        return take_snapshot(
            {**files, **{file.stem: file for file in drafts}},
            self.folder / CONFIG_FILE,
            tools=self._tools,
            bounds=self.config.limits,
            may_be_priced=self.models.has_known_price,
            default_object=self.config.default_object,
            faults=clashes,
            drafts=drafts,
        )

    def definition(self, name: str) -> "Definition":
        """Return a definition as its file now stands; raises `NotFound` and `DefinitionError`."""
        return self.catalog[name]

    def local_tools(self, definition: "Definition") -> "Mapping[str, Tool]":
        """Return the capabilities that a definition names, in its order, but those of MCP servers.

        Raises `DefinitionError` where there is no longer what it names.
        """
        return self.capabilities.local_tools(definition)

    async def load_resources(
        self, definition: "Definition", context: Context, own_tools: "Mapping[str, Tool] | None" = None
    ) -> "TurnResources":
        """Return the models that a definition asks for, and all capabilities that it names: `own_tools`, and others.

        Raises `UsageError` where no model is set up, and `DefinitionError`.
        """
        from prompt_objects.turns.turn import TurnResources

        lineup = await self.models.fallback_chain_for(definition)
        own_tools = own_tools if own_tools is not None else await asyncio.to_thread(self.local_tools, definition)
        return TurnResources(lineup, await self.capabilities.all_tools(definition, context, own_tools))

    @property
    def _tools(self) -> "Mapping[str, Tool]":
        return self.capabilities.toolbox.tools

    @property
    def approvals(self) -> "Approvals":
        """Which calls may run."""
        return self.capabilities.approvals

    # Models

    def connection_for(self, definition: "Definition") -> "ModelConnection":
        """Return the connection that a definition's turns use; each is made once. Raises `UsageError`.

        Looks around for a model where none is set up, which takes a moment.
        """
        return self.models.connection_for(definition)

    def use_model(self, model: str) -> "ModelConnection":
        """Use a model, by its name or a key of `models`, for every prompt object from now on. Raises `UsageError`."""
        return self.models.use(model)

    def known_model(self, name: str) -> str:
        """Return the name of the model that a prompt object's turns use; empty while none was connected to."""
        if not self.models.is_connected:
            return ""  # and no definition need be read to know it
        return self.models.known_for(self.definition(name))

    async def disconnect(self) -> None:
        """Let go of the connections to models and of MCP servers; they are made again when needed."""
        await self.models.disconnect()
        await self.capabilities.disconnect()
