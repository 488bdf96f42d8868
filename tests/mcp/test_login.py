"""Logging in at MCP services with OAuth, in a browser."""

import asyncio
import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import pytest

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.runtime.interaction import InputRequest
from tests.support.interaction import Answers
from tests.support.mcp_servers import Turn, using

pytest.importorskip("mcp")
from prompt_objects.mcp.login_file import login_folder


class Handler(BaseHTTPRequestHandler):
    """The service at /mcp, which requires a token, and the authorization server that gives one."""

    protocol_version = "HTTP/1.1"
    server: "OAuthServer"

    def do_GET(self) -> None:
        target, base = urlsplit(self.path), self.server.url
        match target.path:
            case "/.well-known/oauth-protected-resource/mcp":
                self.answer(200, {"resource": f"{base}/mcp", "authorization_servers": [base]})
            case "/.well-known/oauth-authorization-server":
                metadata = {"issuer": base, "response_types_supported": ["code"]}
                for name in ("authorize", "token", "register"):
                    kind = {"authorize": "authorization", "register": "registration"}.get(name, name)
                    metadata[f"{kind}_endpoint"] = f"{base}/{name}"
                self.answer(200, {**metadata, "code_challenge_methods_supported": ["S256"]})
            case "/authorize":
                query = {name: values[0] for name, values in parse_qs(target.query).items()}
                given = {"state": query["state"], **self.server.outcome}
                self.send_response(302)
                self.send_header("Location", f"{query['redirect_uri']}?{urlencode(given)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "/mcp" if self.server.asks:
                self.ask()
            case _:
                self.answer(404, {})

    def ask(self) -> None:
        """Ask the user in the stream beside a call, whose own response begins only after the answer."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.server.called.wait(10)
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        params = {"mode": "form", "message": "Who are you?", "requestedSchema": schema}
        question = {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params}
        self.wfile.write(f"event: message\ndata: {json.dumps(question)}\n\n".encode())
        self.wfile.flush()
        self.server.answered.wait(10)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match urlsplit(self.path).path:
            case "/register":
                self.server.registrations += 1
                self.answer(201, {**json.loads(body), "client_id": "c", "token_endpoint_auth_method": "none"})
            case "/token":
                self.server.grants.append(parse_qs(body.decode())["grant_type"][0])
                token = {"access_token": self.server.token, "refresh_token": "again", "token_type": "Bearer"}
                self.answer(200, {**token, "expires_in": 3600})
            case _ if not self.server.asks and self.headers["Authorization"] != f"Bearer {self.server.token}":
                metadata = f"{self.server.url}/.well-known/oauth-protected-resource/mcp"
                self.answer(401, {}, {"WWW-Authenticate": f'Bearer resource_metadata="{metadata}"'})
            case _:
                self.respond(json.loads(body))

    def respond(self, request: dict[str, Any]) -> None:
        match request.get("method"):
            case "initialize":
                info = {"name": "private", "version": "1"}
                result: Any = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/list":
                result = {"tools": [{"name": "get", "inputSchema": {"type": "object"}}]}
            case None:
                self.server.answered.set()
                return self.answer(202, {})
            case "tools/call":
                if self.server.asks:
                    self.server.called.set()
                    assert self.server.answered.wait(10)
                result = {"content": [{"type": "text", "text": "private"}]}
            case _ if "id" not in request:
                return self.answer(202, {})
            case _:
                error = {"code": -32601, "message": "Method not found"}
                return self.answer(200, {"jsonrpc": "2.0", "id": request["id"], "error": error})
        session = {"Mcp-Session-Id": "s"} if request["method"] == "initialize" else {}
        return self.answer(200, {"jsonrpc": "2.0", "id": request["id"], "result": result}, session)

    def answer(self, status: int, data: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class OAuthServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.outcome = {"code": "abc"}
        self.registrations = 0
        self.token = "secret-token"
        self.grants: list[str] = []
        self.asks = False
        self.called = threading.Event()
        self.answered = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthServer]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with OAuthServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


def config(service: OAuthServer) -> dict[str, ServerConfig]:
    return {"example": ServerConfig(url=f"{service.url}/mcp")}


async def address_in(turn: Turn, task: "asyncio.Task[Any]") -> str:
    """Wait for the notice with the address to open."""
    while not task.done():
        for notice in turn.notices():
            if "Open: " in notice:
                assert notice.startswith("The MCP server example requires a login. Open: http://127.0.0.1:")
                return notice.partition("Open: ")[2]
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was shown")


async def open_in_browser(address: str) -> str:
    def read() -> str:
        with urlopen(address, timeout=10) as response:
            return str(response.read().decode())

    return await asyncio.to_thread(read)


async def test_the_user_logs_in_once_and_the_tokens_are_kept_privately(service: OAuthServer, tmp_path: Path) -> None:
    async with using(tmp_path, config(service)) as turn:
        turn.context.services.interaction.handler = Answers()
        listing = asyncio.create_task(turn.tools())
        page = await open_in_browser(await address_in(turn, listing))
        assert "You can close this window" in page
        assert list(await listing) == ["example_get"]
        assert await turn.call("example_get") == "private"
    (file,) = login_folder().iterdir()
    assert "secret-token" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    async with using(tmp_path, config(service)) as turn:  # also without a user
        assert await turn.call("example_get") == "private"
        assert turn.notices() == []
    service.token = "renewed-token"  # the old one is refused from now on
    async with using(tmp_path, config(service)) as turn:
        tools = await turn.tools()
        assert (
            await asyncio.gather(*(tools["example_get"].run({}, turn.context) for _ in range(3))) == ["private"] * 3
        )
        service.token = "renewed-again"
        assert (
            await asyncio.gather(*(tools["example_get"].run({}, turn.context) for _ in range(3))) == ["private"] * 3
        )
        assert turn.notices() == []
    assert service.registrations == 1
    assert service.grants == ["authorization_code", "refresh_token", "refresh_token"]


async def test_a_question_during_a_call_is_answered_before_the_response_begins(
    service: OAuthServer, tmp_path: Path
) -> None:
    service.asks = True

    async def ask(_: InputRequest) -> str:
        return "Ann"

    async with using(tmp_path, config(service)) as turn:
        turn.context.services.interaction.handler = Answers(ask=ask)
        assert await asyncio.wait_for(turn.call("example_get"), 8) == "private"


async def test_a_refused_login_is_the_reason_and_a_foreign_request_changes_nothing(
    service: OAuthServer, tmp_path: Path
) -> None:
    service.outcome = {"error": "access_denied", "error_description": "The user refused"}
    async with using(tmp_path, config(service)) as turn:
        turn.context.services.interaction.handler = Answers()
        listing = asyncio.create_task(turn.tools())
        address = await address_in(turn, listing)
        callback = parse_qs(urlsplit(address).query)["redirect_uri"][0]
        for foreign in (f"{callback}?code=stolen&state=other", f"{callback}?code=stolen", callback):
            with pytest.raises(OSError, match="404"):
                await open_in_browser(foreign)
        await open_in_browser(address)
        assert await listing == {}
        assert "does not start: the login was refused: The user refused" in turn.notices()[0]


async def test_without_a_user_the_reason_is_the_login(service: OAuthServer, tmp_path: Path) -> None:
    async with using(tmp_path, config(service)) as turn:
        assert await turn.tools() == {}
        assert "it requires a login. Start a chat to log in" in turn.notices()[0]
