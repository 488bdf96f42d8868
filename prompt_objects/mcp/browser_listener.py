"""Waits on this machine for the browser that comes back from a login."""

import asyncio
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from prompt_objects.errors import ToolError

LOGIN_SECONDS = 300.0
CALLBACK_PATH = "/callback"
_PAGE = "<!doctype html><title>prompt-objects</title><p>You can close this window, and go back to the terminal."
_RESPONSE = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n"
    "Connection: close\r\n\r\n{page}"
)


class BrowserListener:
    """Waits for the browser that comes back from the login with this `state`."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._result: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", port)

    async def parameters(self) -> dict[str, str]:
        """Wait for the browser, and return what the address has after the `?`. Raises `ToolError`."""
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                return await self._result
        except TimeoutError as error:
            raise ToolError(f"the login was not completed within {LOGIN_SECONDS:.0f} seconds.") from error
        finally:
            if self._server:
                self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the browser; a request that does not belong to this login changes nothing."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            line = (await reader.readuntil(b"\r\n")).decode("latin-1")
            target = urlsplit(line.split(" ")[1] if line.count(" ") > 1 else "")
            given = {name: values[0] for name, values in parse_qs(target.query).items()}
            is_ours = target.path == CALLBACK_PATH and bool(self._state) and given.get("state") == self._state
            page = _PAGE if is_ours else "Not found"
            status = "200 OK" if is_ours else "404 Not Found"
            writer.write(_RESPONSE.format(status=status, length=len(page), page=page).encode())
            await writer.drain()
            if is_ours and not self._result.done():
                self._result.set_result(given)
        writer.close()
