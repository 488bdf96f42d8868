"""What a prompt object can use: a name, a description, a JSON Schema and something to run."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from prompt_objects.context import Context

__all__ = ["Effect", "Run", "Tool"]

Effect: TypeAlias = Literal["read", "write", "execute", "network"]
"""What a tool does to the world: reads, changes files, starts programs, or sends something over the network."""

Run = Callable[[dict[str, Any], Context], Awaitable[str]]


class Tool(Struct, frozen=True):
    """A capability as a model sees it, and what carries it out.

    `parameters` is the JSON Schema of the arguments, an object. `run` gets the arguments and the context of
    the call and returns text for the model; it raises `ToolError`, in words a model can act on, when it cannot.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    run: Run
    effect: Effect = "read"

    def as_function(self) -> dict[str, Any]:
        """Describe the tool in the chat protocol's form."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        }
