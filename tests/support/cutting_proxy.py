"""A connection to PostgreSQL that breaks at the worst moment, when a transaction is being committed."""

import socket
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Self

import psycopg
from sqlalchemy import make_url

__all__ = ["CuttingProxy"]


class CuttingProxy:
    """A proxy between a store and the server at `url`; the store connects to `self.url`.

    While `cuts` is above 0, each COMMIT decrements it and breaks the connection: after the server has committed or,
    if `before` is set, instead of it.
    """

    def __init__(self, url: str) -> None:
        self.cuts = 0
        self.before = False
        with psycopg.connect(url) as connection:
            self._server = (connection.info.host, connection.info.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        query = {"host": "127.0.0.1", "port": str(self._listener.getsockname()[1]), "sslmode": "disable"}
        self.url = make_url(url).update_query_dict(query).render_as_string(hide_password=False)
        self._threads = [Thread(target=self._listen)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):  # which is how it ends
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                self._threads += [
                    Thread(target=self._ask, args=(client, server)),
                    Thread(target=self._answer, args=(client, server)),
                ]
                for thread in self._threads[-2:]:
                    thread.start()

    def _connect(self) -> socket.socket:
        host, port = self._server
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        """Forward the client's data until the connection is cut."""
        with suppress(OSError):
            while data := client.recv(65536):
                if b"COMMIT" in data and self.cuts:
                    self.cuts -= 1
                    if not self.before:
                        client.shutdown(socket.SHUT_WR)  # the response is lost
                        server.sendall(data)
                        server.settimeout(0.05)
                        with suppress(TimeoutError):
                            while server.recv(65536):
                                pass
                    break
                server.sendall(data)
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        client.close()
        server.close()
