"""The status bar shows facts, or a hint in their place."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.render.style import plain
from tests.support.environments import make_env


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with Environment.open(make_env(tmp_path), model="rehearsal", environ={}) as env:
        scout = env["scout"]
        yield Chat(env, scout, scout.session_manager.current())


@pytest.fixture
def redrawn() -> list[str]:
    return []


@pytest.fixture
def status_bar(chat: Chat, redrawn: list[str]) -> StatusBar:
    return StatusBar(chat, lambda: redrawn.append("again"))


def shown(status_bar: StatusBar) -> str:
    return plain([status_bar.line()])


async def test_a_hint_replaces_the_facts_until_it_is_removed(status_bar: StatusBar) -> None:
    facts = shown(status_bar)
    assert facts.startswith("scout · Default")
    status_bar.set_hint("Ctrl-D\x1b[2J leaves")
    assert shown(status_bar) == "Ctrl-D leaves"
    status_bar.set_hint("")
    assert shown(status_bar) == facts


async def test_a_refresh_redraws_only_changed_facts(chat: Chat, status_bar: StatusBar, redrawn: list[str]) -> None:
    status_bar.refresh()
    assert redrawn == []
    chat.switch_session(chat.po.session_manager.create("Travels"))
    assert shown(status_bar).startswith("scout · Default")
    status_bar.refresh()
    assert shown(status_bar).startswith("scout · Travels")
    assert redrawn == ["again"]


async def test_a_problem_is_shown_until_it_is_solved(status_bar: StatusBar) -> None:
    status_bar.refresh("in the trash")
    assert "in the trash" in shown(status_bar)
    status_bar.refresh()
    assert "in the trash" in shown(status_bar)
    status_bar.refresh("")
    assert "in the trash" not in shown(status_bar)
