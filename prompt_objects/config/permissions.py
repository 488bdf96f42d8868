"""Effects of tools, and approval policies."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias

Effect: TypeAlias = Literal["read", "write", "execute", "network"]
"""The effect of a tool: it reads, changes files, starts programs, or sends data over the network."""
ApprovalPolicy: TypeAlias = Literal["always", "ask", "never"]
"""Whether a tool runs without approval, needs the user's approval, or never runs."""
DEFAULT_POLICIES: Mapping[Effect, ApprovalPolicy] = {
    "read": "always",
    "write": "ask",
    "execute": "ask",
    "network": "ask",
}
"""The default policy of each effect."""
_STRICTNESS: tuple[ApprovalPolicy, ...] = ("always", "ask", "never")


class HasEffect(Protocol):
    """Something with an effect on the world, such as a tool."""

    @property
    def effect(self) -> Effect: ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments."""

    @property
    def always_ask(self) -> bool:
        """Whether every single call needs the user's approval, whatever the policies say."""


def stricter(first: ApprovalPolicy, second: ApprovalPolicy) -> ApprovalPolicy:
    """Return the policy that allows less."""
    return max(first, second, key=_STRICTNESS.index)


def effective_policy(own: ApprovalPolicy | None, default: ApprovalPolicy) -> ApprovalPolicy:
    """Return the policy of one prompt object: `own`, or else `default`; a default of `never` cannot be overridden."""
    return default if default == "never" else own or default


def effect_of_server(url: str | None) -> Effect:
    """Return the effect of an MCP server's tools: a server without a URL is a program that is started."""
    return "execute" if url is None else "network"
