"""Fixtures over all stores, which share one contract; test files name this module in `pytest_plugins`."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.recent import RecentSessions
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from tests.support.postgres import schema_of_its_own, server_url
from tests.support.store_urls import URLS, FullStore, Opener, open_full_store


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server; if there can be none, the tests that need it fail."""
    with server_url() as url:
        yield url


@pytest.fixture
def postgres_schema(postgres: str) -> Iterator[str]:
    with schema_of_its_own(postgres) as url:
        yield url


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest) -> str:
    return URLS[request.param](request)


@pytest.fixture
def open_again(url: str) -> Iterator[Opener]:
    """Opens the same store again, as another process would; a memory store is shared."""
    opened: list[FullStore] = []

    def opener(options: StoreOptions = StoreOptions()) -> FullStore:  # noqa: B008 - it is immutable
        opened.append(open_full_store(url, options))
        return opened[-1]

    yield cache(opener) if url == "memory:" else opener
    for store in opened:
        store.close()


@pytest.fixture
def store(open_again: Opener) -> FullStore:
    return open_again()


@pytest.fixture
def manager(store: FullStore, tmp_path: Path) -> SessionManager:
    return SessionManager(store, "reader", last_used=RecentSessions(tmp_path / "data" / "state.json"))


@pytest.fixture
def manager_again(open_again: Opener, tmp_path: Path) -> Callable[[], SessionManager]:
    """Creates the same manager again, as another process would."""
    state = tmp_path / "data" / "state.json"
    return lambda: SessionManager(open_again(), "reader", last_used=RecentSessions(state))


@pytest.fixture
def session(manager: SessionManager) -> Session:
    return manager.create("Notes")
