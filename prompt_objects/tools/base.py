"""The `Tool` type: a name, a description, a JSON Schema, and a coroutine function to run."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from prompt_objects.config.permissions import ApprovalPolicy, Effect
from prompt_objects.runtime.context import Context

Run = Callable[[dict[str, Any], Context], Awaitable[str]]


class Preview(Struct, frozen=True):
    """The preview of a call, shown to the user before the call runs.

    `diff` is the change to a file, as a unified diff; `remarks` are sentences about consequences. `shows` names the
    arguments whose whole effect is in them; all others are shown, too. If `arguments` is not empty, an approved call
    runs with these in place of its own, so that exactly what was shown is done.
    """

    diff: str = ""
    remarks: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}
    shows: tuple[str, ...] = ()


class ApprovedCall(Struct, frozen=True):
    """A call that may run, with exactly these arguments and in this context.

    `grant` says why it may run although such calls usually need approval; empty if the user approved this one.
    """

    arguments: dict[str, Any]
    context: Context
    grant: str = ""


MakePreview = Callable[[dict[str, Any], Context], Awaitable[Preview]]


class Tool(Struct, frozen=True):
    """A capability: the description that a model sees, and the coroutine function that runs a call.

    `parameters` is the JSON Schema of the arguments, an object. `run` gets the arguments and the context of the call,
    and returns text for the model; it raises `ToolError`, with a message that the model can act on. With
    `always_ask` the user approves every single call, whatever the settings say. `preview` returns what the user is
    shown before they approve a call; it raises the same errors as the call.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    run: Run
    effect: Effect = "read"
    always_ask: bool = False
    preview: MakePreview | None = None

    async def approve(self, arguments: dict[str, Any], context: Context) -> ApprovedCall:
        """Return the call as it may run. Raises `ToolError` if it may not run."""
        return ApprovedCall(arguments, context)

    def policy(self, context: Context) -> ApprovalPolicy:  # noqa: ARG002
        """Return whether a call runs, needs approval, or is refused."""
        return "always"

    def as_function(self) -> dict[str, Any]:
        """Return the tool as a function of the chat protocol."""
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": self.parameters},
        }
