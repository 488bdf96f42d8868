"""Decides whether a tool call may run: by definitions and environment.yaml, otherwise by asking the user.

Calls that only read run immediately. Calls that write, start programs or use the network need approval by default. If
no user can be asked, calls that need approval are refused, so a turn never waits for an answer that nobody can give.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from msgspec.structs import replace

from prompt_objects.config.argument_kind import kind_of
from prompt_objects.config.definition import Capability
from prompt_objects.config.permissions import DEFAULT_POLICIES, ApprovalPolicy, Effect, effective_policy, stricter
from prompt_objects.errors import ToolError
from prompt_objects.message import REFUSED
from prompt_objects.runtime.asking import ask_for_approval
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments, UserInteraction
from prompt_objects.tools.allow import is_allowed
from prompt_objects.tools.base import ApprovedCall, Preview, Tool
from prompt_objects.tools.protected_files import writes_protected_file

_Key: TypeAlias = tuple[str | None, str, str, str]


class Approvals:
    """The approval policies of an environment by effect, and the user's remembered decisions.

    No definition can allow what `policies` forbid. Tools named in `allowed` run without approval.
    """

    def __init__(
        self,
        policies: Mapping[Effect, ApprovalPolicy],
        allowed: Collection[str] = (),
        interaction: UserInteraction | None = None,
        *,
        local_names: Callable[[], Collection[str]],
    ) -> None:
        self._policies = {**DEFAULT_POLICIES, **policies}
        self._allowed = frozenset(allowed)
        self._remembered: dict[_Key, Literal["session", "never"]] = {}
        self._interaction = interaction or UserInteraction()
        self._local_names = local_names

    def wrap(self, tool: Tool, capability: Capability) -> Tool:
        """Return the tool with approval checks, for the definition that has `capability`."""
        fields = {name: getattr(tool, name) for name in Tool.__struct_fields__}  # not those of a subclass
        return _GuardedTool(**fields, approvals=self, capability=capability)

    async def approve(
        self, tool: Tool, capability: Capability, arguments: dict[str, Any], context: Context
    ) -> ApprovedCall:
        """Return the call as it may run. Raises `ToolError`, for the model, if it may not run."""

        def allows(others: Mapping[str, Any]) -> bool:
            return self._needs_no_approval(tool, capability, others, context)

        policy = self.policy(tool, capability, context)
        if policy == "never":
            raise ToolError(f"{tool.name} is not allowed here.")
        if writes_protected_file(tool, arguments, context):
            return await self._approve_by_user(replace(tool, always_ask=True), capability, arguments, context)
        if policy == "always":
            return ApprovedCall(arguments, context, self._grant(tool, capability, context))
        if allows(arguments):
            grant = f"allow of {context.path[-1]}: {json.dumps(capability.allow)}"
            return ApprovedCall(arguments, replace(context, allows_unattended=allows), grant)
        return await self._approve_by_user(tool, capability, arguments, context)

    def policy(self, tool: Tool, capability: Capability, context: Context) -> ApprovalPolicy:
        """Return the policy before the arguments are considered: the strictest on the path of prompt objects."""
        policy: ApprovalPolicy = "ask" if tool.always_ask else "always"
        for each in _on_path(capability, context):
            policy = stricter(policy, self._policy_of(tool, each))
        # If a local tool has a name in `allowed`, the name does not apply to a server's tool.
        is_named = tool.name in self._allowed and (capability.kind != "mcp" or tool.name not in self._local_names())
        return "always" if policy == "ask" and not tool.always_ask and is_named else policy

    def _grant(self, tool: Tool, capability: Capability, context: Context) -> str:
        """Return why calls of a tool run without approval; empty if they never need it by default."""
        if DEFAULT_POLICIES[tool.effect] == "always":
            return ""
        if any(self._policy_of(tool, each) != "always" for each in _on_path(capability, context)):
            return f"{tool.name} is allowed for the whole run"
        return f"approval of {tool.effect}: always"

    def _policy_of(self, tool: Tool, capability: Capability) -> ApprovalPolicy:
        return effective_policy(capability.approval, self._policies[tool.effect])

    def _needs_no_approval(
        self, tool: Tool, capability: Capability, arguments: Mapping[str, Any], context: Context
    ) -> bool:
        return not tool.always_ask and all(
            self._policy_of(tool, each) == "always" or is_allowed(tool, each, arguments, context)
            for each in _on_path(capability, context)
        )

    async def _approve_by_user(
        self, tool: Tool, capability: Capability, arguments: dict[str, Any], context: Context
    ) -> ApprovedCall:
        key = (context.root_session_id, context.path[-1], capability.key, tool.name)
        grant = "approved by the user for this session"
        shown = json.dumps(arguments)  # each copy is read from these bytes, so what runs is what was shown
        while not self._is_remembered(key, tool):
            async with self._interaction.exclusive(context.budget):
                if self._is_remembered(key, tool):  # decided while this call waited for its turn to ask
                    break
                preview = await _preview(tool, json.loads(shown), context)
                decision = await self._ask(tool, json.loads(shown), context, preview)
                if decision == "session" or decision == "never":  # noqa: PLR1714 - edited arguments have no hash
                    self._remembered[key] = decision
                    grant = ""
            match decision:
                case EditedArguments() if tool.always_ask:
                    shown = json.dumps(decision.arguments)  # the user must see the new preview too
                case EditedArguments():
                    return ApprovedCall(decision.arguments, context)
                case "once" if _is_same(await _preview(tool, json.loads(shown), context), preview):
                    approved = replace(context, approved_diff=preview.diff if tool.preview else None)
                    return ApprovedCall(preview.arguments or json.loads(shown), approved)
                case "once" | "session" | "never":
                    pass  # remembered, or the file has changed since: ask again with the new diff
                case _:
                    raise _refused(tool)
        if self._remembered[key] == "never":
            raise _refused(tool)
        return ApprovedCall(arguments, context, grant)

    def _is_remembered(self, key: _Key, tool: Tool) -> bool:
        """Return whether the user has decided about all calls; approvals do not count for a tool that always asks."""
        return key in self._remembered and not (tool.always_ask and self._remembered[key] == "session")

    async def _ask(self, tool: Tool, arguments: dict[str, Any], context: Context, preview: Preview) -> Decision:
        if self._interaction.handler is None:
            raise ToolError(f"{tool.name} needs the user's approval, and no user can be asked here.")
        request = ApprovalRequest(
            path=context.path,
            session_id=context.session_id or "",
            tool=tool.name,
            effect=tool.effect,
            arguments=arguments,
            kinds={name: kind for name in arguments if (kind := kind_of(name, tool.parameters)) != "text"},
            diff=preview.diff,
            in_diff=preview.shows,
            remarks=preview.remarks,
            for_session=not tool.always_ask,
        )
        return await ask_for_approval(self._interaction.handler, request, context)


class _GuardedTool(Tool, frozen=True, kw_only=True):
    approvals: Approvals
    capability: Capability

    async def approve(self, arguments: dict[str, Any], context: Context) -> ApprovedCall:
        return await self.approvals.approve(self, self.capability, arguments, context)

    def policy(self, context: Context) -> ApprovalPolicy:
        return self.approvals.policy(self, self.capability, context)


async def _preview(tool: Tool, arguments: dict[str, Any], context: Context) -> Preview:
    return await tool.preview(arguments, context) if tool.preview else Preview()


def _is_same(first: Preview, second: Preview) -> bool:
    return (first.diff, first.remarks) == (second.diff, second.remarks)


def _refused(tool: Tool) -> ToolError:
    return ToolError(f"{REFUSED} {tool.name}. Do not try it again; answer with what you have.")


def _on_path(capability: Capability, context: Context) -> Iterator[Capability]:
    """Yield the capability as each prompt object on the path defines it, including the caller."""
    yield capability
    yield from context.approvals.get(capability.key, ())
