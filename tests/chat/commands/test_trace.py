"""`/trace` and `/bus`: typed commands and their outcomes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import ShowTrace, Text
from prompt_objects.errors import NotFound, UsageError
from prompt_objects.testing import ScriptedLLM
from prompt_objects.trace.model import MessageEvent
from tests.support.environments import open_env


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with open_env(tmp_path, ScriptedLLM(["Hi", "Hi again"])) as environment:
        po = environment["scout"]
        yield Chat(environment, po, po.session_manager.current())


def texts_of(outcome: object) -> list[str | None]:
    assert isinstance(outcome, ShowTrace)
    steps = (step for turn in outcome.trace.turns for step in turn.steps)
    return [step.text for step in steps if isinstance(step, MessageEvent)]


async def test_a_trace_is_of_the_current_session_or_of_one_that_is_named(chat: Chat) -> None:
    await chat.send("Hello")
    assert texts_of(commands.run(chat, "/trace")) == ["Hello", "Hi"]
    commands.run(chat, "/session new Other")
    assert texts_of(commands.run(chat, "/trace")) == []
    assert texts_of(commands.run(chat, "/trace Default")) == ["Hello", "Hi"]
    commands.run(chat, "/po boss")
    other = chat.environment["scout"].session_manager.get("Other")
    assert texts_of(commands.run(chat, f"/trace {other.id}")) == []
    with pytest.raises(NotFound):
        commands.run(chat, "/trace Nowhere")


async def test_news_are_switched_on_and_off(chat: Chat) -> None:
    for line, expected in [
        ("/bus", True),
        ("/bus", False),
        ("/bus on", True),
        ("/bus on", True),
        ("/bus off", False),
    ]:
        assert isinstance(commands.run(chat, line), Text)
        assert chat.shows_events is expected
    with pytest.raises(UsageError):
        commands.run(chat, "/bus loud")
