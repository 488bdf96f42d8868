"""Whether a call may run: by what definitions and environment.yaml say, or else by what a person answers.

Calls that only read run at once; those that write, start programs or use the network are asked about, unless
something else is said. Where nobody can be asked, what would be asked about is refused: nothing ever waits unseen.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from msgspec.structs import replace

from prompt_objects.config.definition import Capability
from prompt_objects.config.permissions import DEFAULT_POLICIES, ApprovalPolicy, Effect, effective_policy, stricter
from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments, UserInteraction
from prompt_objects.tools.base import Preview, Run, Tool
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.tools.truncation import is_saved_result

__all__ = [
    "Approvals",
    "Previewer",
]


Previewer: TypeAlias = Callable[[dict[str, Any], Context], Awaitable[str | Preview]]


class Approvals:
    """What may run in an environment.

    `usual` is what holds for a tool by its effect where a definition says nothing; what it forbids no definition
    allows. `allowed` names tools that run where a person would be asked; `previews` returns what makes, by a tool's
    name, the diff that a call would cause; `interaction` is the user who decides. `tools` returns the names of the
    environment's own tools.
    """

    def __init__(
        self,
        usual: Mapping[Effect, ApprovalPolicy],
        allowed: Collection[str] = (),
        previews: Callable[[], Mapping[str, Previewer]] = dict,
        interaction: UserInteraction | None = None,
        *,
        tools: Callable[[], Collection[str]],
    ) -> None:
        self._usual = {**DEFAULT_POLICIES, **usual}
        self._allowed = frozenset(allowed)
        self._previews = previews
        self._answers: dict[tuple[str | None, str, str, str], Literal["session", "never"]] = {}
        self._interaction = interaction or UserInteraction()
        self._tools = tools

    def wrap(self, tool: Tool, capability: Capability) -> Tool:
        """Make a tool, as a definition names it, ask before it runs, where that is needed."""
        return _Guarded(
            tool.name,
            tool.description,
            tool.parameters,
            self._bound(tool, capability),
            tool.effect,
            tool.always_ask,
            approvals=self,
            capability=capability,
        )

    async def approve(
        self, tool: Tool, capability: Capability, arguments: dict[str, Any], context: Context
    ) -> dict[str, Any]:
        """Return the arguments with which a call may run. Raises `ToolError`, in words for the model, if none do."""
        rule = self.policy(tool, capability, context)
        if rule == "never":
            raise ToolError(f"{tool.name} may not be used here.")
        if rule == "always" or self._within(tool, capability, arguments, context):
            return arguments
        return await self._answered(tool, capability, arguments, context)

    def policy(self, tool: Tool, capability: Capability, context: Context) -> ApprovalPolicy:
        """Say whether a call runs, is asked about, or is refused; arguments may still make a difference.

        It is the strictest of what holds for those on the path that have the capability.
        """
        rule: ApprovalPolicy = "ask" if tool.always_ask else "always"
        for each in _on_path(capability, context):
            rule = stricter(rule, self._said(tool, each))
        is_allowed = rule == "ask" and not tool.always_ask and self._is_allowed(tool, capability)
        return "always" if is_allowed else rule

    def _said(self, tool: Tool, capability: Capability) -> ApprovalPolicy:
        """Say what holds for one prompt object by itself."""
        return effective_policy(capability.approval, self._usual[tool.effect])

    def _is_allowed(self, tool: Tool, capability: Capability) -> bool:
        """Say whether a tool was allowed in advance; the name of one of the environment means none of a server."""
        return tool.name in self._allowed and (capability.kind != "mcp" or tool.name not in self._tools())

    def _within(self, tool: Tool, capability: Capability, arguments: Mapping[str, Any], context: Context) -> bool:
        """Say whether all on the path that have the capability let a call run unasked, by its arguments at least."""
        return not tool.always_ask and all(
            self._said(tool, each) == "always" or _fits(each, arguments, context)
            for each in _on_path(capability, context)
        )

    def _bound(self, tool: Tool, capability: Capability) -> Run:
        """Have a call that runs unasked for its arguments' sake know how far that goes."""

        async def run(arguments: dict[str, Any], context: Context) -> str:
            def permits(others: Mapping[str, Any]) -> bool:
                return self._within(tool, capability, others, context)

            asks = self.policy(tool, capability, context) == "ask"
            return await tool.run(
                arguments, replace(context, allows_unattended=permits if asks and permits(arguments) else None)
            )

        return run

    async def _preview(
        self, tool: Tool, capability: Capability, arguments: dict[str, Any], context: Context
    ) -> Preview:
        previewer = self._previews().get(tool.name) if capability.kind != "mcp" else None
        shown = await previewer(arguments, context) if previewer else ""
        return Preview(shown) if isinstance(shown, str) else shown

    async def _answered(
        self, tool: Tool, capability: Capability, arguments: dict[str, Any], context: Context
    ) -> dict[str, Any]:
        """Return the arguments with which a person lets a call run; an answer that is remembered waits for nobody."""
        key = (context.root_session_id, context.path[-1], capability.key, tool.name)
        while key not in self._answers:
            async with self._interaction.exclusive(context.budget):
                if key in self._answers:  # since the question before this one was answered
                    break
                preview = await self._preview(tool, capability, arguments, context)  # raises what the call would
                answer = await self._asked(tool, arguments, context, preview)
                if answer == "session" or answer == "never":  # noqa: PLR1714 - arguments that were edited have no hash
                    self._answers[key] = answer
            match answer:
                case EditedArguments() if tool.always_ask:
                    arguments = answer.arguments  # to be seen once more, with what follows from them
                case EditedArguments():
                    return answer.arguments
                case "once" if (await self._preview(tool, capability, arguments, context)).diff == preview.diff:
                    return preview.arguments or arguments
                case "once" | "session" | "never":
                    pass  # the file has changed meanwhile, and is shown anew; or the answer is remembered by now
                case _:
                    raise _refused(tool)
        if self._answers[key] == "never":
            raise _refused(tool)
        return arguments

    async def _asked(self, tool: Tool, arguments: dict[str, Any], context: Context, preview: Preview) -> Decision:
        """Ask a person; what cannot be allowed for a session is allowed once."""
        if self._interaction.handler is None:
            raise ToolError(f"{tool.name} needs a person's approval, and nobody can be asked here.")
        request = ApprovalRequest(
            path=context.path,
            session_id=context.session_id or "",
            tool=tool.name,
            effect=tool.effect,
            arguments=arguments,
            diff=preview.diff,
            remarks=preview.remarks,
            for_session=not tool.always_ask,
        )
        answer = await self._interaction.handler.approve(request)
        return "once" if answer == "session" and tool.always_ask else answer


class _Guarded(Tool, frozen=True, kw_only=True):
    """A tool that is asked about before it runs."""

    approvals: Approvals
    capability: Capability

    async def approve(self, arguments: dict[str, Any], context: Context) -> dict[str, Any]:
        return await self.approvals.approve(self, self.capability, arguments, context)

    def policy(self, context: Context) -> ApprovalPolicy:
        return self.approvals.policy(self, self.capability, context)


def _refused(tool: Tool) -> ToolError:
    told = "Do not try it again; answer with what you have."
    return ToolError(f"The person did not allow {tool.name}. {told}")


def _on_path(capability: Capability, context: Context) -> Iterator[Capability]:
    """Yield what each prompt object on the path says of a capability, among them the one that uses it."""
    yield capability
    yield from context.approvals.get(capability.key, ())


def _fits(capability: Capability, arguments: Mapping[str, Any], context: Context) -> bool:
    """Say whether the arguments are such as the definition allows unasked; a path counts as what it leads to."""
    if not capability.allow:
        return False
    for name, patterns in capability.allow.items():
        value = arguments.get(name)
        if not isinstance(value, str) or is_saved_result(value):
            return False
        if name == "path":
            try:
                value = PathGuard.of(context).relative(value)
            except ToolError:  # it may mean something else to that tool; it is asked about
                return False
        if not any(fnmatchcase(value, pattern) for pattern in patterns):
            return False
    return True
