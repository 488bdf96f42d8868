"""An environment: a folder of prompt objects with their sessions, models, tools and events."""

import os
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.config.environment import CONFIG_FILE, Config, load_config
from prompt_objects.config.limits import Limits, LimitsConfig
from prompt_objects.environment.authority import Authority, load_accepted_config
from prompt_objects.environment.capabilities import CapabilityResolver
from prompt_objects.environment.catalog import Catalog
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
from prompt_objects.runtime.session_lock import SessionLocks
from prompt_objects.sessions.info import new_id
from prompt_objects.utils.watched_folder import WatchedFolder

if TYPE_CHECKING:
    from prompt_objects.analysis.snapshot import EnvironmentSnapshot
    from prompt_objects.llm.base import LLM
    from prompt_objects.tools.base import Tool


class Overrides(Struct, frozen=True):
    """The arguments of `Environment.open` that replace settings, or add to them."""

    model: str | None = None
    llm: "LLM | None" = None
    store: str | None = None
    tools: Iterable["Tool"] = ()
    allow: Collection[str] = ()
    read_only: bool = False
    pin: bool = False


NO_OVERRIDES = Overrides()


class Environment:
    """The prompt objects of a folder by name, and everything that they share.

    Opening an environment reads only `environment.yaml`. A definition is read when it is first needed, so an invalid
    one affects only its own prompt object. Use the environment as an async context manager, or `close()` it.

    `storage` holds the sessions, backups and traces, `models` the connections to models, `capabilities` the tools,
    `catalog` the definitions. Events are published on `bus`; `interaction.handler` presents questions to the user.
    With `pin`, sessions continue with the prompt and the model of their last answer.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        authority: Authority,
        overrides: Overrides = NO_OVERRIDES,
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.folder = folder
        outside = () if config.data_dir.is_relative_to(folder) else (config.data_dir,)
        self._watched = [WatchedFolder(each) for each in (folder, *outside)]
        self.config = config
        self.data_dir = config.data_dir
        self.authority = authority
        self.notices = [authority.notice] if authority.is_restricted else []
        self._storage_notices: list[str] = []
        self.storage = Storage(folder, config, overrides.store, self._add_notice, read_only=overrides.read_only)
        self.session_manager = self.storage.session_manager
        self.session_locks = SessionLocks(self.storage.store, config.user)
        self.models = ModelRegistry(config, environ, selected=overrides.model, llm=overrides.llm)
        self.interaction = UserInteraction()
        self.catalog = Catalog(folder / "objects", config, lambda: self.capabilities.loaded_tools.tools, authority)
        self.capabilities = CapabilityResolver(
            folder,
            config,
            environ=environ,
            interaction=self.interaction,
            object_names=self.catalog.names,
            receiver=self.__getitem__,
            authority=authority,
            given_tools=overrides.tools,
            allowed=overrides.allow,
        )
        self.bus = EventBus()
        if not self.storage.is_ephemeral:
            self.bus.add_subscriber(self.storage.recorder)
        self.active_turns = ActiveTurns()
        self.pin = overrides.pin or config.pin
        self._objects: dict[str, PromptObject] = {}

    @classmethod
    def open(  # noqa: PLR0913 - all but the folder are keyword arguments
        cls,
        folder: str | os.PathLike[str],
        *,
        model: str | None = None,
        llm: "LLM | None" = None,
        store: str | None = None,
        tools: Iterable["Tool"] = (),
        allow: Collection[str] = (),
        pin: bool = False,
        trust: bool = False,
        read_only: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Open the environment in `folder`; an environment of an older version is migrated, and `notices` say how.

        - `model`: a model ID, or a key of `models` in environment.yaml, used instead of the definitions' models.
        - `llm`: the client to use for every prompt object.
        - `store`: the URL of the session store, instead of the one in environment.yaml; a relative path starts at
          `folder`.
        - `tools`: tools of the calling program, which definitions may name.
        - `allow`: names of tools that run without asking the user.
        - `pin`: continue each session with the prompt and the model of its last answer.
        - `trust`: trust whatever the environment brings, without storing that.
        - `read_only`: create, change and migrate nothing; damaged sessions are repaired in memory only, and `notices`
          say if the environment is of an older version.

        If the user has not trusted the environment, it is restricted by its `authority`, and not migrated. Raises
        `NoEnvironment`, `ConfigError`, and `NewerEnvironment` if a newer version has written it.
        """
        path = require_environment(Path(folder).expanduser().absolute())
        config, authority = load_accepted_config(path, environ, trust=trust)
        migrations = Migrations(path, config.data_dir)
        is_due = migrations.is_due() and not authority.is_restricted  # raises before anything is touched
        overrides = Overrides(model, llm, store, tools, allow, read_only, pin)
        environment = cls(path, config, authority, overrides, environ=environ)
        if is_due and read_only:
            environment.notices = migrations.pending_notices()
        elif is_due:
            environment.notices = migrations.run_at_opening(environment.session_manager)
            environment.config = replace(config, notices=load_config(path, environ).notices)  # of the migrated file
        return environment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()
        self.close()

    def close(self) -> None:
        """Close all files. Every acknowledged message is already on disk."""
        self.storage.close()
        for folder in self._watched:
            folder.close()

    async def disconnect(self) -> None:
        """Close the connections to models and MCP servers; they are opened again when needed."""
        await self.models.disconnect()
        await self.capabilities.disconnect()

    def __getitem__(self, name: str) -> "PromptObject":
        """Return a prompt object, even if its definition is invalid. Raises `NotFound`."""
        if name not in self.catalog:
            self.catalog[name]  # raises NotFound and suggests a similar name
        if name not in self._objects:
            sessions = self.session_manager.for_object(name, templates=lambda: self.catalog[name].templates)
            self._objects[name] = PromptObject(name, self, sessions)
        return self._objects[name]

    @property
    def objects(self) -> Mapping[str, "PromptObject"]:
        """All prompt objects by name, including those whose definition is invalid."""
        return {name: self[name] for name in self.catalog.names()}

    @property
    def current_object(self) -> "PromptObject":
        """The prompt object last used, else the default of environment.yaml, else the first valid one.

        If none is valid, it is the first one. Raises `NotFound` if there is none.
        """
        names = self.catalog.names()
        for name in (self.storage.last_used.last_object(), self.config.default_object):
            if name in names:
                return self[name]
        if not names:
            raise NotFound(
                f"There are no prompt objects in {self.catalog.folder}.", hint="Create one: see docs/objects.md."
            )
        return next((self[name] for name in names if not self[name].definition_error), self[names[0]])

    def take_notices(self) -> list[str]:
        """Return the notices about sessions and traces since the last call, such as repairs."""
        notices, self._storage_notices = self._storage_notices, []
        return notices

    def _add_notice(self, notice: str) -> None:
        if notice not in self._storage_notices:
            self._storage_notices.append(notice)

    def errors_and_notices(self) -> list[str]:
        """Read every definition; return the errors, and notices about settings and tools."""
        errors = [f"invalid: {error}" for error in self.catalog.errors()]
        errors += self.storage.unsaved_notices()
        return [*errors, *self.config.notices, *self.catalog.notices(), *self.capabilities.loaded_tools.notices]

    def snapshot(self, drafts: Mapping[Path, str] = MappingProxyType({})) -> "EnvironmentSnapshot":
        """Read all definitions for analysis; `drafts` replace the contents of files."""
        from prompt_objects.analysis.snapshot import take_snapshot

        files, duplicates = self.catalog.files()
        return take_snapshot(
            {**files, **{file.stem: file for file in drafts}},
            self.folder / CONFIG_FILE,
            tools=self.capabilities.loaded_tools.tools,
            bounds=self.config.limits,
            has_known_price=self.models.has_known_price,
            default_object=self.config.default_object,
            is_ruby=self.config.manifest is not None,
            errors=duplicates,
            drafts=drafts,
        )

    def context(self) -> Context:
        """Return the context of a new top-level turn."""
        run, limits = new_id(), Limits.resolve(LimitsConfig(), self.config.limits)
        return Context(services=self._services, depth=limits.depth, run=run, root=run)

    @cached_property
    def _services(self) -> Services:
        return Services(
            bus=self.bus,
            active_turns=self.active_turns,
            interaction=self.interaction,
            folder=self.folder,
            data_dir=self.data_dir,
            store=self.storage.store,
            unsaved=self.storage.unsaved,
            workspace=self.storage.workspace,
            take_snapshot=self.snapshot,
            private=self.storage.local_paths,
            read_only=self.capabilities.read_only(),
            http_allow=self.config.http_allow,
        )
