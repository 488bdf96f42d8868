"""One MCP server: it starts when it is first needed, once for all prompt objects."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError
from prompt_objects.mcp.call import Call, list_tools
from prompt_objects.mcp.connection import Connection
from prompt_objects.mcp.incoming import MAX_TOOLS, MalformedMessage, encoded
from prompt_objects.mcp.program import run_program
from prompt_objects.mcp.service import connect_to_service
from prompt_objects.mcp.tool_adapter import effect_of, name_for, text_from
from prompt_objects.mcp.transport_report import TransportReport
from prompt_objects.mcp.variables import Variables
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mcp import ClientSession, MCPError
    from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult
    from mcp.types import Tool as ServerTool


_MAX_FAILURES = 2
_SLOW_START_SECONDS = 2.0
_LIST_SECONDS = 10.0
_SLOW_CALL_SECONDS = 10.0
_MAX_ERROR_LENGTH = 500
_INTERRUPTED = "SSE stream ended"  # the message of the `mcp` package for a service that broke the connection
T = TypeVar("T")


class Server:
    """A server that is started when needed; a program that failed twice is not started again before `close`."""

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
        self._variables = Variables(config, environ)
        self._connection: Connection | None = None
        self._closing: set[Connection] = set()
        self._calls: list[Call] = []
        self._failures = 0

    async def tools(self, context: Context) -> dict[str, Tool]:
        """Return the server's tools by their own names, sorted by name. Raises `ToolError`."""
        tools = await self._request(
            context, partial(list_tools, seconds=min(_LIST_SECONDS, self._config.timeout)), may_repeat=True
        )
        if len(tools) > MAX_TOOLS:
            self._notify(context, f"offers more than {MAX_TOOLS} tools; the others are left out.")
        return {tool.name: self._tool(tool) for tool in sorted(tools[:MAX_TOOLS], key=lambda tool: tool.name)}

    async def close(self) -> None:
        """Stop the server and wait until all its connections are closed; reset the count of failures."""
        self._failures = 0
        if self._connection:
            self._discard(self._connection)
        await self._wait_until_closed()

    def _tool(self, tool: "ServerTool") -> Tool:
        async def run(arguments: dict[str, Any], context: Context) -> str:
            if encoded(arguments) is None:  # sending them would end the connection
                problem = "a lone surrogate, a number that JSON does not have, or more than 100 levels"
                raise ToolError(f"The arguments cannot be sent: they contain {problem}.")
            limit = self._config.timeout
            notice = f"Still waiting for {tool.name!r} of the MCP server {self.name}; a call may take {limit:g} s."
            with _notify_after(min(_SLOW_CALL_SECONDS, limit / 2), context, notice):
                result = await self._request(
                    context, lambda session: self._call(session, context, tool.name, arguments)
                )
            text = text_from(result)
            if result.is_error:
                raise ToolError(text)
            return text

        return Tool(
            name=name_for(self.name, tool.name),
            description=tool.description or tool.title or tool.name,
            parameters={"type": "object", "properties": {}, **tool.input_schema},  # some models require both keys
            run=run,
            effect=effect_of(tool, self._config),
        )

    async def _request(
        self,
        context: Context,
        request: "Callable[[ClientSession], Coroutine[Any, Any, T]]",
        *,
        may_repeat: bool = False,
    ) -> T:
        """Send a request; send it again if the connection was lost and repeating is harmless. Raises `ToolError`."""
        uncertainty = "" if may_repeat else "; whether the call took effect is unknown"
        try:
            return await self._request_once(context, request, uncertainty)
        except _ConnectionLost as error:
            if not (may_repeat or isinstance(error, _NotSent)):
                raise
            return await self._request_once(context, request, uncertainty)

    async def _request_once(
        self, context: Context, request: "Callable[[ClientSession], Coroutine[Any, Any, T]]", uncertainty: str
    ) -> T:
        connection, session = await self._connected(context)
        from mcp import MCPError

        try:
            return await connection.result_of(request(session))
        except MCPError as error:
            if connection.is_session_lost:
                self._discard(connection)
                raise _NotSent(f"{self.name} does not know the session. Try again.") from error
            if not self._is_interrupted(error):
                raise ToolError(f"{self.name}: {self._variables.redact(error.message)}") from error
            if await connection.closes_soon() or self._config.url is None:  # a service may still be usable
                self._record_failure(connection, context)
            problem = f"The connection to {self.name} was lost before it responded{uncertainty}."
            raise _ConnectionLost(problem) from error
        except TimeoutError as error:
            raise ToolError(f"The MCP server {self.name} did not list its tools in time.") from error
        except (ValueError, RuntimeError) as error:
            problem = self._variables.redact(str(error))[:_MAX_ERROR_LENGTH]
            raise ToolError(f"{self.name} sent an invalid response: {problem}") from error
        except MalformedMessage as error:
            raise ToolError(f"{self.name} sent a response that cannot be read{uncertainty}.") from error
        finally:
            for text in connection.take_notices():
                self._notify(context, self._variables.redact(text))

    def _is_interrupted(self, error: "MCPError") -> bool:
        """Return whether no response arrived. `MessageFilter` changes the code of errors that arrived."""
        from mcp.types import CONNECTION_CLOSED

        has_service_ended = self._config.url is not None and error.message.startswith(_INTERRUPTED)
        return error.code == CONNECTION_CLOSED or has_service_ended

    async def _call(
        self, session: "ClientSession", context: Context, tool: str, arguments: dict[str, Any]
    ) -> "CallToolResult":
        call = Call(self.name, context, self._config.timeout)
        self._calls.append(call)
        try:
            return await call.run(session, tool, arguments)
        finally:
            self._calls.remove(call)

    async def _elicit(self, request: "ElicitRequestParams") -> "ElicitResult":
        """Answer a question that the server asks outside a response: it belongs to the latest call."""
        from mcp.types import ElicitResult

        return await self._calls[-1].ask_user(request) if self._calls else ElicitResult(action="cancel")

    def _notify(self, context: Context, text: str) -> None:
        context.notify(f"The MCP server {self.name} {text}")

    # Start and stop

    async def _connected(self, context: Context) -> "tuple[Connection, ClientSession]":
        if self._connection and self._connection.is_closing:
            self._record_failure(self._connection, context)
        if self._connection is None and not await asyncio.to_thread(self._is_trusted):
            problem = f"The MCP server {self.name} does not start: the user has not trusted it in its present state."
            raise ToolError(f"{problem} Run: prompt-objects trust")
        if self._connection is None and self._config.url is None:
            await self._wait_until_closed()  # an ending program may still hold resources that the next one needs
        connection = self._connection = self._connection or self._start(context)
        try:
            with _notify_after(_SLOW_START_SECONDS, context, f"The MCP server {self.name} is still starting."):
                return connection, await connection.session()
        except ToolError as error:
            self._record_failure(connection, context)
            reason = self._variables.redact(str(error))
            raise ToolError(f"The MCP server {self.name} does not start: {reason}") from error

    def _start(self, context: Context) -> Connection:
        if not self._may_start:
            problem = f"The MCP server {self.name} failed {_MAX_FAILURES} times and is not started again"
            raise ToolError(f"{problem} until the user restarts the program. Continue without it.")
        try:
            config = self._variables.config()
        except ToolError as error:
            raise ToolError(f"The MCP server {self.name} does not start: {error}") from error
        has_user = context.services.interaction.handler is not None
        notify = partial(self._notify, context) if has_user else None

        def open_streams(report: TransportReport, on_end: Callable[[], None]) -> AbstractAsyncContextManager[Any]:
            if config.url is None:
                return run_program(config, self._folder, report, on_end)
            return connect_to_service(config, report, notify)

        return Connection(open_streams, self._elicit, may_restart=config.url is None)

    @property
    def _may_start(self) -> bool:
        return self._config.url is not None or self._failures < _MAX_FAILURES

    def _record_failure(self, connection: Connection, context: Context) -> None:
        """Count the failure of a server that stopped by itself, once, and notify the user."""
        if not self._discard(connection) or connection.belongs_to_other_loop:
            return
        self._failures += 1
        if connection.was_ready:
            event = "ended unexpectedly" if self._config.url is None else "was lost"
            outlook = "It will be started again when it is needed." if self._may_start else "It is not started again."
            reason = self._variables.redact(connection.reason).rstrip(".")
            self._notify(context, f"{event}: {reason}. {outlook}")

    def _discard(self, connection: Connection) -> bool:
        if self._connection is not connection:
            return False
        self._connection = None
        if not connection.belongs_to_other_loop:
            connection.stop()
            self._closing.add(connection)
        self._closing = {each for each in self._closing if not (each.is_closed or each.belongs_to_other_loop)}
        return True

    async def _wait_until_closed(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._closing))


class _ConnectionLost(ToolError):
    """The connection was lost before the response; whether the request had an effect is unknown."""


class _NotSent(_ConnectionLost):
    """The request certainly had no effect."""


@contextmanager
def _notify_after(seconds: float, context: Context, text: str) -> Iterator[None]:
    """Notify the user if a `with` block takes longer."""
    timer = asyncio.get_running_loop().call_later(seconds, context.notify, text)
    try:
        yield
    finally:
        timer.cancel()
