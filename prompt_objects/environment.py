"""An environment: a folder of prompt objects, made live. It owns their sessions, models and news."""

import asyncio
import os
import threading
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from prompt_objects.bus import Bus
from prompt_objects.catalogue import Catalogue, find_definitions
from prompt_objects.config import CONFIG_FILE, Config, load_config
from prompt_objects.context import Context
from prompt_objects.errors import NotFound
from prompt_objects.limits import GivenLimits, Limits
from prompt_objects.locate import require_environment
from prompt_objects.migrations.runner import Migrations
from prompt_objects.occupancy import Occupancy
from prompt_objects.person import Person
from prompt_objects.prefix import Prefixes
from prompt_objects.prompt_object import PromptObject
from prompt_objects.running import Running
from prompt_objects.sessions.disk import remove_folder
from prompt_objects.sessions.journal import UndoJournal
from prompt_objects.sessions.last_used import LastUsed
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.record import new_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores import StoreOptions, open_store
from prompt_objects.sessions.stores.url import beside, places, resolved
from prompt_objects.surroundings import Surroundings
from prompt_objects.trace.recorder import Recorder

if TYPE_CHECKING:
    from prompt_objects.approval import Approvals
    from prompt_objects.definition import Capability, Definition
    from prompt_objects.graph.survey import Survey
    from prompt_objects.llm import LLM
    from prompt_objects.llm.connect import Connection
    from prompt_objects.llm.lineup import Lineup
    from prompt_objects.mcp.servers import Servers
    from prompt_objects.sessions.backups import Backups
    from prompt_objects.sessions.prune import Pruned
    from prompt_objects.toolbox import Toolbox
    from prompt_objects.tools import Tool
    from prompt_objects.trace.tree import Trace

__all__ = ["Environment"]


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
        self.model = model
        self.catalogue = Catalogue(folder / "objects", lambda: self.toolbox.tools, config.mcp_servers, config.limits)
        self.bus = Bus()
        self.running = Running()
        self.person = Person()
        self.prefixes = Prefixes()
        self.data_dir = config.data_dir
        usual = resolved(config.store or f"files:{self.data_dir}", folder)
        self.store_url = resolved(store, folder) if store else usual
        self._beside_store = self.data_dir if self.store_url == usual else beside(self.data_dir, self.store_url)
        self.store = open_store(self.store_url, StoreOptions(**config.store_options))
        self._belongings = self.data_dir if self.store_url != "memory:" else _passing_folder()
        self.workspace = self._belongings / "workspace"
        self.last_used = LastUsed(self.data_dir / "state.json")
        self.session_manager = SessionManager(
            self.store,
            user_id=config.user,
            last_used=self.last_used,
            journal=UndoJournal(self._beside_store / "undo.json"),
            data_dir=self._belongings,
        )
        self.occupancy = Occupancy(self.store, config.user)
        self.recorder = Recorder(self.data_dir)
        if self.store_url != "memory:":  # whose sessions leave nothing behind
            self.bus.attach(self.recorder)
        self.notices: list[str] = []
        self._prune_at_start = config.prune.at_start
        self._environ = environ
        self._llm = llm
        self._connections: dict[str | None, Connection] = {}
        self._connecting = threading.Lock()
        self._making = threading.Lock()
        self._toolbox: Toolbox | None = None
        self._approvals: Approvals | None = None
        self._live: dict[str, PromptObject] = {}
        self._given_tools = tuple(tools)
        self._allowed = frozenset(allow)

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
        is_due = migrations.due()  # raises before anything is touched
        environment = cls(path, config, environ=environ, model=model, llm=llm, store=store, tools=tools, allow=allow)
        if is_due:
            environment.notices = migrations.at_opening(environment.session_manager)
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
        self.recorder.flush()
        self.store.close()
        if self._belongings != self.data_dir:
            remove_folder(self._belongings)

    # What is done now and then

    @cached_property
    def backups(self) -> "Backups":
        """The backups of the sessions."""
        from prompt_objects.sessions.backups import Backups

        return Backups(self._beside_store / "backups" / "sessions", self.store, self.config.backups)

    def prune(self, *, dry_run: bool = False) -> "Pruned":
        """Remove what is old, as environment.yaml says, or only look what that would be; raises `StoreError`."""
        from prompt_objects.sessions.prune import prune

        return prune(self.backups, self.last_used, self.data_dir, self.config.prune, dry_run=dry_run)

    def keep_up(self) -> list[str]:
        """Do what is due in the background: backups, and, once, pruning where it is to be done at start.

        Returns in sentences which sessions could not be backed up; raises `StoreError`. Costs a look at one file
        where nothing is due.
        """
        report = self.backups.run_if_due()
        if self._prune_at_start:
            self._prune_at_start = False
            self.prune()
        return list(report.failures) if report else []

    def trace(self, session_id: str) -> "Trace":
        """Put together what happened in a session; raises `NotFound`, `Damaged` and `StoreError`."""
        from prompt_objects.trace.looking import trace_of

        self.recorder.flush()
        return trace_of(self.store, self.data_dir, session_id)

    # The prompt objects

    def __getitem__(self, name: str) -> PromptObject:
        """Return a prompt object, whether its definition is sound or not; raises `NotFound`."""
        if name not in self.catalogue:
            self.catalogue[name]  # raises NotFound, with the nearest name
        if name not in self._live:
            sessions = self.session_manager.for_object(name, templates=lambda: self.definition(name).templates)
            self._live[name] = PromptObject(name, self, sessions)
        return self._live[name]

    @property
    def objects(self) -> Mapping[str, PromptObject]:
        """All prompt objects by name, sound and faulty."""
        return {name: self[name] for name in self.catalogue.names()}

    def findings(self) -> list[str]:
        """Read every definition, and say what is wrong with them and what in them has no effect yet."""
        faults = [f"faulty: {fault}" for fault in self.catalogue.faults()]
        return [*faults, *self.config.notices, *self.toolbox.notices]

    @property
    def current_object(self) -> PromptObject:
        """The prompt object last used, else the environment's default, else the first; raises `NotFound`."""
        names = self.catalogue.names()
        for name in (self.last_used.last_object(), self.config.default_object, *names):
            if name in names:
                return self[name]
        raise NotFound(
            f"There are no prompt objects in {self.catalogue.folder}.", hint="Write one: see docs/objects.md."
        )

    @property
    def current_session(self) -> Session:
        """The session last used of the prompt object last used."""
        return self.current_object.session_manager.current()

    # What prompt objects need (the Host of prompt_object.py)

    def context(self) -> Context:
        """Make the context of a turn that nobody's turn started."""
        depth = Limits.of(GivenLimits(), self.config.limits).depth
        return Context.at_root(self._surroundings, depth)

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings(
            bus=self.bus,
            running=self.running,
            person=self.person,
            prefixes=self.prefixes,
            folder=self.folder,
            data_dir=self.data_dir,
            store=self.store,
            workspace=self.workspace,
            look=self.look,
            private=(self.data_dir, *self._store_places()),
            guarded=self._guarded(),
        )

    def _store_places(self) -> list[Path]:
        """Return where sessions are on this disk, also those of a store that another one stands in for."""
        usual = resolved(self.config.store, self.folder) if self.config.store else self.store_url
        return [place for url in {usual, self.store_url} for place in places(url, outside=self.folder)]

    def _guarded(self) -> tuple[Path, ...]:
        if not self.config.mcp_servers:
            return ()
        from prompt_objects.mcp.named import guarded

        return guarded(self.folder, self.config.mcp_servers)

    def look(self, drafts: Mapping[Path, str] = MappingProxyType({})) -> "Survey":
        """Look at all definitions as their files now stand; `drafts` are texts that stand for those in files."""
        from prompt_objects.graph.survey import survey

        files, clashes = find_definitions(self.catalogue.folder)
        return survey(
            {**files, **{file.stem: file for file in drafts}},
            self.folder / CONFIG_FILE,
            tools={name: tool.effect for name, tool in self.toolbox.tools.items()},
            bounds=self.config.limits,
            default_object=self.config.default_object,
            faults=clashes,
            drafts=drafts,
        )

    def definition(self, name: str) -> "Definition":
        """Return a definition as its file now stands; raises `NotFound` and `DefinitionError`."""
        return self.catalogue[name]

    async def tools(self, definition: "Definition", context: Context) -> "dict[str, Tool]":
        """Return the capabilities that a definition names, in its order; those of MCP servers come last."""
        tools = await asyncio.to_thread(self._own_tools, definition)
        if any(capability.kind == "mcp" for capability in definition.capabilities):
            offers = await self.servers.tools(definition.capabilities, context, tools)
            tools |= {tool.name: self.approvals.guarding(tool, capability) for capability, tool in offers}
        return tools

    def _own_tools(self, definition: "Definition") -> "dict[str, Tool]":
        tools = (self._tool(capability) for capability in definition.capabilities if capability.kind != "mcp")
        return {tool.name: tool for tool in tools}

    def _tool(self, capability: "Capability") -> "Tool":
        if capability.kind != "po" and capability.name in self.toolbox.tools:
            return self.approvals.guarding(self.toolbox.tools[capability.name], capability)
        from prompt_objects.tools.delegate import delegate

        return delegate(self[capability.name], capability.context)

    @property
    def toolbox(self) -> "Toolbox":
        """The tools that definitions may name; made once, also for turns side by side."""
        with self._making:
            if self._toolbox is None:
                from prompt_objects.toolbox import open_toolbox

                self._toolbox = open_toolbox(self.folder, given=self._given_tools, http_allow=self.config.http_allow)
            return self._toolbox

    @cached_property
    def servers(self) -> "Servers":
        """The MCP servers that environment.yaml names; each starts when it is first needed."""
        from prompt_objects.mcp.servers import Servers

        return Servers(self.config.mcp_servers, self.folder, self._environ)

    @property
    def approvals(self) -> "Approvals":
        """What may run, and who is asked: set its `ask` to be asked."""
        with self._making:
            if self._approvals is None:
                from prompt_objects.approval import Approvals
                from prompt_objects.tools import edit, propose

                self._approvals = Approvals(
                    self.config.approval, self._allowed, {**edit.PREVIEWS, **propose.PREVIEWS}, self.person
                )
            return self._approvals

    def connection_for(self, definition: "Definition") -> "Connection":
        """Return the connection that a definition's turns use; each is made once. Raises `UsageError`.

        Looks around for a model where none is set up, which takes a moment.
        """
        return self._connect(self._model_for(definition))

    def lineup_for(self, definition: "Definition") -> "Lineup":
        """Return the models that a turn uses: that of `connection_for`, and those that the definition has stand in.

        Nobody stands in for a model that a person chose for every prompt object. Raises `UsageError`.
        """
        from prompt_objects.llm.lineup import Lineup

        names = () if self.model or not definition.model else definition.model.fallback
        return Lineup(self.connection_for(definition), [partial(self._connect, name) for name in names])

    def use_model(self, model: str) -> "Connection":
        """Use a model, by its name or a key of `models`, for every prompt object from now on. Raises `UsageError`."""
        connection = self._connect(model)
        self.model = model
        return connection

    def known_model(self, name: str) -> str:
        """Return the name of the model that a prompt object's turns use; empty while none was connected to."""
        if not self._connections:
            return ""  # and no definition need be read to know it
        connection = self._connections.get(self._model_for(self.definition(name)))
        return connection.llm.model if connection else ""

    def _connect(self, model: str | None) -> "Connection":
        from prompt_objects.llm.connect import Connection, connect

        with self._connecting:
            if model not in self._connections:
                given = self._llm and Connection(self._llm, "given by the program")
                self._connections[model] = given or connect(model, self.config, self._environ)
            return self._connections[model]

    def _model_for(self, definition: "Definition") -> str | None:
        return self.model or (definition.model.use if definition.model else None)

    async def disconnect(self) -> None:
        """Let go of the connections to models and of MCP servers; they are made again when needed."""
        await asyncio.gather(*(connection.llm.close() for connection in self._connections.values()))
        if "servers" in self.__dict__:  # it was made
            await self.servers.close()


def _passing_folder() -> Path:
    """Name a folder for what belongs to sessions that live in memory, and goes with them; it is made when needed."""
    from tempfile import gettempdir

    return Path(gettempdir()) / f"prompt-objects-{new_id()}"
