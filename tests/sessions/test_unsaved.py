"""What could not be saved is kept elsewhere, and goes back where it belongs."""

import stat
from pathlib import Path

import pytest

from prompt_objects.errors import Busy
from prompt_objects.message import Message
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.lease import ProcessInfo, take_lease
from prompt_objects.sessions.unsaved import UnsavedFolder

pytest_plugins = ["tests.support.store_fixtures"]

QUESTION: Message = {"role": "user", "content": "How much?"}
ANSWER: Message = {"role": "assistant", "content": "42 \ud800", "model": "m"}


@pytest.fixture
def unsaved(tmp_path: Path) -> UnsavedFolder:
    return UnsavedFolder(tmp_path / "env", tmp_path / "state" / "unsaved")


@pytest.fixture
def asked(manager: SessionManager) -> Session:
    session = manager.create("Sums")
    session.append(QUESTION)
    return session


def texts(session: Session) -> list[str]:
    return [message["content"] for message in session.history]


def test_an_answer_goes_to_the_end_of_its_session(
    unsaved: UnsavedFolder, manager: SessionManager, asked: Session
) -> None:
    path = unsaved.keep(asked, [ANSWER], "The disk is full.")
    assert path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (record,) = unsaved.recover(manager.store)
    assert record.info.id == asked.id
    assert texts(manager.get(asked.id)) == ["How much?", "42 \ud800"]
    assert manager.get(asked.id).tail(1)[0]["at"]
    assert not path.exists()
    assert unsaved.recover(manager.store) == []


def test_an_answer_goes_into_a_copy_if_its_session_was_changed_or_is_gone(
    unsaved: UnsavedFolder, manager: SessionManager, asked: Session
) -> None:
    unsaved.keep(asked, [ANSWER], "The disk is full.")
    asked.append({"role": "user", "content": "Hello?"})
    (record,) = unsaved.recover(manager.store)
    assert texts(manager.get(record.info.id)) == ["How much?", "42 \ud800"]
    assert (record.info.name, texts(manager.get(asked.id))) == ("Sums (recovered)", ["How much?", "Hello?"])
    unsaved.keep(asked, [ANSWER], "The disk is full.")
    manager.delete(asked.id)
    (record,) = unsaved.recover(manager.store)
    assert texts(manager.get(record.info.id)) == ["How much?", "Hello?", "42 \ud800"]


def test_nothing_is_lost_while_the_session_is_in_use(
    unsaved: UnsavedFolder, manager: SessionManager, asked: Session
) -> None:
    path = unsaved.keep(asked, [ANSWER], "The disk is full.")
    lease = take_lease(manager.store, asked.id, ProcessInfo.current())
    with pytest.raises(Busy):
        unsaved.recover(manager.store)
    assert path
    assert path.exists()
    lease.release()


def test_only_answers_of_this_environment_and_of_its_sessions_are_offered(
    unsaved: UnsavedFolder, manager: SessionManager, asked: Session, tmp_path: Path
) -> None:
    unsaved.keep(asked, [ANSWER], "The disk is full.")
    moved = UnsavedFolder(tmp_path / "moved", tmp_path / "state" / "unsaved")
    assert [each.info.id for _, each in moved.entries(manager.store)] == [asked.id]
    manager.delete(asked.id)
    manager.purge(asked.id)
    assert list(moved.entries(manager.store)) == []
    assert len(list(unsaved.entries(manager.store))) == 1


def test_without_a_place_to_write_there_is_no_file(asked: Session, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    assert UnsavedFolder(tmp_path, tmp_path / "state" / "unsaved").keep(asked, [ANSWER], "full") is None
