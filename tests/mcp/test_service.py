"""MCP servers over streamable HTTP: real ones, on the loopback."""

import asyncio
import gzip
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError
from tests.support.mcp_servers import SERVER, until, using, wait_until

pytest.importorskip("mcp")


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


@contextmanager
def serving(port: int) -> Iterator[None]:
    command = [sys.executable, SERVER, "http", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(port))
            yield
        finally:
            process.kill()


def answers(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def test_tools_of_a_service_work_like_those_of_a_program_with_the_effect_network(
    port: int, tmp_path: Path
) -> None:
    config = ServerConfig(url=f"http://127.0.0.1:{port}/mcp")
    with serving(port):
        async with using(tmp_path, {"example": config}) as turn:
            tools = await turn.tools()
            assert {tool.effect for tool in tools.values()} == {"network"}
            assert await tools["example_add"].run({"a": 2, "b": 2}, turn.context) == "4"
            waiting = turn.started("example_wait", seconds=60, file=str(tmp_path / "file"))
            await until((tmp_path / "file").exists)
            waiting.cancel()
            await until(lambda: (tmp_path / "file").read_text() == "cancelled")
            assert await tools["example_add"].run({"a": 2, "b": 3}, turn.context) == "5"


async def test_an_error_response_of_a_service_does_not_close_the_connection(port: int, tmp_path: Path) -> None:
    config = ServerConfig(url=f"http://127.0.0.1:{port}/mcp")
    with serving(port):
        async with using(tmp_path, {"example": config}) as turn:
            tools = await turn.tools()
            with pytest.raises(ToolError, match=r"^example: Connection closed$"):
                await tools["example_refuse"].run({"code": -32000, "message": "Connection closed"}, turn.context)
            assert turn.notices() == []


async def test_a_service_that_ends_during_a_response_fails_the_call(port: int, tmp_path: Path) -> None:
    config = ServerConfig(url=f"http://127.0.0.1:{port}/mcp")
    async with using(tmp_path, {"example": config}) as turn:
        with serving(port):
            waiting = turn.started("example_wait", seconds=60, file=str(tmp_path / "file"))
            await until((tmp_path / "file").exists)
        with pytest.raises(ToolError, match="was lost before it responded"):
            await asyncio.wait_for(waiting, 10)


async def test_a_service_that_was_lost_is_reported_and_used_again_later(port: int, tmp_path: Path) -> None:
    config = ServerConfig(url=f"http://127.0.0.1:{port}/mcp")
    async with using(tmp_path, {"example": config}) as turn:
        with serving(port):
            tools = await turn.tools()
        for _ in range(3):
            with pytest.raises(ToolError):
                await tools["example_add"].run({"a": 2, "b": 2}, turn.context)
        (notice,) = turn.notices()
        assert notice.startswith("The MCP server example was lost: ")
        with serving(port):
            assert await tools["example_add"].run({"a": 2, "b": 2}, turn.context) == "4"


class OldProtocolHandler(BaseHTTPRequestHandler):
    """A server of an older protocol, with sessions; it forgets each after two requests."""

    protocol_version = "HTTP/1.1"
    server: "OldServer"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, session = request["method"], self.headers.get("Mcp-Session-Id", "")
        if self.headers.get("Authorization") != "Bearer secret":
            return self.answer(401)
        if method == "initialize":
            session = f"s{len(self.server.sessions)}"
            self.server.sessions[session] = 2
            info = {"name": "old", "version": "1"}
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            return self.answer(200, request["id"], result, session)
        if "id" not in request:
            return self.answer(202)
        if not self.server.sessions.get(session):
            return self.refuse(*self.server.refusal)
        self.server.sessions[session] -= 1
        self.server.encodings.add(self.headers["Accept-Encoding"])
        if method == "tools/call" and (self.server.breaks_off or self.server.floods):
            return self.flood(*self.server.floods) if self.server.floods else self.start_response()
        tools = {"tools": [{"name": "add", "inputSchema": {"type": "object"}}]}
        answer = {"content": [{"type": "text", "text": session}]}
        return self.answer(200, request["id"], tools if method == "tools/list" else answer)

    def refuse(self, status: int, error: dict[str, Any] | None) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode() if error else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(405)

    def do_DELETE(self) -> None:
        self.answer(200)

    def start_response(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def flood(self, kind: str, encoding: str, chunk: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Encoding", encoding)
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(chunk)

    def answer(self, status: int, number: object = None, result: object = None, session: str = "") -> None:
        body = b"" if result is None else json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if session:
            self.send_header("Mcp-Session-Id", session)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class OldServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OldProtocolHandler)
        self.sessions: dict[str, int] = {}
        self.breaks_off = False
        self.refusal: tuple[int, dict[str, Any] | None] = (404, None)
        self.floods: tuple[Any, ...] = ()
        self.encodings: set[str] = set()


@pytest.fixture
def old() -> Iterator[OldServer]:
    with OldServer() as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, None),
        (404, {"code": -32001, "message": "Session not found"}),  # the TypeScript package
        (404, {"code": -32600, "message": "Session not found"}),  # the Python package
        (400, {"code": -32000, "message": "Bad Request: No valid session ID provided"}),
        (400, {"code": -32000, "message": "Bad Request: Server not initialized"}),
    ],
)
async def test_a_session_that_an_older_server_does_not_know_is_replaced(
    old: OldServer, tmp_path: Path, status: int, error: dict[str, Any] | None
) -> None:
    old.refusal = (status, error)
    config = ServerConfig(url=f"http://127.0.0.1:{old.server_port}/mcp", headers={"Authorization": "Bearer ${TOKEN}"})
    async with using(tmp_path, {"example": config}, TOKEN="secret") as turn:
        add = (await turn.tools())["example_add"]
        assert [await add.run({}, turn.context) for _ in range(4)] == ["s0", "s1", "s1", "s2"]
        assert turn.notices() == []


@pytest.mark.parametrize(
    ("status", "code", "message"), [(400, -32602, "Unknown tool: add"), (404, -32601, "Method not found")]
)
async def test_another_refusal_of_a_service_is_an_error_of_the_call(
    old: OldServer, tmp_path: Path, status: int, code: int, message: str
) -> None:
    old.refusal = (status, {"code": code, "message": message})
    config = ServerConfig(url=f"http://127.0.0.1:{old.server_port}/mcp", headers={"Authorization": "Bearer ${TOKEN}"})
    async with using(tmp_path, {"example": config}, TOKEN="secret") as turn:
        add = (await turn.tools())["example_add"]
        assert await add.run({}, turn.context) == "s0"
        with pytest.raises(ToolError, match=message):
            await add.run({}, turn.context)
        assert len(old.sessions) == 1


async def test_an_incomplete_response_fails_the_call_and_the_service_is_used_again(
    old: OldServer, tmp_path: Path
) -> None:
    config = ServerConfig(url=f"http://127.0.0.1:{old.server_port}/mcp", headers={"Authorization": "Bearer ${TOKEN}"})
    async with using(tmp_path, {"example": config}, TOKEN="secret") as turn:
        old.breaks_off = True
        with pytest.raises(ToolError, match=r"was lost before it responded; whether the call took effect is unknown"):
            await turn.call("example_add")
        old.breaks_off = False
        assert await turn.call("example_add") == "s1"
        assert turn.notices() == []


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize(
    ("flood", "problem"),
    [
        (("identity", b"x" * 1_000_000), "the response has more than 20 MB"),
        (("identity", b"data: x\n" * 100_000), "the response has more than 20 MB"),
        (("gzip", gzip.compress(bytes(10_000_000))), "the response is compressed, although this was not requested"),
    ],
    ids=["endless", "endless in lines", "compressed"],
)
async def test_an_oversized_response_fails_the_call_and_the_service_is_used_again(
    old: OldServer, tmp_path: Path, kind: str, flood: tuple[str, bytes], problem: str
) -> None:
    config = ServerConfig(url=f"http://127.0.0.1:{old.server_port}/mcp", headers={"Authorization": "Bearer ${TOKEN}"})
    async with using(tmp_path, {"example": config}, TOKEN="secret") as turn:
        old.floods = (kind, *flood)
        with pytest.raises(ToolError, match=problem):
            await asyncio.wait_for(turn.call("example_add"), 20)
        old.floods = ()
        assert await turn.call("example_add") == "s1"
    assert old.encodings == {"identity"}


async def test_a_refusal_is_reported_with_the_status_but_without_the_key(old: OldServer, tmp_path: Path) -> None:
    config = ServerConfig(url=f"http://127.0.0.1:{old.server_port}/mcp", headers={"Authorization": "Bearer ${TOKEN}"})
    async with using(tmp_path, {"example": config}, TOKEN="wrong") as turn:
        assert await turn.tools() == {}
        (notice,) = turn.notices()
    assert "401 Unauthorized" in notice
    assert "wrong" not in notice
