"""Fixtures over all stores, each of which has to keep the same promises; test files name this in `pytest_plugins`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prompt_objects.sessions.last_used import LastUsed
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores import Store, open_store

URLS: dict[str, Callable[[Path], str]] = {"files": lambda folder: f"files:{folder / 'data'}"}


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return URLS[request.param](tmp_path)


@pytest.fixture
def open_again(url: str) -> Iterator[Callable[[], Store]]:
    """Opens the same store once more, as another process would."""
    opened: list[Store] = []

    def opener() -> Store:
        opened.append(open_store(url))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Store:
    return open_again()


@pytest.fixture
def manager(store: Store, tmp_path: Path) -> SessionManager:
    return SessionManager(store, "reader", last_used=LastUsed(tmp_path / "data" / "state.json"))


@pytest.fixture
def manager_again(open_again: Callable[[], Store], tmp_path: Path) -> Callable[[], SessionManager]:
    """Makes the same manager once more, as another process would."""
    state = tmp_path / "data" / "state.json"
    return lambda: SessionManager(open_again(), "reader", last_used=LastUsed(state))


@pytest.fixture
def session(manager: SessionManager) -> Session:
    return manager.create("Notes")
