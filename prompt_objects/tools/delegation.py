"""Makes a prompt object a tool of another one: a call sends a message, in a child session, and returns the reply."""

import asyncio
from typing import Any, Literal, Protocol

from prompt_objects.errors import Busy, ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.sessions.info import ParentCall
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.names import with_suffix
from prompt_objects.sessions.session import Session
from prompt_objects.tools.base import Tool

BUSY_TIMEOUT_SECONDS = 60.0
"""How long a call waits if another process has a turn in the same child session."""
_PARAMETERS = {
    "type": "object",
    "properties": {
        "message": {
            "type": "string",
            "description": "The request, with all needed details: the prompt object sees nothing else",
        }
    },
    "required": ["message"],
    "additionalProperties": False,
}
_NUMBER_WIDTH = 5  # characters that a number in the session name may need


class ReplyText(Protocol):
    """The reply of a receiver."""

    @property
    def text(self) -> str: ...


class Receiver(Protocol):
    """A prompt object, as far as delegation needs it."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def session_manager(self) -> SessionManager: ...

    async def receive(self, message: str, context: Context, session: Session, *, wait: float) -> ReplyText: ...


def make_delegation_tool(receiver: Receiver, mode: Literal["fresh", "continue"] = "fresh") -> Tool:
    """Return the tool that delegates to `receiver`: in a new child session, or with `continue` always in the same."""
    lock = asyncio.Lock()

    async def run(arguments: dict[str, Any], context: Context) -> str:
        message = arguments.get("message")
        if not isinstance(message, str) or not message.strip():
            raise ToolError(f"{receiver.name} needs a 'message': a text with your request.")
        child = context.delegate(receiver.name)
        if context.session is None or context.call_id is None:
            raise ToolError("A prompt object can be asked only during a turn.")
        name = with_suffix(context.session.name, f"({context.path[-1]})", reserve=_NUMBER_WIDTH)
        parent = ParentCall(session=context.session.id, call=context.call_id)
        if mode == "fresh":
            session = receiver.session_manager.draft(name, parent=parent)
        else:
            async with lock:  # concurrent calls must get the same session
                session = await asyncio.to_thread(_session_to_continue, receiver.session_manager, name, parent)
        try:
            reply = await receiver.receive(message, child, session, wait=BUSY_TIMEOUT_SECONDS)
        except Busy as busy:
            raise ToolError(
                f"{receiver.name} was still busy after {BUSY_TIMEOUT_SECONDS:.0f} seconds: {busy} "
                "Answer with what you have."
            ) from busy
        return reply.text

    return Tool(
        name=receiver.name,
        description=receiver.description or f"Ask {receiver.name}.",
        parameters=_PARAMETERS,
        run=run,
    )


def _session_to_continue(manager: SessionManager, name: str, parent: ParentCall) -> Session:
    if children := manager.list(limit=1, parent=parent.session):
        return manager.get(children[0].id)
    return manager.create(name, unique_name=True, parent=parent)  # saved now, so that the next call finds it
