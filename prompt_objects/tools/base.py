"""The `Tool` type: a name, a description, a JSON Schema, and a coroutine to run."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from prompt_objects.config.permissions import ApprovalPolicy, Effect
from prompt_objects.runtime.context import Context

__all__ = [
    "Effect",
    "Preview",
    "Run",
    "Tool",
]

Run = Callable[[dict[str, Any], Context], Awaitable[str]]


class Preview(Struct, frozen=True):
    """What a person is shown of a call before it runs: a change to a file, as a unified diff, and what follows of it.

    `arguments`, if there are any, are what it then runs with in place of its own: just what was shown.
    """

    diff: str = ""
    remarks: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}


class Tool(Struct, frozen=True):
    """A capability as a model sees it, and what carries it out.

    `parameters` is the JSON Schema of the arguments, an object. `run` gets the arguments and the context of
    the call and returns text for the model; it raises `ToolError`, in words a model can act on, when it cannot.
    With `each_time` a person sees and approves every single call, whatever is said elsewhere.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    run: Run
    effect: Effect = "read"
    always_ask: bool = False

    async def approve(self, arguments: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Return the arguments with which a call may run: these, unless a kind of tool asks somebody first."""
        return arguments

    def policy(self, context: Context) -> ApprovalPolicy:  # noqa: ARG002
        """Say whether a call runs, is asked about, or is refused."""
        return "always"

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
