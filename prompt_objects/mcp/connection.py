"""One MCP server while it runs: a task of its own starts it, keeps it, and ends it; every task may use it."""

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

__all__ = [
    "Connection",
    "Reach",
]

Reach = Callable[[StderrTail, Callable[[], None]], AbstractAsyncContextManager[Any]]
"""Makes the way to a server: it is told where to leave last words, and whom to tell that a program ended."""
_START_SECONDS = 60.0
_END_SECONDS = 8.0
_NEWS_SECONDS = 1.0
_MOST_FAULTY = 10_000
T = TypeVar("T")


class Connection:
    """A server from its start to its end; it starts at once, in the running loop.

    All of it belongs to one task, as what the `mcp` package opens must be closed where it was opened.
    """

    def __init__(self, reach: Reach) -> None:
        self.words = StderrTail()
        self.news: dict[str, None] = {}
        """What was wrong with what it sent, in sentences, each once; who tells the person leaves it there."""
        self._told = 0
        self._faulty: dict[str, None] = {}
        self._told_faulty = 0
        self._reach = reach
        self._loop = asyncio.get_running_loop()
        self._unreadable: asyncio.Future[None] = self._loop.create_future()
        self._ready: asyncio.Future[ClientSession] = self._loop.create_future()
        self._end = asyncio.Event()
        self._task = asyncio.create_task(self._live())
        self._task.add_done_callback(_look)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._end.is_set() or self._task.done() or self.is_elsewhere

    @property
    def is_elsewhere(self) -> bool:
        """Whether it belongs to another loop, with which it ends, or has ended."""
        return self._loop is not asyncio.get_running_loop()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, with all that it started."""
        return self._task.done()

    @property
    def was_ready(self) -> bool:
        """Whether it could be used."""
        return self._ready.done()

    async def session(self) -> "ClientSession":
        """Wait until the server can be used. Raises `ToolError` where it does not start; the reason is in words.

        A cancellation stops the waiting, not the server, which others wait for as well.
        """
        either: list[asyncio.Future[Any]] = [self._ready, self._task]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._ready.done():
            return self._ready.result()
        if self._task.cancelled():
            raise ToolError("it was ended while it started.")
        raise ToolError(self.reason)

    @property
    def reason(self) -> str:
        """Why it ended, as far as that is known."""
        error = None if not self._task.done() or self._task.cancelled() else self._task.exception()
        told = _in_words(error) if error else ""
        return ": ".join(filter(None, (told.rstrip("."), str(self.words)))) or "it did not say why"

    async def came_to_an_end(self) -> bool:
        """Say whether it has ended, after a moment in which the news may still come."""
        if not self.is_over:
            await asyncio.wait([self._task], timeout=_NEWS_SECONDS)
        return self.is_over

    async def answer(self, request: Coroutine[Any, Any, T]) -> T:
        """Wait for an answer. Raises `Unreadable` where a message comes meanwhile that might have been it."""
        asking, unreadable = asyncio.ensure_future(request), self._unreadable
        try:
            either: list[asyncio.Future[Any]] = [asking, unreadable]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise MalformedMessage("it sent an answer that cannot be read")
            return asking.result()
        finally:
            if not asking.done():
                asking.cancel()
                await asyncio.wait([asking])

    def untold(self) -> list[str]:
        """Return what is to be told to the person since this was last asked."""
        if faulty := list(self._faulty)[self._told_faulty :]:
            self.news[_left_out(faulty)] = None
            self._told_faulty = len(self._faulty)
        told, self._told = self._told, len(self.news)
        return list(self.news)[told:]

    def end(self) -> None:
        """Have the server end, without waiting for it."""
        self._end.set()

    async def close(self) -> None:
        """End the server and wait until it has; one that does not want to end is killed."""
        if self.is_elsewhere:
            return
        self.end()
        if self.was_ready:  # else there is nothing yet to end in good order
            await asyncio.wait([self._task], timeout=_END_SECONDS)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_END_SECONDS)

    async def _live(self) -> None:
        client_type = await asyncio.to_thread(_client_type)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(_START_SECONDS):
                client = client_type(self._streams(lambda: client.session.protocol_version), cache=None)
                await stack.enter_async_context(client)
            self._ready.set_result(client.session)
            await self._end.wait()

    @asynccontextmanager
    async def _streams(self, version: Callable[[], str | None]) -> AsyncIterator[Any]:
        async with self._reach(self.words, self._tell_end) as (reading, writing):
            yield MessageFilter(reading, version, self._leave_out, self._complain), writing

    def _leave_out(self, tool: str) -> None:
        if len(self._faulty) < _MOST_FAULTY:
            self._faulty[tool] = None

    def _complain(self, is_message: bool) -> None:  # noqa: FBT001 - it is called by its place only
        self.news["sent something that cannot be read."] = None
        if is_message:
            self._unreadable.set_result(None)
            self._unreadable = self._loop.create_future()

    def _tell_end(self) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._end.set)


def _client_type() -> "type[Client]":
    """Import the `mcp` package, which takes a while."""
    try:
        from mcp import Client
    except ImportError as error:
        raise ToolError("it needs the package mcp. Install it with: pip install 'prompt-objects[mcp]'") from error
    for name in ("mcp", "client"):  # it complains to loggers, which without a handler would write on the screen
        logging.getLogger(name).addHandler(logging.NullHandler())
    return Client


def _left_out(tools: list[str]) -> str:
    """Say in one sentence which tools are left out."""
    more, them = (f", and {len(tools) - 1:,} more,", "they are") if tools[1:] else ("", "it is")
    return f"describes its tool {tools[0]!r}{more} in a way that cannot be used; {them} left out."


def _look(task: asyncio.Task[None]) -> None:
    """Take note of how a task ended; whoever needs it asks for it, and nobody need."""
    if not task.cancelled():
        task.exception()


def _in_words(error: BaseException) -> str:
    """Say what went wrong; of several things, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"it was not ready after {_START_SECONDS:.0f} seconds"
    return str(error) or type(error).__name__
