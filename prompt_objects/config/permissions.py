"""What tools do to the world, and whether a person is asked before they do it."""

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

__all__ = [
    "DEFAULT_POLICIES",
    "ApprovalPolicy",
    "Effect",
    "HasEffect",
    "effect_of_server",
    "effective_policy",
    "stricter",
]

Effect: TypeAlias = Literal["read", "write", "execute", "network"]
"""What a tool does: reads, changes files, starts programs, or sends something over the network."""
ApprovalPolicy: TypeAlias = Literal["always", "ask", "never"]
"""Whether a tool always runs, a person is asked, or it never runs."""
DEFAULT_POLICIES: Mapping[Effect, ApprovalPolicy] = {
    "read": "always",
    "write": "ask",
    "execute": "ask",
    "network": "ask",
}
"""What holds for a tool by its effect where nothing is said."""
_STRICTNESS: tuple[ApprovalPolicy, ...] = ("always", "ask", "never")


class HasEffect(Protocol):
    """What does something to the world, such as a tool."""

    @property
    def effect(self) -> Effect:
        """What it does."""

    @property
    def always_ask(self) -> bool:
        """Whether a person is asked before every single call, whatever is said elsewhere."""


def stricter(first: ApprovalPolicy, second: ApprovalPolicy) -> ApprovalPolicy:
    """Return the one that allows less."""
    return max(first, second, key=_STRICTNESS.index)


def effective_policy(own: ApprovalPolicy | None, usual: ApprovalPolicy) -> ApprovalPolicy:
    """Return what holds for one prompt object: its `own` word, else what is `usual`, unless that forbids it."""
    return usual if usual == "never" else own or usual


def effect_of_server(url: str | None) -> Effect:
    """Return the most that the tools of an MCP server may do: one without a URL is a program that is started."""
    return "execute" if url is None else "network"
