"""The version of the tables in a database, by which it is known that they are ours."""

import time

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from prompt_objects.errors import NewerEnvironment, StoreError
from prompt_objects.sessions.stores.sql.errors import CONCURRENT_DDL, RETRYABLE, state_of
from prompt_objects.sessions.stores.sql.schema import META, TABLES, VERSION

__all__ = [
    "ensure_tables",
]

_ATTEMPTS, _PAUSE = 20, 0.1


def ensure_tables(engine: Engine, shown: str) -> None:
    """See that the tables are there, and are ours; make them where there are none, whoever else does so, too.

    Raises `NewerEnvironment` where a newer version of the program made them, and `StoreError` where another program.
    """
    for _ in range(_ATTEMPTS):
        try:
            with engine.begin() as connection:
                is_ours = _check_or_make(connection, shown)
        except DBAPIError as error:
            if state_of(error) not in CONCURRENT_DDL | RETRYABLE:
                raise
        else:
            if is_ours:
                return
        time.sleep(_PAUSE)
    raise StoreError(
        f"{shown} has tables of another program.",
        hint="Give sessions a database, or a schema, of their own.",
    )


def _check_or_make(connection: Connection, shown: str) -> bool:
    """Return whether the tables are ours; where that is not written down, somebody may just be about to do so."""
    inspector = inspect(connection)
    if not inspector.has_table(META.name):
        if not TABLES.tables.keys().isdisjoint(inspector.get_table_names()):
            return False
        TABLES.create_all(connection, checkfirst=False)
        connection.execute(META.insert(), {"name": "schema_version", "value": str(VERSION)})
        return True
    columns = connection.execute(select(text("*")).select_from(META).limit(0)).keys()
    if not {"name", "value"} <= set(columns):
        return False
    found = connection.scalar(select(META.c.value).where(META.c.name == "schema_version"))
    if isinstance(found, str) and found.isdecimal() and int(found) > VERSION:
        raise NewerEnvironment(
            f"{shown} has sessions of a newer version of prompt_objects (schema {found}, here {VERSION}).",
            hint="Use that version; nothing was changed.",
        )
    return found == str(VERSION)
