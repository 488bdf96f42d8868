from pathlib import Path

from prompt_objects.chat.chat import Chat
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.testing import ScriptedLLM
from prompt_objects.ui.line.status_bar import fit_items, status_items
from tests.support.environments import open_env

PARTS = ("coordinator", "A session", "12 messages", "gpt-5", "1.2k tokens")


def test_all_items_are_shown_if_they_fit() -> None:
    assert fit_items(PARTS, 80) == "coordinator · A session · 12 messages · gpt-5 · 1.2k tokens"


def test_items_are_dropped_from_the_right() -> None:
    assert fit_items(PARTS, 40) == "coordinator · A session · 12 messages"
    assert fit_items(PARTS, 8) == "coordin…"


def test_the_holder_and_a_problem_follow_the_session_name(tmp_path: Path) -> None:
    with open_env(tmp_path, ScriptedLLM()) as env:
        chat = Chat(env, env["scout"], env["scout"].session_manager.current())
        chat.holder = ProcessInfo.current("ann\x1b[2J")
        assert status_items(chat) == ("scout", "Default", "in use by ann", "0 messages")
        assert status_items(chat, "gone")[:3] == ("scout", "Default", "gone")


async def test_the_use_of_limits_is_shown(tmp_path: Path) -> None:
    objects = {"scout": "name: scout\nlimits: {requests: 9, tokens: 50000, cost: 0.5, seconds: 60}\nprompt: Look.\n"}
    async with open_env(tmp_path, ScriptedLLM(["Hello"]), objects) as env:
        chat = Chat(env, env["scout"], env["scout"].session_manager.current())
        with env.bus.subscribe() as news:
            await chat.send("Go")
            for event in news.drain():
                chat.handle(event)
        assert chat.spent is not None
        tokens = chat.spent.amount.tokens
        assert status_items(chat)[-4:] == ("1/9 requests", f"{tokens}/50.0k tokens", "$0.00/$0.50", "0/60 s")
