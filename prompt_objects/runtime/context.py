"""The context of a running turn: the services of its environment, its session, its caller, its budget."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.config.permissions import ApprovalPolicy, Effect
from prompt_objects.errors import ToolError
from prompt_objects.runtime.active_turns import ActiveTurns
from prompt_objects.runtime.budget import Budget
from prompt_objects.runtime.events import Event, EventBus, Notice
from prompt_objects.runtime.interaction import UserInteraction
from prompt_objects.sessions.info import new_id
from prompt_objects.utils.text import arrow_path

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from prompt_objects.analysis.snapshot import EnvironmentSnapshot
    from prompt_objects.config.definition import Capability, Definition
    from prompt_objects.message import Message
    from prompt_objects.sessions.session import Session
    from prompt_objects.sessions.stores.base import Store
    from prompt_objects.sessions.unsaved import UnsavedFolder


class TakeSnapshot(Protocol):
    """Reads all definitions of an environment for analysis."""

    def __call__(self, drafts: Mapping[Path, str] = ...) -> "EnvironmentSnapshot":
        """Read all definitions, which blocks for a moment; `drafts` replace the contents of files."""


class Services(Struct, frozen=True, kw_only=True):
    """The services that all turns of an environment share.

    `folder` is the environment's folder, `data_dir` the folder of its state, `workspace` the parent of the sessions'
    workspaces. In the folder, tools cannot access the paths in `private`, and cannot write those in `read_only`.
    `http_get` may access the hosts in `http_allow` although they are not public.
    """

    bus: EventBus
    active_turns: ActiveTurns
    interaction: UserInteraction
    folder: Path
    data_dir: Path
    store: "Store"
    unsaved: "UnsavedFolder"
    workspace: Path
    take_snapshot: TakeSnapshot
    private: tuple[Path, ...]
    read_only: tuple[Path, ...]
    http_allow: tuple[str, ...] = ()


class CapabilityInfo(Protocol):
    """The public facts about a capability."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def effect(self) -> Effect: ...

    def policy(self, context: "Context") -> ApprovalPolicy:
        """Return whether a call runs, needs the user's approval, or is refused."""


class Context(Struct, frozen=True, kw_only=True):
    """The context of one turn; a delegate's context is derived from its caller's and never reaches further.

    - `services`: shared by all turns of the environment.
    - `run`, `parent`, `root`: the ids of this turn, of the turn that delegated to it (None for a top-level turn), and
      of the top-level turn of the whole tree.
    - `path`: the names of the prompt objects from the top-level turn to this one; empty until the turn has started.
    - `save`: saves a message in the session of this turn; set when the turn has started.
    - `call_id`: the tool call that this turn answers, or the one that runs.
    - `call_name`: the name of the tool whose call runs.
    - `depth`: how many levels further the message may be delegated.
    - `budget`: the limits of this turn and its delegates; None until the turn has started.
    - `root_session_id`: the session of the top-level turn.
    - `approvals`: the approval settings of every prompt object on the path, by capability key.
    - `tools`: the tools that the turn may call; set when a call runs.
    - `allows_unattended`: checks other arguments against the `allow` patterns; set only if a pattern permitted this
      call.
    - `approved_diff`: the change that the user has seen and approved, if this call has a preview; it makes no other.
    """

    services: Services
    depth: int
    run: str
    root: str
    parent: str | None = None
    path: tuple[str, ...] = ()
    session: "Session | None" = None
    save: "Callable[[Message], Awaitable[None]] | None" = None
    call_id: str | None = None
    call_name: str | None = None
    budget: Budget | None = None
    root_session_id: str | None = None
    approvals: Mapping[str, tuple["Capability", ...]] = {}
    tools: Mapping[str, CapabilityInfo] = {}
    allows_unattended: Callable[[Mapping[str, Any]], bool] | None = None
    approved_diff: str | None = None

    @property
    def folder(self) -> Path:
        """The environment's folder."""
        return self.services.folder

    @property
    def data_dir(self) -> Path:
        """The folder of the environment's state."""
        return self.services.data_dir

    @property
    def session_id(self) -> str | None:
        """The id of the turn's session."""
        return self.session.id if self.session else None

    def enter(self, definition: "Definition", session: "Session") -> "Context":
        """Return the context of a turn of a prompt object in `session`."""
        limits = definition.limits
        return replace(
            self,
            path=(*self.path, definition.name),
            session=session,
            save=None,
            depth=min(self.depth, limits.depth),
            budget=Budget(definition.name, limits, self.budget),
            root_session_id=self.root_session_id or session.id,
            approvals=self._with_approvals(definition),
        )

    def _with_approvals(self, definition: "Definition") -> "dict[str, tuple[Capability, ...]]":
        approvals = dict(self.approvals)
        for capability in definition.capabilities:
            if capability.kind != "po":
                approvals[capability.key] = (*approvals.get(capability.key, ()), capability)
        return approvals

    def for_call(self, call_id: str, name: str, tools: Mapping[str, CapabilityInfo]) -> "Context":
        """Return the context of a call of the tool `name`; `tools` are the tools of the turn."""
        return replace(self, call_id=call_id, call_name=name, tools=tools)

    def delegate(self, po_name: str) -> "Context":
        """Return the context of a delegation to `po_name`.

        Raises `ToolError` if `po_name` is already on the path, or the depth limit is reached.
        """
        if po_name in self.path:
            raise ToolError(
                f"{po_name} is already waiting for this reply ({arrow_path((*self.path, po_name))}); "
                "it cannot be asked again from here. Answer with what you have."
            )
        if self.depth <= 0:
            raise ToolError(
                f"{po_name} cannot be asked: the limit of {len(self.path) - 1} delegations deep is reached. "
                "Answer with what you have."
            )
        return replace(self, run=new_id(), parent=self.run, depth=self.depth - 1)

    def publish(self, kind: type[Event], **details: Any) -> None:
        """Publish an event of this turn."""
        event = kind(
            run=self.run,
            root=self.root,
            parent=self.parent,
            path=self.path,
            session_id=self.session_id or "",
            **details,
        )
        self.services.bus.publish(event)

    def notify(self, text: str) -> None:
        """Publish a notice to the user."""
        self.publish(Notice, text=text)
