"""Changes of a session by other processes are shown: new messages, and its deletion."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.ui.render.style import Line, plain
from prompt_objects.ui.watcher import SessionWatcher
from tests.support.environments import make_env
from tests.support.other_process import Elsewhere


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with Environment.open(make_env(tmp_path), model="rehearsal", environ={}) as env:
        scout = env["scout"]
        yield Chat(env, scout, scout.session_manager.current())


@pytest.fixture
def others(chat: Chat) -> SessionManager:
    """The same sessions, opened by another window."""
    return SessionManager(open_store(chat.environment.storage.url), "scout")


@pytest.fixture
def shown() -> list[Line]:
    return []


@pytest.fixture
def watcher(chat: Chat, shown: list[Line]) -> SessionWatcher:
    return SessionWatcher(chat, shown.extend, lambda: 60)


async def test_new_messages_are_shown_once(
    watcher: SessionWatcher, others: SessionManager, shown: list[Line]
) -> None:
    others.get("Default").append({"role": "user", "content": "Hello"})
    await watcher.poll()
    await watcher.poll()
    assert plain(shown).count("Hello") == 1
    assert watcher.problem == ""


async def test_a_poll_shows_new_messages_and_updates_the_holder(
    chat: Chat, watcher: SessionWatcher, shown: list[Line]
) -> None:
    await watcher.poll()
    assert (shown, chat.holder) == ([], None)
    with Elsewhere(chat.environment.folder, chat.session.id) as other:
        await watcher.poll()
        assert "From elsewhere" in plain(shown)
        assert chat.holder is not None
        assert chat.holder.pid == other.pid
        other.answer("An answer")
    await watcher.poll()
    assert "An answer" in plain(shown)
    assert chat.holder is None


async def test_a_turn_of_this_process_is_no_other_holder(chat: Chat, watcher: SessionWatcher) -> None:
    async with chat.environment.session_locks.acquire(chat.session.id):
        await watcher.poll()
        assert chat.holder is None
        assert chat.holder_of(chat.session) is None


async def test_a_deleted_session_is_reported_once_per_deletion(
    chat: Chat, watcher: SessionWatcher, others: SessionManager, shown: list[Line]
) -> None:
    for _ in range(2):
        others.delete("Default")
        for _ in range(3):
            await watcher.poll()
            assert watcher.problem == "in the trash"
        others.restore("Default")
        await watcher.poll()
        assert watcher.problem == ""
    output = " ".join(plain(shown).split())
    assert output.count("! Default was deleted by another process; /session restore Default restores it.") == 2
    others.delete("Default")
    await watcher.poll()
    chat.switch_session(chat.po.session_manager.create("Another"))
    await watcher.poll()
    assert watcher.problem == ""


async def test_unreadable_sessions_are_a_problem_until_they_can_be_read(
    chat: Chat, watcher: SessionWatcher, others: SessionManager, shown: list[Line]
) -> None:
    session_file = chat.environment.data_dir / "sessions" / f"{chat.session.id}.json"
    others.get("Default").append({"role": "user", "content": "Hello"})
    aside = session_file.rename(session_file.with_name("aside"))
    session_file.mkdir()
    await watcher.poll()
    assert watcher.problem == "the sessions cannot be read"
    assert shown == []
    session_file.rmdir()
    aside.rename(session_file)
    await watcher.poll()
    assert watcher.problem == ""
    assert "Hello" in plain(shown)
