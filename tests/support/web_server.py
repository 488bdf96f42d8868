"""A real web server on the loopback, with TLS or without, with pages by path."""

import ssl
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self, TypeAlias

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


class WebServer:
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

        self._http = _Quiet(("127.0.0.1", 0), Handler)
        if context:
            self._http.socket = context.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Print no error for clients that disconnect or refuse a certificate."""
