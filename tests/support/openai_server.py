"""A real server on the loopback that speaks the chat-completions protocol, and breaks it on demand.

In a test, `server.script(text("Hello"), status(500))` sets the next responses, and
`server.received` has the requests. As a process, `python -m tests.support.openai_server --reply Hello` prints
its port and gives the same answer to every request.
"""

import argparse
import json
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias

from tests.support.local_server import LocalServer, QuietHTTPServer

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}


@dataclass
class Received:
    """A received request from the port `client`; `disconnected` is set when the client has closed the connection."""

    path: str
    headers: dict[str, str]
    body: Any
    client: tuple[str, int]
    raw: bytes = b""
    disconnected: threading.Event = field(default_factory=threading.Event)


class HungUp(Exception):
    """The client closed the connection."""


class Exchange:
    """One request and the connection for its response."""

    def __init__(self, handler: BaseHTTPRequestHandler, received: Received) -> None:
        self._handler = handler
        self.received = received

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Answer at once, in full."""
        self._handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._write(body)

    def begin(self, content_type: str = "text/event-stream", number: int = 200) -> None:
        """Begin to stream."""
        self._handler.send_response(number)
        self._handler.send_header("Content-Type", content_type)
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    def event(self, data: object) -> None:
        """Send one event: JSON, or text unchanged."""
        text = data if isinstance(data, str) else json.dumps(data)
        self.piece(f"data: {text}\n\n".encode())

    def end(self) -> None:
        """End the stream in good order."""
        self._write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Drop the connection, as a crashed server does."""
        linger_not = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
        self._handler.close_connection = True

    def pause(self, seconds: float) -> None:
        """Wait, unless the client hangs up meanwhile."""
        if seconds <= 0:
            return
        connection = self._handler.connection
        readable, _, _ = select.select([connection], [], [], seconds)
        try:
            closed = bool(readable) and not connection.recv(1, socket.MSG_PEEK)
        except ConnectionResetError:
            closed = True
        if closed:
            raise HungUp

    def piece(self, data: bytes) -> None:
        """Send a piece of the stream."""
        self._write(b"%x\r\n%s\r\n" % (len(data), data))

    def go_on(self) -> None:
        """Send an informational response (100 Continue) that keeps the client waiting."""
        self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _write(self, data: bytes) -> None:
        try:
            self._handler.wfile.write(data)
        except OSError as error:
            raise HungUp from error


Behaviour: TypeAlias = Callable[[Exchange], None]


def chunk(delta: dict[str, Any] | None = None, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    """Build one chunk of an answer."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **more}


def stream(
    *events: object, delay: float = 0, end: str = "done", content_type: str = "text/event-stream"
) -> Behaviour:
    """Stream these events; `end` is "done" (as the protocol says), "silent" (without [DONE]) or "cut"."""

    def behave(exchange: Exchange) -> None:
        exchange.begin(content_type)
        for event in events:
            exchange.event(event)
            exchange.pause(delay)
        if end == "cut":
            exchange.cut()
            return
        if end == "done":
            exchange.event("[DONE]")
        exchange.end()

    return behave


def text(
    content: str, *, usage: dict[str, Any] | None = USAGE, finish_reason: str = "stop", delay: float = 0
) -> Behaviour:
    """Answer with a text, a word in each chunk."""
    words = content.split(" ")
    pieces = [word if last else word + " " for word, last in zip(words, _last(words), strict=True)]
    events = [chunk({"role": "assistant", "content": piece}) for piece in pieces]
    return stream(*events, chunk(finish_reason=finish_reason), *_usage_chunk(usage), delay=delay)


def calls(*wanted: tuple[str, dict[str, Any]], content: str = "") -> Behaviour:
    """Answer with tool calls as OpenAI streams them: first id and name, then the arguments in pieces."""
    events = [chunk({"role": "assistant", "content": content or None})]
    for index, (name, arguments) in enumerate(wanted):
        written = json.dumps(arguments)
        head = {"index": index, "id": f"call_{index}", "type": "function"}
        events.append(chunk({"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]}))
        for start in range(0, len(written), 5):
            piece = {"index": index, "function": {"arguments": written[start : start + 5]}}
            events.append(chunk({"tool_calls": [piece]}))
    return stream(*events, chunk(finish_reason="tool_calls"), *_usage_chunk(USAGE))


def status(number: int, body: object = None, **headers: str) -> Behaviour:
    """Answer with a status; a body that is not text is sent as JSON. `retry_after="1"` is a header."""
    written = body if isinstance(body, str) else json.dumps(body or {"error": {"message": f"status {number}"}})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.send(number, written.encode(), {"Content-Type": "application/json", **named})


def error(number: int, message: str, **more: Any) -> Behaviour:
    """Answer with a status and an error in OpenAI's form."""
    return status(number, {"error": {"message": message, "type": "error", "param": None, "code": None, **more}})


def hang(seconds: float = 30) -> Behaviour:
    """Send nothing until the client disconnects."""

    def behave(exchange: Exchange) -> None:
        exchange.pause(seconds)
        exchange.cut()

    return behave


def flood(data: bytes, *, first: bytes = b"", number: int = 200, gap: float = 0) -> Behaviour:
    """Send `first`, then `data` again and again until the client hangs up."""

    def behave(exchange: Exchange) -> None:
        exchange.begin(number=number)
        exchange.piece(first + data)
        while True:
            exchange.pause(gap)
            exchange.piece(data)

    return behave


def never_begin(gap: float = 0.05) -> Behaviour:
    """Send informational responses until the client disconnects."""

    def behave(exchange: Exchange) -> None:
        while True:
            exchange.go_on()
            exchange.pause(gap)

    return behave


def _last(words: Sequence[str]) -> Iterable[bool]:
    return [False] * (len(words) - 1) + [True]


def _usage_chunk(usage: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [{"id": "chatcmpl-1", "choices": [], "usage": usage}] if usage else []


class OpenAIServer(LocalServer):
    """The server; answers requests in the order of its script, then with `always`.

    If `listing` is set, it answers requests for the list of models.
    """

    def __init__(self, *, models: Sequence[str] = ("small", "large"), always: Behaviour | None = None) -> None:
        self.models = models
        self.listing: Behaviour | None = None
        self.received: list[Received] = []
        self.asked = threading.Event()
        self._script: deque[Behaviour] = deque()
        self._always = always or error(500, "the script of this server has run out")
        super().__init__(_HTTPServer(self))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *behaviours: Behaviour) -> None:
        """Set the responses to the next requests for a completion."""
        self._script.extend(behaviours)

    def answer(self, exchange: Exchange) -> None:
        """Answer one request."""
        self.received.append(exchange.received)
        self.asked.set()
        if exchange.received.path.partition("?")[0].endswith("/models"):
            listing = {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
            (self.listing or status(200, listing))(exchange)
        elif exchange.received.path.partition("?")[0] == "/v1/chat/completions":
            (self._script.popleft() if self._script else self._always)(exchange)
        else:
            status(404, "<html>Not Found</html>", content_type="text/html")(exchange)


class _HTTPServer(QuietHTTPServer):
    def __init__(self, owner: OpenAIServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(self.path, headers, json.loads(body) if body else None, self.client_address[:2], body)
        assert isinstance(self.server, _HTTPServer)
        try:
            self.server.owner.answer(Exchange(self, received))
        except HungUp:
            received.disconnected.set()
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reply", default="All is well.", help="the answer to every request")
    parser.add_argument("--latency", type=float, default=0, help="seconds between two words")
    options = parser.parse_args()
    with OpenAIServer(always=text(options.reply, delay=options.latency)) as server:
        print(server.port, flush=True)  # noqa: T201 - this is how its parent learns it
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
