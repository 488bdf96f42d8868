"""Messages from an MCP server, checked before the client sees them."""

import json
from collections.abc import Callable
from typing import Any, Self

from prompt_objects.errors import ToolError

__all__ = [
    "MOST_TOOLS",
    "MalformedMessage",
    "MessageFilter",
    "encoded",
]

MOST_TOOLS = 500
_MOST_SCHEMA_BYTES = 50_000
_LONGEST_NAME = 100


class MalformedMessage(ToolError):
    """The server sent a message that cannot be read; which one it answered is unknown."""


class MessageFilter:
    """A stream of messages to read, as the `mcp` package has them.

    Of a list of tools those with a fault are taken out, and `leave_out` is called with the name of each. `complain`
    is called with whether what cannot be read was meant as a message: programs also print other things by mistake.
    An error for nobody in particular is such a message. One tool more than count is passed on, so that this is seen.
    Errors of servers that have the code by which the package tells of a lost connection get another one.
    """

    def __init__(
        self,
        stream: Any,
        version: Callable[[], str | None],
        leave_out: Callable[[str], None],
        complain: Callable[[bool], None],
    ) -> None:
        self._stream = stream
        self._version = version
        self._leave_out = leave_out
        self._complain = complain

    @property
    def last_context(self) -> Any:
        """In what context the last message was sent, where the stream knows it."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        """Return the next message, or what was wrong with it."""
        return self._looked_through(await self._stream.receive())

    async def aclose(self) -> None:
        """Let go of the stream."""
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._looked_through(await self._stream.__anext__())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _looked_through(self, item: Any) -> Any:
        if isinstance(item, Exception):
            item = self._reread(item) or item
        if isinstance(item, Exception):
            self._complain(_is_meant_as_message(item))
            return item
        error = getattr(item.message, "error", None)
        if error is not None and item.message.id is None:  # whose it is, its server could not read
            self._complain(True)  # noqa: FBT003 - as it is declared
        _tell_apart(error)
        result = getattr(item.message, "result", None)
        if isinstance(result, dict) and isinstance(result.get("tools"), list):
            result["tools"] = self._sound(result)
        return item

    def _reread(self, error: Exception) -> Any:
        """Return the list of tools that some of its tools made unreadable, without these; None where it is none."""
        from mcp.shared.message import SessionMessage
        from mcp.types import jsonrpc_message_adapter
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            return None
        try:
            message = json.loads(error.errors()[0]["input"])
            match message:
                case {"result": {"tools": [*tools]}}:
                    message["result"]["tools"] = self._chosen(tools, lambda tool: encoded(tool) is not None)
                    return SessionMessage(jsonrpc_message_adapter.validate_python(message))
        except (ValueError, TypeError, RecursionError):  # it is no text, no JSON, too deep, or still no message
            return None
        return None

    def _sound(self, result: dict[str, Any]) -> list[Any]:
        """Return the tools of a list that the session would not refuse; one by one only where it would."""
        tools = self._chosen(result["tools"], _can_be_used)
        if self._is_sound({**result, "tools": tools}):
            return tools
        return self._chosen(tools, lambda tool: self._is_sound({**result, "tools": [tool]}))

    def _chosen(self, tools: list[Any], is_good: Callable[[Any], bool]) -> list[Any]:
        chosen = []
        for tool in tools[: MOST_TOOLS + 1]:
            if is_good(tool):
                chosen.append(tool)
            else:
                name = tool.get("name") if isinstance(tool, dict) else None
                self._leave_out(name[:_LONGEST_NAME] if isinstance(name, str) else "")
        return chosen

    def _is_sound(self, result: dict[str, Any]) -> bool:
        from mcp_types.methods import parse_server_result

        try:
            parse_server_result("tools/list", self._version() or "", result)
        except KeyError:  # a version that the package reads without looking
            return True
        except ValueError:
            return False
        return True


def _can_be_used(tool: Any) -> bool:
    """Say whether a tool can be told to models, who take neither everything nor endless schemas."""
    schema = encoded(tool.get("inputSchema")) if isinstance(tool, dict) and encoded(tool) else None
    return schema is not None and len(schema) <= _MOST_SCHEMA_BYTES


def _tell_apart(error: Any) -> None:
    """Give an error that came another code where it has that of a connection on which nothing comes any more."""
    from mcp.types import CONNECTION_CLOSED, INTERNAL_ERROR

    if error is not None and error.code == CONNECTION_CLOSED:
        error.code = INTERNAL_ERROR


def _is_meant_as_message(error: Exception) -> bool:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return True
    return any('"jsonrpc"' in str(fault["input"]) or "'jsonrpc'" in str(fault["input"]) for fault in error.errors())


_DEEPEST = 100


def encoded(value: Any) -> bytes | None:
    """Write a value as JSON.

    None where that is impossible: for numbers that are none, for half of a surrogate pair, and for what is nested
    more than 100 levels deep, as readers give up at some depth.
    """
    if _is_deeper(value, _DEEPEST):
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return None


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    below = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in below)
