"""PostgreSQL: a database on a server."""

from contextlib import suppress

from sqlalchemy import URL, BigInteger, Table, cast, create_engine, extract, func, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from prompt_objects.errors import UsageError
from prompt_objects.sessions.stores.sql.database import CONNECTION_LOST, RECONNECT_TIMEOUT, Database, Upsert, state_of
from prompt_objects.sessions.stores.url import mask_passwords

_CONNECTION = {
    "application_name": "prompt_objects",
    "connect_timeout": "10",  # seconds
    "tcp_user_timeout": "20000",  # milliseconds without an acknowledgement until the connection counts as lost
}


def _parsed(url: str) -> URL:
    """Parse a URL. Raises `UsageError`, also for an unescaped @ in the password."""
    with suppress(ArgumentError, ValueError):
        if url.count("@") <= 1:
            return make_url(url).set(drivername="postgresql+psycopg")
    raise UsageError(
        f"{mask_passwords(url)!r} is not a valid database URL.",
        hint="It looks like postgresql://USER:PASSWORD@HOST/DATABASE; in each of these, @ is %40, / is %2F.",
    )


class PostgreSQL(Database):
    """A database on a server, for any number of processes on any number of machines."""

    clock = cast(extract("epoch", func.clock_timestamp()) * 1000, BigInteger)

    def __init__(self, url: str, pool_size: int, *, read_only: bool = False) -> None:
        parsed = _parsed(url)
        engine = create_engine(
            parsed.set(query={**_CONNECTION, **parsed.query}),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=RECONNECT_TIMEOUT,
            hide_parameters=True,
        )
        host = parsed.host or parsed.query.get("host") or "this machine"
        reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        super().__init__(
            engine, reader, f"The database {parsed.database or parsed.username} on {host}", read_only=read_only
        )

    def insert(self, table: Table) -> Upsert:
        return postgresql.insert(table)

    def problems(self) -> list[str]:
        return []  # the server checks its files

    def is_lost(self, error: SQLAlchemyError) -> bool:
        if not isinstance(error, DBAPIError):
            return False
        state = state_of(error)
        is_of_connection = isinstance(error, OperationalError) and not state
        return error.connection_invalidated or is_of_connection or state in CONNECTION_LOST or state.startswith("08")

    def hint(self, error: SQLAlchemyError) -> str:
        if self.is_lost(error):
            return "Check that the server runs, and that its address and password are right."
        return "Data saved earlier is safe."
