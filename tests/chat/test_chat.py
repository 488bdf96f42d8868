"""One person's conversation beside others: what is to be sent is not lost, and who else is there is known."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import Busy, NotFound, UsageError
from prompt_objects.testing import ScriptedLLM
from tests.support.environments import make_house
from tests.support.other_process import Elsewhere


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with Environment.open(make_house(tmp_path), llm=ScriptedLLM(["Yes"]), environ={}) as env:
        scout = env["scout"]
        yield Chat(env, scout, scout.session_manager.current())


async def say(chat: Chat, text: str, wait: float | None = 0) -> None:
    """Say something, and have the chat hear what comes of it."""
    with chat.environment.bus.subscribe() as news:
        try:
            await chat.send(text, wait=wait)
        finally:
            for event in news.drain():
                chat.handle(event)


def holding(chat: Chat) -> int | None:
    """Return the process that is known to be at the session."""
    return chat.holder.pid if chat.holder else None


def elsewhere(chat: Chat) -> Elsewhere:
    return Elsewhere(chat.environment.folder, chat.session.id)


async def test_what_was_sent_is_pending_no_more(chat: Chat) -> None:
    await say(chat, "Hello")
    assert (chat.pending, chat.session.message_count) == ("", 2)


async def test_what_was_refused_is_pending_until_it_is_sent_and_who_is_there_is_known(chat: Chat) -> None:
    with elsewhere(chat) as other:
        with pytest.raises(Busy) as caught:
            await say(chat, "Hello")
        assert "/wait" in caught.value.hint
        assert chat.pending == "Hello"
        assert holding(chat) == other.pid
        other.answer("An answer")
    await say(chat, chat.pending)
    assert chat.pending == ""
    assert holding(chat) is None


async def test_what_was_no_longer_waited_for_is_pending(chat: Chat) -> None:
    with elsewhere(chat):
        waiting = asyncio.create_task(say(chat, "Hello", None))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert chat.pending == "Hello"


async def test_what_is_pending_in_one_session_is_not_sent_in_another(chat: Chat) -> None:
    chat.pending = "Hello"
    chat.open(chat.session)
    assert chat.pending == "Hello"
    chat.open(chat.manager.create("Other"))
    assert chat.pending == ""


async def test_a_look_tells_what_others_added_and_who_is_there(chat: Chat) -> None:
    assert (chat.poll(), holding(chat)) == ([], None)
    with elsewhere(chat) as other:
        assert [message["content"] for message in chat.poll()] == ["From elsewhere"]
        assert holding(chat) == other.pid
        other.answer("An answer")
    assert [message["content"] for message in chat.poll()] == ["An answer"]
    assert holding(chat) is None


async def test_a_turn_of_our_own_is_nobody_else(chat: Chat) -> None:
    async with chat.environment.session_locks.acquire(chat.session.id):
        chat.poll()
        assert chat.holder is None
        assert chat.holder_of(chat.session) is None


async def test_a_session_of_another_prompt_object_is_found_as_well(chat: Chat) -> None:
    helpers = chat.environment["helper"].session_manager.create("Helping")
    assert chat.find("Helping").id == helpers.id
    assert chat.find("Default") is chat.session
    with pytest.raises(NotFound):
        chat.find("Nothing")


async def test_a_definition_that_vanishes_leaves_the_message_and_the_program(chat: Chat) -> None:
    (chat.environment.folder / "objects" / "scout.yaml").unlink()
    with pytest.raises(NotFound):
        await say(chat, "Hello")
    assert chat.pending == "Hello"
    assert any("scout" in told for told in chat.warm_up())


def test_upkeep_that_does_not_succeed_is_said_in_a_sentence(chat: Chat) -> None:
    (chat.environment.data_dir / "backups").write_text("in the way")
    (told,) = chat.keep_up()
    assert told.startswith("Backing up or pruning ")
    (chat.environment.data_dir / "backups").unlink()
    assert chat.keep_up() == []


async def test_a_message_to_a_name_goes_to_that_object_and_the_person_stays(chat: Chat) -> None:
    await say(chat, "@helper Hello\nthere")
    assert (chat.pending, chat.po.name, chat.session.message_count) == ("", "scout", 0)
    assert chat.environment["helper"].session_manager.current().history[0]["content"] == "Hello\nthere"


def test_an_at_sign_that_names_nobody_is_part_of_the_message_and_one_that_nearly_does_is_asked_about(
    chat: Chat,
) -> None:
    assert chat.parse_mention("@property def f(self)") == ("", "@property def f(self)")
    assert chat.parse_mention("@helper") == ("", "@helper")
    with pytest.raises(NotFound) as caught:
        chat.parse_mention("@helpr Hello")
    assert "helper" in caught.value.hint


async def test_nobody_can_be_steered_or_stopped_who_is_not_at_work(chat: Chat) -> None:
    assert chat.turns() == chat.turns("helper") == []
    with pytest.raises(UsageError, match="helper is not at work"):
        chat.steer("@helper Faster")


async def test_a_session_that_stops_before_an_answer_is_interrupted(chat: Chat) -> None:
    assert not chat.is_interrupted()
    chat.session.append({"role": "user", "content": "Hello"})
    assert chat.is_interrupted()
    with elsewhere(chat):
        assert not chat.is_interrupted()
    await chat.resume()
    assert not chat.is_interrupted()


async def test_what_is_still_being_sent_is_pending_wherever_one_goes_meanwhile(chat: Chat) -> None:
    with elsewhere(chat):
        waiting = asyncio.create_task(say(chat, "Hello", None))
        await asyncio.sleep(0.05)
        assert chat.is_pending_here
        chat.move("helper")
        assert (chat.pending, chat.is_pending_here) == ("Hello", False)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert chat.pending == "Hello"


async def test_what_was_spent_is_told_in_the_session_that_it_was_spent_in(chat: Chat) -> None:
    await say(chat, "@helper Hello")
    assert chat.spent is None
    chat.move("helper")
    assert chat.spent is not None
    assert chat.spent.amount.requests == 1
    chat.open(chat.manager.create("Other"))
    assert chat.spent is None
