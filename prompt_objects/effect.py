"""What tools do to the world, and whether a person is asked before they do it."""

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

__all__ = ["USUAL", "Acting", "Approval", "Effect", "effect_of_server", "said", "stricter"]

Effect: TypeAlias = Literal["read", "write", "execute", "network"]
"""What a tool does: reads, changes files, starts programs, or sends something over the network."""

Approval: TypeAlias = Literal["always", "ask", "never"]
"""Whether a tool always runs, a person is asked, or it never runs."""

USUAL: Mapping[Effect, Approval] = {"read": "always", "write": "ask", "execute": "ask", "network": "ask"}
"""What holds for a tool by its effect where nothing is said."""

_STRICTNESS: tuple[Approval, ...] = ("always", "ask", "never")


class Acting(Protocol):
    """What does something to the world, such as a tool."""

    @property
    def effect(self) -> Effect:
        """What it does."""

    @property
    def each_time(self) -> bool:
        """Whether a person is asked before every single call, whatever is said elsewhere."""


def stricter(first: Approval, second: Approval) -> Approval:
    """Return the one that allows less."""
    return max(first, second, key=_STRICTNESS.index)


def said(own: Approval | None, usual: Approval) -> Approval:
    """Return what holds for one prompt object: its `own` word, else what is `usual`, unless that forbids it."""
    return usual if usual == "never" else own or usual


def effect_of_server(url: str | None) -> Effect:
    """Return the most that the tools of an MCP server may do: one without a URL is a program that is started."""
    return "execute" if url is None else "network"
