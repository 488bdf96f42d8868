"""An HTTP server on the loopback that runs in a thread."""

import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any, Self


class LocalServer:
    """Runs an HTTP server for the duration of a `with` block."""

    def __init__(self, http: ThreadingHTTPServer) -> None:
        self._http = http
        self._thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])


class QuietHTTPServer(ThreadingHTTPServer):
    """Prints no error for clients that disconnect."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *where: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*where)
