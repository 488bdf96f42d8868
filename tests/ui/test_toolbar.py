from pathlib import Path

from houses import open_house
from prompt_objects.chat import Chat
from prompt_objects.holder import Holder
from prompt_objects.testing import ScriptedLLM
from prompt_objects.ui.toolbar import facts, fitted

PARTS = ("coordinator", "A session", "12 messages", "gpt-5", "1.2k tokens")


def test_all_is_shown_where_there_is_room() -> None:
    assert fitted(PARTS, 80) == "coordinator · A session · 12 messages · gpt-5 · 1.2k tokens"


def test_parts_are_dropped_from_the_right() -> None:
    assert fitted(PARTS, 40) == "coordinator · A session · 12 messages"
    assert fitted(PARTS, 8) == "coordin…"


def test_who_else_is_at_the_session_stands_behind_its_name(tmp_path: Path) -> None:
    with open_house(tmp_path, ScriptedLLM()) as env:
        chat = Chat(env, env["scout"], env["scout"].session_manager.current())
        chat.holder = Holder.here("ann\x1b[2J")
        assert facts(chat) == ("scout", "Default", "in use by ann", "0 messages")
