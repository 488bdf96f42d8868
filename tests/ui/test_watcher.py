"""What others do to the session is seen: what they add, and that they delete it (ui/onlooker.py)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.ui.render.style import Line, plain
from prompt_objects.ui.watcher import SessionWatcher
from tests.support.environments import make_house


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with Environment.open(make_house(tmp_path), model="rehearsal", environ={}) as env:
        scout = env["scout"]
        yield Chat(env, scout, scout.session_manager.current())


@pytest.fixture
def others(chat: Chat) -> SessionManager:
    """The same sessions, as another window has them."""
    return SessionManager(open_store(chat.environment.store_url), "scout")


@pytest.fixture
def shown() -> list[Line]:
    return []


@pytest.fixture
def onlooker(chat: Chat, shown: list[Line]) -> SessionWatcher:
    return SessionWatcher(chat, shown.extend, lambda: 60)


async def test_what_others_added_is_shown_once(
    onlooker: SessionWatcher, others: SessionManager, shown: list[Line]
) -> None:
    others.get("Default").append({"role": "user", "content": "Hello"})
    await onlooker.look()
    await onlooker.look()
    assert plain(shown).count("Hello") == 1
    assert onlooker.problem == ""


async def test_a_session_that_others_delete_is_told_once_for_as_long_as_it_is_gone(
    chat: Chat, onlooker: SessionWatcher, others: SessionManager, shown: list[Line]
) -> None:
    for _ in range(2):
        others.delete("Default")
        for _ in range(3):
            await onlooker.look()
            assert onlooker.problem == "in the trash"
        others.restore("Default")
        await onlooker.look()
        assert onlooker.problem == ""
    told = " ".join(plain(shown).split())
    assert told.count("! Default was deleted meanwhile; /session restore Default brings it back.") == 2
    others.delete("Default")
    await onlooker.look()
    chat.open(chat.manager.create("Another"))
    await onlooker.look()
    assert onlooker.problem == ""


async def test_sessions_that_cannot_be_read_are_told_until_they_can_be(
    chat: Chat, onlooker: SessionWatcher, others: SessionManager, shown: list[Line]
) -> None:
    session_file = chat.environment.data_dir / "sessions" / f"{chat.session.id}.json"
    others.get("Default").append({"role": "user", "content": "Hello"})
    aside = session_file.rename(session_file.with_name("aside"))
    session_file.mkdir()
    await onlooker.look()
    assert onlooker.problem == "the sessions cannot be read"
    assert shown == []
    session_file.rmdir()
    aside.rename(session_file)
    await onlooker.look()
    assert onlooker.problem == ""
    assert "Hello" in plain(shown)
