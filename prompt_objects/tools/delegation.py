"""A prompt object as a capability of another: a message in, its reply out, in a session of its own."""

import asyncio
from typing import Any, Literal, Protocol

from prompt_objects.errors import Busy, ToolError
from prompt_objects.message import Message
from prompt_objects.runtime.context import Context
from prompt_objects.sessions.info import ParentCall
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.names import with_suffix
from prompt_objects.sessions.session import Session
from prompt_objects.tools.base import Tool

__all__ = [
    "delegate",
]

PATIENCE_SECONDS = 60.0
"""How long a prompt object is waited for that another process asks in the same session."""
_PARAMETERS = {
    "type": "object",
    "properties": {
        "message": {
            "type": "string",
            "description": "What you want, with everything needed to do it: it sees only this",
        }
    },
    "required": ["message"],
    "additionalProperties": False,
}
_NUMBER = 5  # characters, for what makes one of many names of calls its own


class Answer(Protocol):
    """What comes back: a text."""

    @property
    def text(self) -> str: ...


class Receiver(Protocol):
    """What can be asked: a prompt object."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def session_manager(self) -> SessionManager: ...

    async def receive(
        self,
        message: str | Message,
        context: Context | None = None,
        session: Session | None = None,
        *,
        wait: float | None = 0,
    ) -> Answer: ...


def delegate(receiver: Receiver, mode: Literal["fresh", "continue"] = "fresh") -> Tool:
    """Make the tool by which a prompt object asks `receiver`.

    Each call gets a session of its own that names the session and the call it came from; with the mode `continue`
    all calls from one session go on in the same one.
    """
    finding = asyncio.Lock()

    async def run(arguments: dict[str, Any], context: Context) -> str:
        message = arguments.get("message")
        if not isinstance(message, str) or not message.strip():
            raise ToolError(f"{receiver.name} needs a 'message': a text that says what you want.")
        child = context.delegate(receiver.name)
        if mode == "fresh":
            name, parent = _beginning(context)
            session = receiver.session_manager.draft(name, parent=parent)
        else:
            async with finding:  # calls side by side are to find the same one
                session = await asyncio.to_thread(_session_to_continue, receiver.session_manager, context)
        try:
            answer = await receiver.receive(message, child, session, wait=PATIENCE_SECONDS)
        except Busy as busy:
            raise ToolError(
                f"{receiver.name} could not be asked, also after {PATIENCE_SECONDS:.0f} seconds: {busy} "
                "Answer with what you have."
            ) from busy
        return answer.text

    return Tool(
        name=receiver.name,
        description=receiver.description or f"Ask {receiver.name}.",
        parameters=_PARAMETERS,
        run=run,
    )


def _session_to_continue(manager: SessionManager, context: Context) -> Session:
    name, parent = _beginning(context)
    for info in manager.list():
        if info.parent and info.parent.session == parent.session:
            return manager.get(info.id)
    return manager.create(name, numbered=True, parent=parent)  # at once: calls side by side are to find it


def _beginning(context: Context) -> tuple[str, ParentCall]:
    """Return the name, and the parent, of a session in which a call of `context` is answered."""
    if context.session is None or context.call_id is None:
        raise ToolError("Only a running turn can ask another prompt object.")
    name = with_suffix(context.session.name, f"({context.path[-1]})", reserve=_NUMBER)
    return name, ParentCall(session=context.session.id, call=context.call_id)
