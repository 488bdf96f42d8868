"""The connection to one MCP server: a task starts it, keeps it open and ends it; any other task may use it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from prompt_objects.errors import ToolError
from prompt_objects.mcp.incoming import MalformedMessage, MessageFilter
from prompt_objects.mcp.transport import StderrTail

if TYPE_CHECKING:
    from mcp import Client, ClientSession


Connect = Callable[[StderrTail, Callable[[], None]], AbstractAsyncContextManager[Any]]
"""Opens the streams to a server; gets where to put its last error lines, and what to call when its program ends."""
_START_SECONDS = 60.0
_END_SECONDS = 8.0
_END_NOTICE_SECONDS = 1.0
_MAX_INVALID_TOOLS = 10_000
T = TypeVar("T")


class Connection:
    """A server from its start to its end, both in one task, as the `mcp` package requires."""

    def __init__(self, connect: Connect) -> None:
        self.stderr = StderrTail()
        self._connect = connect
        self._notices: dict[str, None] = {}  # sentences about invalid messages, each once
        self._invalid_tools: dict[str, None] = {}
        self._reported_notices = 0
        self._reported_tools = 0
        self._loop = asyncio.get_running_loop()
        self._malformed: asyncio.Future[None] = self._loop.create_future()
        self._ready: asyncio.Future[ClientSession] = self._loop.create_future()
        self._end = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_retrieve_exception)

    @property
    def is_over(self) -> bool:
        """Whether it has ended or is ending."""
        return self._end.is_set() or self._task.done() or self.is_elsewhere

    @property
    def is_elsewhere(self) -> bool:
        """Whether it belongs to another event loop, which ends it."""
        return self._loop is not asyncio.get_running_loop()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, with everything that it started."""
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
            raise ToolError("it was ended while it started.")
        raise ToolError(self.reason)

    @property
    def reason(self) -> str:
        error = None if not self._task.done() or self._task.cancelled() else self._task.exception()
        text = _describe(error).rstrip(".") if error else ""
        return ": ".join(filter(None, (text, str(self.stderr)))) or "it gave no reason"

    async def has_ended(self) -> bool:
        """Return whether it has ended; wait briefly, as the end may be noticed late."""
        if not self.is_over:
            await asyncio.wait([self._task], timeout=_END_NOTICE_SECONDS)
        return self.is_over

    async def result_of(self, request: Coroutine[Any, Any, T]) -> T:
        """Wait for a request. Raises `MalformedMessage` if a message arrives that may have been its response."""
        asking, malformed = asyncio.ensure_future(request), self._malformed
        try:
            either: list[asyncio.Future[Any]] = [asking, malformed]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise MalformedMessage("it sent a response that cannot be read")
            return asking.result()
        finally:
            if not asking.done():
                asking.cancel()
                await asyncio.wait([asking])

    def unreported(self) -> list[str]:
        """Return the notices about invalid messages that arrived since the last call."""
        if invalid := list(self._invalid_tools)[self._reported_tools :]:
            self._notices[_describe_left_out(invalid)] = None
            self._reported_tools = len(self._invalid_tools)
        reported, self._reported_notices = self._reported_notices, len(self._notices)
        return list(self._notices)[reported:]

    def end(self) -> None:
        self._end.set()

    async def close(self) -> None:
        """End the server and wait; kill it if it does not end in time."""
        if self.is_elsewhere:
            return
        self.end()
        if self.was_ready:  # otherwise there is no orderly end
            await asyncio.wait([self._task], timeout=_END_SECONDS)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_END_SECONDS)

    async def _run(self) -> None:
        client_type = await asyncio.to_thread(_client_type)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(_START_SECONDS):
                client = client_type(self._streams(lambda: client.session.protocol_version), cache=None)
                await stack.enter_async_context(client)
            self._ready.set_result(client.session)
            await self._end.wait()

    @asynccontextmanager
    async def _streams(self, version: Callable[[], str | None]) -> AsyncIterator[Any]:
        async with self._connect(self.stderr, self._program_ended) as (reading, writing):
            yield MessageFilter(reading, version, self._leave_out, self._add_malformed), writing

    def _leave_out(self, tool: str) -> None:
        if len(self._invalid_tools) < _MAX_INVALID_TOOLS:
            self._invalid_tools[tool] = None

    def _add_malformed(self, is_message: bool) -> None:  # noqa: FBT001 - a callback with a positional argument
        self._notices["sent something that cannot be read."] = None
        if is_message:
            self._malformed.set_result(None)
            self._malformed = self._loop.create_future()

    def _program_ended(self) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._end.set)


def _client_type() -> "type[Client]":
    """Import the `mcp` package, which is slow."""
    try:
        from mcp import Client
    except ImportError as error:
        raise ToolError("it needs the package mcp. Install it with: pip install 'prompt-objects[mcp]'") from error
    for name in ("mcp", "client"):  # without a handler, its log messages would be printed to the screen
        logging.getLogger(name).addHandler(logging.NullHandler())
    return Client


def _describe_left_out(tools: list[str]) -> str:
    more, them = (f", and {len(tools) - 1:,} more,", "they are") if tools[1:] else ("", "it is")
    return f"describes its tool {tools[0]!r}{more} in a way that cannot be used; {them} left out."


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    """Mark the exception of a task as retrieved, or asyncio would log it; `reason` returns it if needed."""
    if not task.cancelled():
        task.exception()


def _describe(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"it was not ready after {_START_SECONDS:.0f} seconds"
    return str(error) or type(error).__name__
