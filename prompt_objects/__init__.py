"""Environments of prompt objects: entities backed by language models that answer messages and send them.

    async with Environment.open("my-environment") as env:
        reply = await env["reader"].receive("What is in README.md?")
        print(reply.text)

Importing the package is fast: each name loads its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from prompt_objects._version import __version__

if TYPE_CHECKING:
    from prompt_objects.config.definition import Definition
    from prompt_objects.environment.environment import Environment
    from prompt_objects.environment.prompt_object import PromptObject
    from prompt_objects.errors import PromptObjectsError
    from prompt_objects.message import Message
    from prompt_objects.runtime.context import Context
    from prompt_objects.runtime.events import Event
    from prompt_objects.sessions.info import SessionInfo
    from prompt_objects.sessions.manager import SessionManager
    from prompt_objects.sessions.session import Session
    from prompt_objects.tools.base import Tool
    from prompt_objects.tools.decorator import tool
    from prompt_objects.turns.reply import Reply

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

_MODULES = {
    "Context": "runtime.context",
    "Definition": "config.definition",
    "Environment": "environment.environment",
    "Event": "runtime.events",
    "Message": "message",
    "PromptObject": "environment.prompt_object",
    "PromptObjectsError": "errors",
    "Reply": "turns.reply",
    "Session": "sessions.session",
    "SessionInfo": "sessions.info",
    "SessionManager": "sessions.manager",
    "Tool": "tools.base",
    "tool": "tools.decorator",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
