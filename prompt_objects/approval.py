"""Whether a call may run: by what definitions and environment.yaml say, or else by what a person answers.

Calls that only read run at once; those that write, start programs or use the network are asked about, unless
something else is said. Where nobody can be asked, what would be asked about is refused: nothing ever waits unseen.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from prompt_objects.context import Context
from prompt_objects.definition import Capability
from prompt_objects.effect import Approval, Effect, stricter
from prompt_objects.errors import ToolError
from prompt_objects.tools import Tool
from prompt_objects.tools.confined import Confined

__all__ = ["Answer", "Approvals", "Approver", "Edited", "Question"]


class Question(Struct, frozen=True, kw_only=True):
    """A call that a person is asked about: whose it is and by whom that one was asked (`path`), and what it would do.

    `diff` is the change to a file, as a unified diff, where it is one.
    """

    path: tuple[str, ...]
    session_id: str
    tool: str
    effect: Effect
    arguments: Mapping[str, Any]
    diff: str = ""


class Edited(Struct, frozen=True):
    """The answer that the call may run, once, with other arguments."""

    arguments: dict[str, Any]


Answer: TypeAlias = Literal["once", "session", "no", "never"] | Edited
"""`session` and `never` are remembered for this object, this tool and the session that the person is in."""

Approver: TypeAlias = Callable[[Question], Awaitable[Answer]]
Preview: TypeAlias = Callable[[dict[str, Any], Context], Awaitable[str]]

_USUAL: Mapping[Effect, Approval] = {"read": "always", "write": "ask", "execute": "ask", "network": "ask"}


class Approvals:
    """What may run in an environment. `ask` asks a person; None where there is nobody.

    `usual` is what holds for a tool by its effect where a definition says nothing; `allowed` names tools that run
    unasked unless their definition forbids them; `previews` make, by a tool's name, the diff that a call would cause.
    """

    def __init__(
        self,
        usual: Mapping[Effect, Approval],
        allowed: Collection[str] = (),
        previews: Mapping[str, Preview] | None = None,
    ) -> None:
        self.ask: Approver | None = None
        self._usual = {**_USUAL, **usual}
        self._allowed = frozenset(allowed)
        self._previews = previews or {}
        self._answers: dict[tuple[str | None, str, str], Literal["session", "never"]] = {}
        self._asking = asyncio.Lock()  # one question at a time, whoever has them

    def guarding(self, tool: Tool, capability: Capability) -> Tool:
        """Make a tool, as a definition names it, ask before it runs, where that is needed."""
        return _Guarded(
            tool.name,
            tool.description,
            tool.parameters,
            tool.run,
            tool.effect,
            approvals=self,
            capability=capability,
        )

    async def approve(
        self, tool: Tool, capability: Capability, arguments: dict[str, Any], context: Context
    ) -> dict[str, Any]:
        """Return the arguments with which a call may run. Raises `ToolError`, in words for the model, if none do."""
        said = self._rule(tool, capability, context)
        if said == "never":
            raise ToolError(f"{tool.name} may not be used here.")
        if said == "always" or _is_within(capability, arguments, context):
            return arguments
        preview = self._previews.get(tool.name)
        diff = await preview(arguments, context) if preview else ""  # raises what the call would
        async with self._asking:
            answer = await self._answer(tool, arguments, context, diff)
        if isinstance(answer, Edited):
            return answer.arguments
        if answer in {"no", "never"}:
            raise ToolError(f"The person did not allow {tool.name}. Do not try it again; answer with what you have.")
        return arguments

    def _rule(self, tool: Tool, capability: Capability, context: Context) -> Approval:
        said = capability.approval or self._usual[tool.effect]
        if said == "ask" and tool.name in self._allowed:
            said = "always"
        return stricter(said, context.approvals.get(capability.key, said))

    async def _answer(self, tool: Tool, arguments: dict[str, Any], context: Context, diff: str) -> Answer:
        key = (context.root_session_id, context.path[-1], tool.name)
        if known := self._answers.get(key):
            return known
        if self.ask is None:
            raise ToolError(f"{tool.name} needs a person's approval, and nobody can be asked here.")
        question = Question(
            path=context.path,
            session_id=context.session_id or "",
            tool=tool.name,
            effect=tool.effect,
            arguments=arguments,
            diff=diff,
        )
        start = time.monotonic()
        try:
            answer = await self.ask(question)
        finally:
            if context.budget:
                context.budget.excuse(time.monotonic() - start)
        match answer:
            case "session" | "never":
                self._answers[key] = answer
        return answer


class _Guarded(Tool, frozen=True, kw_only=True):
    """A tool that is asked about before it runs."""

    approvals: Approvals
    capability: Capability

    async def approve(self, arguments: dict[str, Any], context: Context) -> dict[str, Any]:
        return await self.approvals.approve(self, self.capability, arguments, context)


def _is_within(capability: Capability, arguments: Mapping[str, Any], context: Context) -> bool:
    """Say whether the arguments are such as the definition allows unasked; a path counts as what it leads to."""
    if not capability.allow:
        return False
    for name, patterns in capability.allow.items():
        value = arguments.get(name)
        if not isinstance(value, str):
            return False
        if name == "path":
            value = Confined.of(context).relative(value)
        if not any(fnmatchcase(value, pattern) for pattern in patterns):
            return False
    return True
