"""What tools do to the world, and whether a person is asked before they do it."""

from typing import Literal, TypeAlias

__all__ = ["Approval", "Effect", "stricter"]

Effect: TypeAlias = Literal["read", "write", "execute", "network"]
"""What a tool does: reads, changes files, starts programs, or sends something over the network."""

Approval: TypeAlias = Literal["always", "ask", "never"]
"""Whether a tool always runs, a person is asked, or it never runs."""

_STRICTNESS: tuple[Approval, ...] = ("always", "ask", "never")


def stricter(first: Approval, second: Approval) -> Approval:
    """Return the one that allows less."""
    return max(first, second, key=_STRICTNESS.index)
