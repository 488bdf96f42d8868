"""One MCP server of an environment, over all its starts: what it offers, and calls to it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError
from prompt_objects.mcp.connection import Connection
from prompt_objects.mcp.incoming import MOST_TOOLS, MalformedMessage, encoded
from prompt_objects.mcp.tool_adapter import effect_of, name_for, text_from
from prompt_objects.mcp.transport import connect
from prompt_objects.mcp.variables import Variables
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mcp import ClientSession, MCPError
    from mcp.types import CallToolResult
    from mcp.types import Tool as ServerTool

__all__ = [
    "Server",
]

_MOST_FAILURES = 2
_MOST_PAGES = 100
_PATIENCE_SECONDS = 2.0
_LIST_SECONDS = 10.0
_WAITING_SECONDS = 10.0
_LONGEST_DESCRIPTION = 4_000
_LONGEST_COMPLAINT = 500
# What the package says in the name of a service that does not know the session any more, or broke off:
_FORGOTTEN = "Session terminated"
_BROKEN_OFF = "SSE stream ended"
T = TypeVar("T")


class Server:
    """A server that is started when it is needed, and once more after it failed.

    A program that failed twice is not started again before `close`; a service is asked anew each time. `is_trusted`
    is asked before every start, in a thread.
    """

    def __init__(
        self,
        name: str,
        config: ServerConfig,
        folder: Path,
        environ: Mapping[str, str],
        is_trusted: Callable[[], bool],
    ) -> None:
        self.name = name
        self._is_trusted = is_trusted
        self._config = config
        self._folder = folder
        self._filling = Variables(config, environ)
        self._connection: Connection | None = None
        self._ending: set[Connection] = set()
        self._failures = 0

    async def tools(self, context: Context) -> dict[str, Tool]:
        """Return what the server offers now, by its own names, in alphabetical order. Raises `ToolError`."""
        tools = await self._ask(
            context, partial(_all_tools, seconds=min(_LIST_SECONDS, self._config.timeout)), is_harmless=True
        )
        if len(tools) > MOST_TOOLS:
            more = f"offers more than {MOST_TOOLS} tools; those after them are left out."
            context.notify(f"The MCP server {self.name} {more}")
        return {tool.name: self._tool(tool) for tool in sorted(tools[:MOST_TOOLS], key=lambda tool: tool.name)}

    async def close(self) -> None:
        """End the server, if it runs, and wait until all that it ever started has ended; forget its failures."""
        self._failures = 0
        if self._connection:
            self._forget(self._connection)
        await self._gone()

    def _tool(self, tool: "ServerTool") -> Tool:
        async def run(arguments: dict[str, Any], context: Context) -> str:
            if encoded(arguments) is None:  # sent all the same, they would end the connection
                problem = "half of a surrogate pair, a number that is none, or more than 100 levels"
                raise ToolError(f"The arguments cannot be sent: they hold {problem}.")
            with self._notify_if_slow(tool.name, context):
                result = await self._ask(context, lambda session: self._call(session, tool.name, arguments))
            text = text_from(result)
            if result.is_error:
                raise ToolError(text)
            return text

        return Tool(
            name=name_for(self.name, tool.name),
            description=(tool.description or tool.title or tool.name)[:_LONGEST_DESCRIPTION],
            parameters={"type": "object", "properties": {}, **tool.input_schema},  # some models insist on both
            run=run,
            effect=effect_of(tool, self._config),
        )

    async def _ask(
        self,
        context: Context,
        request: "Callable[[ClientSession], Coroutine[Any, Any, T]]",
        *,
        is_harmless: bool = False,
    ) -> T:
        """Have the server answer, and once more where the connection was lost and that does no harm.

        Raises `ToolError`, in words for the model.
        """
        unknown = "" if is_harmless else "; whether the call took effect is unknown"
        try:
            return await self._answer(context, request, unknown)
        except _Lost as lost:
            if not (is_harmless or lost.was_not_sent):
                raise
            return await self._answer(context, request, unknown)

    async def _answer(
        self, context: Context, request: "Callable[[ClientSession], Coroutine[Any, Any, T]]", unknown: str
    ) -> T:
        connection, session = await self._connected(context)
        from mcp import MCPError

        try:
            return await connection.answer(request(session))
        except MCPError as error:
            if self._has_forgotten(error):
                self._forget(connection)
                raise _Lost(f"{self.name} has forgotten who asks. Ask again.", unheard=True) from error
            if not self._has_broken_off(error):
                raise ToolError(f"{self.name}: {self._filling.redact(error.message)}") from error
            await self._lose(connection, context)
            raise _Lost(f"{self.name} broke off before it answered{unknown}.", unheard=False) from error
        except TimeoutError as error:
            raise ToolError(f"The MCP server {self.name} does not say what it offers.") from error
        except (ValueError, RuntimeError) as error:
            complaint = self._filling.redact(str(error))[:_LONGEST_COMPLAINT]
            raise ToolError(f"{self.name} gave an answer that is not valid: {complaint}") from error
        except MalformedMessage as error:
            raise ToolError(f"{self.name} sent an answer that cannot be read{unknown}.") from error
        finally:
            for news in connection.untold():
                context.notify(self._filling.redact(f"The MCP server {self.name} {news}"))

    def _has_forgotten(self, error: "MCPError") -> bool:
        return self._config.url is not None and error.message == _FORGOTTEN

    def _has_broken_off(self, error: "MCPError") -> bool:
        """Say whether no answer came; one that did and was an error has another code by now, see `Incoming`."""
        from mcp.types import CONNECTION_CLOSED

        has_service_ended = self._config.url is not None and error.message.startswith(_BROKEN_OFF)
        return error.code == CONNECTION_CLOSED or has_service_ended

    async def _call(self, session: "ClientSession", tool: str, arguments: dict[str, Any]) -> "CallToolResult":
        try:
            async with asyncio.timeout(self._config.timeout):
                return await _call(session, tool, arguments)
        except TimeoutError as error:
            seconds = f"{self._config.timeout:g} seconds"
            problem = f"{self.name} did not answer within {seconds}; whether the call took effect is unknown."
            raise ToolError(problem) from error

    @contextmanager
    def _notify_if_slow(self, tool: str, context: Context) -> Iterator[None]:
        """Tell the person of a call that takes long, once."""
        patience = min(_WAITING_SECONDS, self._config.timeout / 2)
        news = (
            f"Still waiting for {tool!r} of the MCP server {self.name}; a call may take {self._config.timeout:g} s."
        )
        waiting = asyncio.get_running_loop().call_later(patience, context.notify, news)
        try:
            yield
        finally:
            waiting.cancel()

    # Starts and ends

    async def _connected(self, context: Context) -> "tuple[Connection, ClientSession]":
        if self._connection and self._connection.is_over:
            self._record_failure(self._connection, context)
        if self._connection is None and not await asyncio.to_thread(self._is_trusted):
            problem = f"The MCP server {self.name} does not start: the person has not trusted it as it is now."
            raise ToolError(f"{problem} Run: prompt-objects trust")
        if self._connection is None and self._config.url is None:
            await self._gone()  # what the one before left behind may hold what the next one needs
        connection = self._connection = self._connection or self._started()
        news = f"The MCP server {self.name} is still starting."
        waiting = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, context.notify, news)
        try:
            return connection, await connection.session()
        except ToolError as error:
            self._record_failure(connection, context)
            raise ToolError(
                f"The MCP server {self.name} does not start: {self._filling.redact(str(error))}"
            ) from error
        finally:
            waiting.cancel()

    def _started(self) -> Connection:
        if not self._may_start:
            problem = f"The MCP server {self.name} failed {_MOST_FAILURES} times and is not started again"
            raise ToolError(f"{problem}, unless the person starts the program anew. Do without it.")
        try:
            config = self._filling.config()
        except ToolError as error:
            raise ToolError(f"The MCP server {self.name} does not start: {error}") from error
        return Connection(lambda words, on_end: connect(config, self._folder, words, on_end))

    @property
    def _may_start(self) -> bool:
        return self._config.url is not None or self._failures < _MOST_FAILURES

    async def _lose(self, connection: Connection, context: Context) -> None:
        """Take note that a request was not answered; a service may all the same answer others."""
        is_over = await connection.came_to_an_end()
        if is_over or self._config.url is None:
            self._record_failure(connection, context)

    def _record_failure(self, connection: Connection, context: Context) -> None:
        """Take note, once, of a server that ended by itself, and tell the person."""
        if not self._forget(connection) or connection.is_elsewhere:
            return
        self._failures += 1
        if connection.was_ready:
            what = "ended unexpectedly" if self._config.url is None else "was lost"
            then = "It is started again when it is needed." if self._may_start else "It is not started again."
            reason = self._filling.redact(connection.reason).rstrip(".")
            context.notify(f"The MCP server {self.name} {what}: {reason}. {then}")

    def _forget(self, connection: Connection) -> bool:
        if self._connection is not connection:
            return False
        self._connection = None
        if not connection.is_elsewhere:
            connection.end()
            self._ending.add(connection)
        self._ending = {each for each in self._ending if not (each.is_gone or each.is_elsewhere)}
        return True

    async def _gone(self) -> None:
        """Wait, within bounds, until all connections that were forgotten have come to their end."""
        await asyncio.gather(*(connection.close() for connection in self._ending))


class _Lost(ToolError):
    """The connection was lost before the answer; `unheard` where the request surely had no effect."""

    def __init__(self, message: str, *, unheard: bool) -> None:
        super().__init__(message)
        self.was_not_sent = unheard


async def _all_tools(session: "ClientSession", *, seconds: float) -> "list[ServerTool]":
    """Return what a server offers, page by page; one that never comes to an end is cut short."""
    from mcp.types import PaginatedRequestParams

    tools: list[ServerTool] = []
    cursor = None
    async with asyncio.timeout(seconds):
        for _ in range(_MOST_PAGES):
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None or len(tools) > MOST_TOOLS:
                break
    return tools


async def _call(session: "ClientSession", tool: str, arguments: dict[str, Any]) -> "CallToolResult":
    # Without the session's own check of results against the server's schema: it runs whatever patterns a server
    # writes there, in the event loop, and may ask the server more questions after the call took effect.
    from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult

    request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
    return await session.send_request(request, CallToolResult)
