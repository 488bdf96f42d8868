"""The URLs of test stores of every kind; a line here adds a kind to the contract tests."""

from collections.abc import Callable
from typing import Protocol, cast

import pytest

from prompt_objects.sessions.stores.base import Archiving, Checking, Store, StoreOptions
from prompt_objects.sessions.stores.lease import Leasing
from prompt_objects.sessions.stores.registry import open_store

__all__ = ["OUTSIDE", "URLS", "FullStore", "Opener", "open_full_store"]


class FullStore(Store, Leasing, Checking, Archiving, Protocol):
    """A store with the optional abilities; only the one in memory lacks `check`."""


Ask = pytest.FixtureRequest
Opener = Callable[..., FullStore]  # with StoreOptions, or without


def open_full_store(url: str, options: StoreOptions = StoreOptions()) -> FullStore:  # noqa: B008 - it is immutable
    return cast("FullStore", open_store(url, options))


URLS: dict[str, Callable[[Ask], str]] = {
    "files": lambda ask: f"files:{ask.getfixturevalue('tmp_path') / 'data'}",
    "memory": lambda _: "memory:",
    "sqlite": lambda ask: f"sqlite:///{ask.getfixturevalue('tmp_path') / 'data' / 'sessions.db'}",
    "postgresql": lambda ask: str(ask.getfixturevalue("postgres_schema")),
}
OUTSIDE = [kind for kind in URLS if kind != "memory"]  # those that another process can open
