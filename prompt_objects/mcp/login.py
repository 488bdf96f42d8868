"""Logging in at MCP services with OAuth: the user opens an address, and the browser returns with a code.

Tokens and the registration of this program are kept in a private file for each service, in the user's state folder.
"""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from prompt_objects.errors import ToolError
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.concurrency import run_in_daemon_thread
from prompt_objects.utils.user_folders import state_folder

if TYPE_CHECKING:
    from httpx2 import Auth, Response
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthToken


LOGIN_SECONDS = 300.0
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_PATH = "/callback"
_PAGE = "<!doctype html><title>prompt-objects</title><p>You can close this window, and go back to the terminal."
_RESPONSE = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n"
    "Connection: close\r\n\r\n{page}"
)


def login_folder() -> Path:
    """Return the folder of the tokens."""
    return state_folder() / "mcp-logins"


class LoginFile:
    """The `TokenStorage` of the `mcp` package for one service; an unreadable file counts as empty."""

    def __init__(self, url: str) -> None:
        self._file = login_folder() / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    async def get_tokens(self) -> "OAuthToken | None":
        from mcp.shared.auth import OAuthToken

        tokens: OAuthToken | None = self._parsed(OAuthToken, "tokens")
        return tokens

    async def set_tokens(self, tokens: "OAuthToken") -> None:
        await run_in_daemon_thread(lambda: self._write("tokens", tokens))

    async def get_client_info(self) -> "OAuthClientInformationFull | None":
        return self.client()

    async def set_client_info(self, client_info: "OAuthClientInformationFull") -> None:
        await run_in_daemon_thread(lambda: self._write("client", client_info))

    def client(self) -> "OAuthClientInformationFull | None":
        """Return the registration of this program at the service."""
        from mcp.shared.auth import OAuthClientInformationFull

        client: OAuthClientInformationFull | None = self._parsed(OAuthClientInformationFull, "client")
        return client

    def forget_client(self) -> None:
        """Remove the registration and the tokens that belong to it."""
        disk.remove_file(self._file)

    def _parsed(self, kind: type[Any], key: str) -> Any:
        with suppress(ValueError):
            return kind.model_validate(self._read()[key]) if key in self._read() else None
        return None

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            data = json.loads(disk.read_file(self._file))
            return data if isinstance(data, dict) else {}
        return {}

    def _write(self, key: str, value: Any) -> None:
        data = {**self._read(), key: value.model_dump(mode="json", exclude_none=True)}
        with disk.store_errors("written", self._file):
            disk.make_folder(self._file.parent)
            disk.replace_file(self._file, [json.dumps(data).encode()])


class Login:
    """The login at one service.

    `notify` shows the address to the user; it is None if there is no user, and then a login is not possible.
    `wait_longer` is called with the seconds that the user gets.
    """

    def __init__(self, url: str, notify: Callable[[str], None] | None, wait_longer: Callable[[float], None]) -> None:
        self._url = url
        self._notify = notify
        self._wait_longer = wait_longer
        self._file = LoginFile(url)
        self._browser: _BrowserListener | None = None
        self._port = self._choose_port()

    def auth(self) -> "Auth":
        """Return the authentication for an HTTP client; it starts a login when the service requires one."""
        from mcp.client.auth import OAuthClientProvider
        from mcp.shared.auth import OAuthClientMetadata
        from pydantic import AnyUrl

        metadata = OAuthClientMetadata(
            client_name="prompt-objects",
            redirect_uris=[AnyUrl(f"http://127.0.0.1:{self._port}{_PATH}")],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        )
        provider = OAuthClientProvider(self._url, metadata, self._file, self._show, self._wait_for_browser)
        return _authentication(provider, self._file)

    def _choose_port(self) -> int:
        """Return the port that was registered, if it is free; otherwise a free one, which is then registered."""
        client = self._file.client()
        if client and client.redirect_uris:
            port = client.redirect_uris[0].port
            if port and _is_free(port):
                return port
            self._file.forget_client()
        with socket.create_server(("127.0.0.1", 0)) as free:
            return int(free.getsockname()[1])

    async def _show(self, address: str) -> None:
        if self._notify is None:
            raise ToolError("it requires a login. Start a chat to log in.")
        if urlsplit(address).scheme not in {"http", "https"}:
            raise ToolError("it requires a login at an address that is not a web page.")
        state = parse_qs(urlsplit(address).query).get("state", [""])[0]
        self._browser = _BrowserListener(state)
        await self._browser.start(self._port)  # before the user can open the address
        self._wait_longer(LOGIN_SECONDS)
        self._notify(f"requires a login. Open: {address}")

    async def _wait_for_browser(self) -> "AuthorizationCodeResult":
        from mcp.shared.auth import AuthorizationCodeResult

        assert self._browser is not None  # noqa: S101 - the address was shown first
        given = await self._browser.parameters()
        if "code" not in given:
            problem = given.get("error_description") or given.get("error") or "there is no code"
            raise ToolError(f"the login was refused: {problem[:200]}.")
        return AuthorizationCodeResult(code=given["code"], state=given.get("state"), iss=given.get("iss"))


def _authentication(provider: "OAuthClientProvider", file: LoginFile) -> "Auth":
    """Return the authentication with the tokens of `file`; `provider` gets new ones when the service refuses them.

    The provider's own flow holds a lock until the response to a request begins. A server that asks during a call, and
    begins its response only after the answer, would never get the answer.
    """
    from httpx2 import Auth, Request, Response

    class Authentication(Auth):
        def __init__(self) -> None:
            self._refusals = asyncio.Lock()

        async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
            sent = await self._add_token(request)
            response = yield request
            if not _requires_login(response):
                return
            async with self._refusals:
                if await self._add_token(request) != sent:  # another request has got new ones
                    yield request
                    return
                if response.status_code == _UNAUTHORIZED:
                    provider.context.token_expiry_time = 1.0  # renew them, if possible without the user
                flow = provider.async_auth_flow(request)
                with suppress(StopAsyncIteration):
                    outgoing = await anext(flow)
                    while True:
                        outgoing = await flow.asend((yield outgoing))

        async def _add_token(self, request: Request) -> str:
            tokens = await file.get_tokens()
            if tokens:
                request.headers["Authorization"] = f"Bearer {tokens.access_token}"
            return tokens.access_token if tokens else ""

    return Authentication()


def _requires_login(response: "Response") -> bool:
    return response.status_code == _UNAUTHORIZED or (
        response.status_code == _FORBIDDEN and "insufficient_scope" in response.headers.get("www-authenticate", "")
    )


class _BrowserListener:
    """Waits on this machine for the browser that comes back from a login with this `state`."""

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
            is_ours = target.path == _PATH and bool(self._state) and given.get("state") == self._state
            page = _PAGE if is_ours else "Not found"
            status = "200 OK" if is_ours else "404 Not Found"
            writer.write(_RESPONSE.format(status=status, length=len(page), page=page).encode())
            await writer.drain()
            if is_ours and not self._result.done():
                self._result.set_result(given)
        writer.close()


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
