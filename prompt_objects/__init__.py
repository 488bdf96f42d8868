"""An environment of prompt objects: entities backed by language models, which take messages and send them.

    async with Environment.open("my-environment") as env:
        reply = await env["reader"].receive("What is in README.md?")
        print(reply.text)

Importing the package loads nothing but itself; each name loads its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prompt_objects.bus import Event
    from prompt_objects.context import Context
    from prompt_objects.definition import Definition
    from prompt_objects.environment import Environment
    from prompt_objects.errors import PromptObjectsError
    from prompt_objects.message import Message
    from prompt_objects.prompt_object import PromptObject
    from prompt_objects.sessions.manager import SessionManager
    from prompt_objects.sessions.record import SessionInfo
    from prompt_objects.sessions.session import Session
    from prompt_objects.tools import Tool
    from prompt_objects.tools.function import tool
    from prompt_objects.turn import Reply

__all__ = [
    "Context",
    "Definition",
    "Environment",
    "Event",
    "Message",
    "PromptObject",
    "PromptObjectsError",
    "Reply",
    "Session",
    "SessionInfo",
    "SessionManager",
    "Tool",
    "__version__",
    "tool",
]

__version__ = "0.1.0"

_HOMES = {
    "Context": "context",
    "Definition": "definition",
    "Environment": "environment",
    "Event": "bus",
    "Message": "message",
    "PromptObject": "prompt_object",
    "PromptObjectsError": "errors",
    "Reply": "turn",
    "Session": "sessions.session",
    "SessionInfo": "sessions.record",
    "SessionManager": "sessions.manager",
    "Tool": "tools",
    "tool": "tools.function",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
