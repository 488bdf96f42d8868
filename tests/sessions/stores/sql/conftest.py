"""Statements that bypass the store."""

from typing import Any

import pytest
from sqlalchemy import text

from prompt_objects.sessions.stores.sql.store import SqlStore
from tests.support.sql_store import Ask
from tests.support.store_urls import FullStore


@pytest.fixture
def ask(store: FullStore) -> Ask:
    """Runs a statement in the database, bypassing the store, and returns its rows."""
    assert isinstance(store, SqlStore)
    database = store._database

    def run_statement(statement: str, **values: Any) -> list[Any]:
        with database._engine.begin() as connection:
            if statement.startswith("PRAGMA"):
                return list(connection.exec_driver_sql(statement))
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    store.list()  # creates the tables
    return run_statement
