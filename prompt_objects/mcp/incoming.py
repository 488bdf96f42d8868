"""Checks messages from an MCP server before the client of the `mcp` package reads them."""

import json
from collections.abc import Callable
from typing import Any, Self

from prompt_objects.errors import ToolError
from prompt_objects.sessions.stores.json_lines import is_deeper

MAX_TOOLS = 500
_MAX_SCHEMA_BYTES = 50_000
_MAX_NAME_LENGTH = 100


class MalformedMessage(ToolError):
    """The server sent a message that cannot be read; it may have been the response to any request."""


class MessageFilter:
    """A stream of messages for the `mcp` package, without invalid tools; `on_invalid_tool` gets their names.

    `on_malformed` is called for data that cannot be read. Its argument says whether the data was meant as a message:
    programs also print other output by mistake. An error response without an id counts as such a message.
    """

    def __init__(
        self,
        stream: Any,
        version: Callable[[], str | None],
        on_invalid_tool: Callable[[str], None],
        on_malformed: Callable[[bool], None],
    ) -> None:
        self._stream = stream
        self._version = version
        self._on_invalid_tool = on_invalid_tool
        self._on_malformed = on_malformed

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        return self._filter(await self._stream.receive())

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._filter(await self._stream.__anext__())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _filter(self, item: Any) -> Any:
        from mcp.types import CONNECTION_CLOSED, INTERNAL_ERROR

        if isinstance(item, Exception):
            item = self._parse_again(item) or item
        if isinstance(item, Exception):
            self._on_malformed(_is_meant_as_message(item))
            return item
        error = getattr(item.message, "error", None)
        if error is not None and item.message.id is None:  # the server could not read which request failed
            self._on_malformed(True)  # noqa: FBT003 - as it is declared
        if error is not None and error.code == CONNECTION_CLOSED:  # the package's own code for a lost connection
            error.code = INTERNAL_ERROR
        result = getattr(item.message, "result", None)
        if isinstance(result, dict) and isinstance(result.get("tools"), list):
            result["tools"] = self._valid_tools(result)
        if isinstance(result, dict) and ("content" in result or "structuredContent" in result):
            result["content"] = readable_blocks(result.get("content"))
        return item

    def _parse_again(self, error: Exception) -> Any:
        """Parse an unreadable message again without its invalid tools; return None if it still cannot be read."""
        from mcp.shared.message import SessionMessage
        from mcp.types import jsonrpc_message_adapter
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            return None
        try:
            message = json.loads(error.errors()[0]["input"])
            match message:
                case {"result": {"tools": [*tools]}}:
                    message["result"]["tools"] = self._select(tools, lambda tool: encoded(tool) is not None)
                    return SessionMessage(jsonrpc_message_adapter.validate_python(message))
        except (ValueError, TypeError, RecursionError):  # not text, not JSON, too deep, or still not a message
            return None
        return None

    def _valid_tools(self, result: dict[str, Any]) -> list[Any]:
        """Return the tools that the session accepts; check them one by one only if the whole list is rejected."""
        tools = self._select(result["tools"], _is_usable)
        if self._is_accepted({**result, "tools": tools}):
            return tools
        return self._select(tools, lambda tool: self._is_accepted({**result, "tools": [tool]}))

    def _select(self, tools: list[Any], is_valid: Callable[[Any], bool]) -> list[Any]:
        selected = []
        for tool in tools[: MAX_TOOLS + 1]:
            if is_valid(tool):
                selected.append(tool)
            else:
                name = tool.get("name") if isinstance(tool, dict) else None
                self._on_invalid_tool(name[:_MAX_NAME_LENGTH] if isinstance(name, str) else "")
        return selected

    def _is_accepted(self, result: dict[str, Any]) -> bool:
        from mcp_types.methods import parse_server_result

        try:
            parse_server_result("tools/list", self._version() or "", result)
        except KeyError:  # the package does not check results of this version
            return True
        except ValueError:
            return False
        return True


def readable_blocks(content: Any) -> list[Any]:
    """Return the content of a result, with each block that the `mcp` package does not know as text."""
    from mcp.types import ContentBlock
    from pydantic import TypeAdapter, ValidationError

    known: TypeAdapter[Any] = TypeAdapter(ContentBlock)
    blocks = []
    for block in content if isinstance(content, list) else [] if content is None else [content]:
        try:
            known.validate_python(block, by_name=False)
            blocks.append(block)
        except ValidationError:
            blocks.append({"type": "text", "text": _block_text(block)})
    return blocks


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    text = block.get("text") if isinstance(block, dict) else None
    if isinstance(text, str):
        return text
    data = encoded(block)
    return f"[content of an unknown kind: {data.decode()}]" if data else "[content that cannot be read]"


def _is_usable(tool: Any) -> bool:
    """Return whether a tool can be sent to models: as valid JSON, with a schema of limited size."""
    schema = encoded(tool.get("inputSchema")) if isinstance(tool, dict) and encoded(tool) else None
    return schema is not None and len(schema) <= _MAX_SCHEMA_BYTES


def _is_meant_as_message(error: Exception) -> bool:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return True
    return any('"jsonrpc"' in str(each["input"]) or "'jsonrpc'" in str(each["input"]) for each in error.errors())


_MAX_DEPTH = 100


def encoded(value: Any) -> bytes | None:
    """Return a value as JSON; None for NaN, infinity, lone surrogates, and more than 100 levels."""
    if is_deeper(value, _MAX_DEPTH):
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return None
