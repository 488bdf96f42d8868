"""Backups and pruning in the background of a conversation."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.ui.watcher import run_maintenance
from tests.support.environments import make_env


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with Environment.open(make_env(tmp_path), model="rehearsal", environ={}) as env:
        scout = env["scout"]
        yield Chat(env, scout, scout.session_manager.current())


async def test_sessions_are_backed_up_in_the_background(chat: Chat) -> None:
    chat.session.append({"role": "user", "content": "Hello"})
    upkeep = asyncio.create_task(run_maintenance(chat, print))

    def wait_for_backup() -> None:
        end = time.monotonic() + 10
        while not chat.environment.storage.backups.kept(chat.session.id):
            assert time.monotonic() < end
            time.sleep(0.01)

    await asyncio.to_thread(wait_for_backup)
    upkeep.cancel()


async def test_a_failed_run_is_reported(chat: Chat) -> None:
    (chat.environment.data_dir / "backups").write_text("in the way")
    notices: asyncio.Queue[str] = asyncio.Queue()
    upkeep = asyncio.create_task(run_maintenance(chat, notices.put_nowait))
    async with asyncio.timeout(10):
        assert (await notices.get()).startswith("Backing up or pruning ")
    upkeep.cancel()
