"""What a running turn may reach: its session, who asked whom, the folder, the bus, what it may take."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.budget import Budget
from prompt_objects.bus import Bus
from prompt_objects.effect import Approval, Effect
from prompt_objects.errors import ToolError
from prompt_objects.sessions.record import new_id
from prompt_objects.surroundings import Surroundings
from prompt_objects.wording import arrows

if TYPE_CHECKING:
    from prompt_objects.definition import Capability, Definition
    from prompt_objects.sessions.session import Session

__all__ = ["Context", "Usable"]


class Usable(Protocol):
    """A capability, as far as others need to know it."""

    @property
    def name(self) -> str:
        """By what it is called."""

    @property
    def description(self) -> str:
        """What it is for."""

    @property
    def effect(self) -> Effect:
        """What it does to the world."""

    def rule(self, context: "Context") -> Approval:
        """Say whether a call runs, is asked about, or is refused."""


class Context(Struct, frozen=True, kw_only=True):
    """What one turn may reach; a child's is made from its caller's and never reaches further.

    `around` is what all turns of the environment have. `run` identifies the turn, `root` the turn that started it all
    (the same one, at the root), `parent` the one that asked for it, None at the root; `path` names the prompt objects
    from there to here, empty until a turn has begun; `call_id` is the call that asked for it.
    `depth` is how many prompt objects deep a message may still be passed on, `budget` what the turn may take, None
    until it has begun. `root_session_id` is that of the session in which it all started, `approvals` what the prompt
    objects on the path say of tools and servers, by the key of the capability. `tools` are what the turn may call,
    known when a call is carried out. `permits` says whether a call that runs unasked for its arguments' sake would do
    so with others; None where it runs whatever they are.
    """

    around: Surroundings
    depth: int
    run: str
    root: str
    parent: str | None = None
    path: tuple[str, ...] = ()
    session: "Session | None" = None
    call_id: str | None = None
    budget: Budget | None = None
    root_session_id: str | None = None
    approvals: Mapping[str, tuple["Capability", ...]] = {}
    tools: Mapping[str, Usable] = {}
    permits: Callable[[Mapping[str, Any]], bool] | None = None

    @classmethod
    def at_root(cls, around: Surroundings, depth: int) -> "Context":
        """Make the context of a turn that nobody's turn started."""
        run = new_id()
        return cls(around=around, depth=depth, run=run, root=run)

    @property
    def bus(self) -> Bus:
        """Where news goes."""
        return self.around.bus

    @property
    def folder(self) -> Path:
        """The environment's folder."""
        return self.around.folder

    @property
    def data_dir(self) -> Path:
        """Where the environment keeps its state."""
        return self.around.data_dir

    @property
    def session_id(self) -> str | None:
        """The id of the session that the turn is in."""
        return self.session.id if self.session else None

    def enter(self, definition: "Definition", session: "Session") -> "Context":
        """Begin a turn of a prompt object in `session`."""
        limits = definition.limits
        return replace(
            self,
            path=(*self.path, definition.name),
            session=session,
            depth=min(self.depth, limits.depth),
            budget=Budget(definition.name, limits, self.budget),
            root_session_id=self.root_session_id or session.id,
            approvals=self._with_approvals(definition),
        )

    def _with_approvals(self, definition: "Definition") -> "dict[str, tuple[Capability, ...]]":
        said = dict(self.approvals)
        for each in definition.capabilities:
            if each.kind != "po":
                said[each.key] = (*said.get(each.key, ()), each)
        return said

    def for_call(self, call_id: str, tools: Mapping[str, Usable] | None = None) -> "Context":
        """Say which call is being carried out, and what else may be called."""
        return replace(self, call_id=call_id, tools=tools or {})

    def delegate(self, po_name: str) -> "Context":
        """Make the context in which `po_name` is asked by this turn.

        Raises `ToolError`, before anything runs, where that would close a cycle or go too deep.
        """
        if po_name in self.path:
            raise ToolError(
                f"{po_name} is already waiting for this answer ({arrows((*self.path, po_name))}); "
                "it cannot be asked again from here. Answer with what you have."
            )
        if self.depth <= 0:
            raise ToolError(
                f"{po_name} cannot be asked: the limit of {len(self.path) - 1} delegations deep is reached. "
                "Answer with what you have."
            )
        return replace(self, run=new_id(), parent=self.run, depth=self.depth - 1)
