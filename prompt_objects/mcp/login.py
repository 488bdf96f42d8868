"""Logging in at MCP services with OAuth: the user opens an address, and the browser returns with a code.

Tokens and the registration of this program are kept in a private file for each service, in the user's state folder.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from prompt_objects.errors import ToolError
from prompt_objects.mcp.browser_listener import CALLBACK_PATH, LOGIN_SECONDS, BrowserListener
from prompt_objects.mcp.login_file import LoginFile

if TYPE_CHECKING:
    from httpx2 import Auth, Response
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import AuthorizationCodeResult


_UNAUTHORIZED, _FORBIDDEN = 401, 403


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
        self._browser: BrowserListener | None = None
        self._port = self._choose_port()

    def auth(self) -> "Auth":
        """Return the authentication for an HTTP client; it starts a login when the service requires one."""
        from mcp.client.auth import OAuthClientProvider
        from mcp.shared.auth import OAuthClientMetadata
        from pydantic import AnyUrl

        metadata = OAuthClientMetadata(
            client_name="prompt-objects",
            redirect_uris=[AnyUrl(f"http://127.0.0.1:{self._port}{CALLBACK_PATH}")],
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
        self._browser = BrowserListener(state)
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


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
