"""All kinds of stores, by where a test finds one of its own; a new kind joins the contract by a line here."""

from collections.abc import Callable

import pytest

from prompt_objects.sessions.stores.base import Store

__all__ = ["OUTSIDE", "URLS", "Opener"]

Ask = pytest.FixtureRequest
Opener = Callable[..., Store]  # with StoreOptions, or without

URLS: dict[str, Callable[[Ask], str]] = {
    "files": lambda ask: f"files:{ask.getfixturevalue('tmp_path') / 'data'}",
    "memory": lambda _: "memory:",
    "sqlite": lambda ask: f"sqlite:///{ask.getfixturevalue('tmp_path') / 'data' / 'sessions.db'}",
    "postgresql": lambda ask: str(ask.getfixturevalue("postgres_schema")),
}
OUTSIDE = [kind for kind in URLS if kind != "memory"]  # those that another process can open
