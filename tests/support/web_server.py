"""A real web server on the loopback, with TLS or without, with pages by path."""

import ssl
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TypeAlias

from tests.support.local_server import LocalServer, QuietHTTPServer

Answer: TypeAlias = Callable[[BaseHTTPRequestHandler], None]


def answer(
    body: bytes | str = b"", content_type: str | None = "text/plain", *, status: int = 200, **headers: str
) -> Answer:
    """Answer in full; `content_encoding="gzip"` is a header."""
    data = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if content_type:
            handler.send_header("Content-Type", content_type)
        for name, value in {**named, "Content-Length": str(len(data))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return send


def redirect(to: str, status: int = 302) -> Answer:
    """Send the client elsewhere."""
    return answer(status=status, location=to)


def endless(piece: bytes, *, gap: float = 0, **headers: str) -> Answer:
    """Send a piece again and again, with a pause after each, until the client hangs up."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.close_connection = True
        while True:
            handler.wfile.write(piece)
            time.sleep(gap)

    return send


class WebServer(LocalServer):
    """Serves `pages` by path; `asked` lists the requests: host and path."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.asked.append((self.headers["Host"], self.path))
                owner.headers.append(dict(self.headers.items()))
                try:
                    owner.pages.get(self.path, answer("nothing here", status=404))(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Keep the tests' output clean."""

        http = QuietHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
        super().__init__(http)
