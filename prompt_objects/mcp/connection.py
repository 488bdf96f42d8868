"""The connection to one MCP server: one task opens and closes it; any other task may use it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from prompt_objects.errors import ToolError
from prompt_objects.mcp.incoming import MalformedMessage, MessageFilter
from prompt_objects.mcp.transport_report import TransportReport

if TYPE_CHECKING:
    from mcp import Client, ClientSession
    from mcp.client.client import ConnectMode
    from mcp.client.session import ClientRequestContext
    from mcp.types import ElicitRequestParams, ElicitResult


Connect = Callable[[TransportReport, Callable[[], None]], AbstractAsyncContextManager[Any]]
"""Opens the streams to a server; its arguments are the report to write to, and a callback for the program's end."""
Elicit = Callable[["ElicitRequestParams"], Awaitable["ElicitResult"]]
"""Answers a question of the server to the user."""
_START_SECONDS = 60.0
_STOP_SECONDS = 8.0
_END_NOTICE_SECONDS = 1.0
_MAX_INVALID_TOOLS = 10_000
T = TypeVar("T")


class Connection:
    """The connection to a server, which starts with it. It is opened and closed in one task, as `mcp` requires.

    With `may_restart`, a server that ends during the handshake is started again with the handshake of protocol
    versions before 2026: older servers end when they get the first request of the newer one.
    """

    def __init__(self, connect: Connect, elicit: Elicit, *, may_restart: bool) -> None:
        self._report = TransportReport()
        self._connect = connect
        self._elicit = elicit
        self._may_restart = may_restart
        self._notices: dict[str, None] = {}  # sentences about invalid messages, each once
        self._invalid_tools: dict[str, None] = {}
        self._reported_notices = 0
        self._reported_tools = 0
        self._loop = asyncio.get_running_loop()
        self._malformed: asyncio.Future[None] = self._loop.create_future()
        self._ready: asyncio.Future[ClientSession] = self._loop.create_future()
        self._stop_requested = asyncio.Event()
        self._is_stopping = False
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_retrieve_exception)

    @property
    def is_closing(self) -> bool:
        """Whether it is closed or closing. A program that ends during the handshake may be started again."""
        has_ended = self.was_ready and self._stop_requested.is_set()
        return has_ended or self._is_stopping or self._task.done() or self.belongs_to_other_loop

    @property
    def belongs_to_other_loop(self) -> bool:
        """Whether it belongs to another event loop, which must close it."""
        return self._loop is not asyncio.get_running_loop()

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, with everything that it started."""
        return self._task.done()

    @property
    def was_ready(self) -> bool:
        return self._ready.done()

    async def session(self) -> "ClientSession":
        """Wait until the server is ready; cancelling does not stop it. Raises `ToolError`, with the reason."""
        either: list[asyncio.Future[Any]] = [self._ready, self._task]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._ready.done():
            return self._ready.result()
        if self._task.cancelled():
            raise ToolError("it was stopped while it was starting.")
        raise ToolError(self.reason)

    @property
    def reason(self) -> str:
        error = None if not self._task.done() or self._task.cancelled() else self._task.exception()
        text = _describe_error(error).rstrip(".") if error else ""
        return ": ".join(filter(None, (text, str(self._report)))) or "unknown reason"

    @property
    def is_session_lost(self) -> bool:
        """Whether a service has answered that it does not know the session any more."""
        return self._report.is_session_lost

    async def closes_soon(self) -> bool:
        """Return whether it is closing; wait briefly, as the end of a server may be noticed late."""
        if not self.is_closing:
            await asyncio.wait([self._task], timeout=_END_NOTICE_SECONDS)
        return self.is_closing

    async def result_of(self, request: Coroutine[Any, Any, T]) -> T:
        """Wait for a request. Raises `MalformedMessage` if a message arrives that may have been its response."""
        response, malformed = asyncio.ensure_future(request), self._malformed
        try:
            either: list[asyncio.Future[Any]] = [response, malformed]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not response.done():
                raise MalformedMessage("it sent a response that cannot be read")
            return response.result()
        finally:
            if not response.done():
                response.cancel()
                await asyncio.wait([response])

    def take_notices(self) -> list[str]:
        """Return the notices about invalid messages that arrived since the last call."""
        if invalid := list(self._invalid_tools)[self._reported_tools :]:
            self._notices[_describe_invalid_tools(invalid)] = None
            self._reported_tools = len(self._invalid_tools)
        reported, self._reported_notices = self._reported_notices, len(self._notices)
        return list(self._notices)[reported:]

    def stop(self) -> None:
        self._is_stopping = True
        self._stop_requested.set()

    async def close(self) -> None:
        """Stop the server and wait; kill it if it does not stop in time."""
        if self.belongs_to_other_loop:
            return
        self.stop()
        if self.was_ready:  # otherwise it cannot stop by itself
            await asyncio.wait([self._task], timeout=_STOP_SECONDS)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_STOP_SECONDS)

    async def _run(self) -> None:
        client_type = await asyncio.to_thread(_client_type)
        try:
            await self._serve(client_type, "auto")
        except Exception as error:
            if self.was_ready or self._is_stopping or not self._may_restart or isinstance(error, TimeoutError):
                raise
            self._report, self._stop_requested = TransportReport(), asyncio.Event()
            await self._serve(client_type, "legacy")

    async def _serve(self, client_type: "type[Client]", mode: "ConnectMode") -> None:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(_START_SECONDS) as limit:
                self._report.extend_start = lambda seconds: limit.reschedule(self._loop.time() + seconds)
                streams = self._streams(lambda: client.session.protocol_version)
                client = client_type(streams, mode=mode, cache=None, elicitation_callback=self._answer)
                await stack.enter_async_context(client)
            self._report.extend_start = None
            self._ready.set_result(client.session)
            await self._stop_requested.wait()

    async def _answer(self, context: "ClientRequestContext", params: "ElicitRequestParams") -> "ElicitResult":  # noqa: ARG002
        return await self._elicit(params)

    @asynccontextmanager
    async def _streams(self, version: Callable[[], str | None]) -> AsyncIterator[Any]:
        ended = partial(self._program_ended, self._stop_requested)
        async with self._connect(self._report, ended) as (reading, writing):
            yield MessageFilter(reading, version, self._add_invalid_tool, self._add_malformed), writing

    def _add_invalid_tool(self, tool: str) -> None:
        if len(self._invalid_tools) < _MAX_INVALID_TOOLS:
            self._invalid_tools[tool] = None

    def _add_malformed(self, is_message: bool) -> None:  # noqa: FBT001 - a callback with a positional argument
        self._notices["sent something that cannot be read."] = None
        if is_message:
            self._malformed.set_result(None)
            self._malformed = self._loop.create_future()

    def _program_ended(self, stop_requested: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(stop_requested.set)


def _client_type() -> "type[Client]":
    """Import the `mcp` package, which is slow."""
    try:
        from mcp import Client
    except ImportError as error:
        raise ToolError("it needs the package mcp. Install it with: pip install 'prompt-objects[mcp]'") from error
    for name in ("mcp", "client"):  # without a handler, its log messages would be printed to the screen
        logging.getLogger(name).addHandler(logging.NullHandler())
    return Client


def _describe_invalid_tools(tools: list[str]) -> str:
    more, them = (f", and {len(tools) - 1:,} more,", "they are") if tools[1:] else ("", "it is")
    return f"describes its tool {tools[0]!r}{more} in a way that cannot be used; {them} left out."


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    """Mark the exception of a task as retrieved, or asyncio would log it; `reason` returns it if needed."""
    if not task.cancelled():
        task.exception()


def _describe_error(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"it was not ready after {_START_SECONDS:.0f} seconds"
    return str(error) or type(error).__name__
