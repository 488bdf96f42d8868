"""Fixtures over the file store and its files; test files name this in `pytest_plugins`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.sessions import user_messages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def file_store(folder: Path) -> Iterator[FileStore]:
    store = FileStore(folder)
    yield store
    store.close()


@pytest.fixture
def notes(file_store: FileStore) -> Session:
    session = SessionManager(file_store, "reader").create("Notes")
    session.append(*user_messages("one", "two ü"))
    return session


@pytest.fixture
def file(folder: Path, notes: Session) -> Path:
    return folder / "sessions" / f"{notes.id}.json"
