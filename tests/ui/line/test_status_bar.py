"""The line at the bottom says what is so, or what the person should know at once (ui/footer.py)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.ui.line.status_bar import StatusBar
from prompt_objects.ui.render.style import plain
from tests.support.environments import make_house


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with Environment.open(make_house(tmp_path), model="rehearsal", environ={}) as env:
        scout = env["scout"]
        yield Chat(env, scout, scout.session_manager.current())


@pytest.fixture
def redrawn() -> list[str]:
    return []


@pytest.fixture
def footer(chat: Chat, redrawn: list[str]) -> StatusBar:
    return StatusBar(chat, lambda: redrawn.append("again"))


def shown(footer: StatusBar) -> str:
    return plain([footer.line()])


async def test_a_hint_stands_in_the_place_of_the_facts_until_it_is_taken_back(footer: StatusBar) -> None:
    facts = shown(footer)
    assert facts.startswith("scout · Default")
    footer.say("Ctrl-D\x1b[2J leaves")
    assert shown(footer) == "Ctrl-D leaves"
    footer.say("")
    assert shown(footer) == facts


async def test_facts_are_looked_at_when_told_and_drawn_again_only_where_they_have_changed(
    chat: Chat, footer: StatusBar, redrawn: list[str]
) -> None:
    footer.refresh()
    assert redrawn == []
    chat.open(chat.manager.create("Travels"))
    assert shown(footer).startswith("scout · Default")
    footer.refresh()
    assert shown(footer).startswith("scout · Travels")
    assert redrawn == ["again"]


async def test_what_is_wrong_is_said_until_it_is_right_again(footer: StatusBar) -> None:
    footer.refresh("in the trash")
    assert "in the trash" in shown(footer)
    footer.refresh()
    assert "in the trash" in shown(footer)
    footer.refresh("")
    assert "in the trash" not in shown(footer)
