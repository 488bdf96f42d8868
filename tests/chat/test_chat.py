"""A conversation while other processes run: unsent messages are not lost, and the holder of a session is known."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import Busy, NotFound, UsageError
from prompt_objects.runtime.active_turns import ActiveTurn
from prompt_objects.sessions.steering import SteeringQueue
from prompt_objects.testing import ScriptedLLM
from tests.support.environments import make_env
from tests.support.other_process import Elsewhere


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with Environment.open(make_env(tmp_path), llm=ScriptedLLM(["Yes"]), environ={}) as env:
        scout = env["scout"]
        yield Chat(env, scout, scout.session_manager.current())


async def send(chat: Chat, text: str, wait: float | None = 0) -> None:
    """Send a message, and let the chat handle the events."""
    with chat.environment.bus.subscribe() as news:
        try:
            await chat.send(text, wait=wait)
        finally:
            for event in news.drain():
                chat.handle(event)


def holding(chat: Chat) -> int | None:
    """Return the process that is known to use the session."""
    return chat.holder.pid if chat.holder else None


def elsewhere(chat: Chat) -> Elsewhere:
    return Elsewhere(chat.environment.folder, chat.session.id)


async def test_a_sent_message_is_no_longer_pending(chat: Chat) -> None:
    await send(chat, "Hello")
    assert (chat.pending, chat.session.message_count) == ("", 2)


def test_the_first_start_names_all_keys_that_were_found_and_a_missing_one(tmp_path: Path) -> None:
    keys = {"GROQ_API_KEY": "gsk", "ANTHROPIC_API_KEY": "sk-ant"}
    with Environment.open(make_env(tmp_path), environ=keys) as env:
        chat = Chat(env, env["scout"], env["scout"].session_manager.current())
        found = "Keys were found for Anthropic (ANTHROPIC_API_KEY), Groq (GROQ_API_KEY). /model lists the models."
        model = "claude-sonnet-5-5: Anthropic at https://api.anthropic.com"
        assert chat.warm_up() == [model, found]
        chat.session.append({"role": "user", "content": "Hello"})
        assert chat.warm_up() == [model]
    with Environment.open(tmp_path, model="anthropic", environ={}) as env:
        chat = Chat(env, env["scout"], env["scout"].session_manager.current())
        assert chat.warm_up() == [f"{model} (ANTHROPIC_API_KEY is not set)"]


async def test_a_refused_message_is_pending_until_sent_and_the_holder_is_known(chat: Chat) -> None:
    with elsewhere(chat) as other:
        with pytest.raises(Busy) as caught:
            await send(chat, "Hello")
        assert "/wait" in caught.value.hint
        assert chat.pending == "Hello"
        assert holding(chat) == other.pid
        other.answer("An answer")
    await send(chat, chat.pending)
    assert chat.pending == ""
    assert holding(chat) is None


async def test_a_message_is_pending_after_the_wait_was_cancelled(chat: Chat) -> None:
    with elsewhere(chat):
        waiting = asyncio.create_task(send(chat, "Hello", None))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert chat.pending == "Hello"


async def test_a_pending_message_is_not_sent_in_another_session(chat: Chat) -> None:
    chat.pending = "Hello"
    chat.switch_session(chat.session)
    assert chat.pending == "Hello"
    chat.switch_session(chat.po.session_manager.create("Other"))
    assert chat.pending == ""


async def test_a_session_of_another_prompt_object_is_found(chat: Chat) -> None:
    helpers = chat.environment["helper"].session_manager.create("Helping")
    assert chat.find("Helping").id == helpers.id
    assert chat.find("Default") is chat.session
    with pytest.raises(NotFound):
        chat.find("Nothing")


async def test_a_deleted_definition_keeps_the_message_pending(chat: Chat) -> None:
    (chat.environment.folder / "objects" / "scout.yaml").unlink()
    with pytest.raises(NotFound):
        await send(chat, "Hello")
    assert chat.pending == "Hello"
    assert any("scout" in notice for notice in chat.warm_up())


async def test_an_invalid_definition_is_reported_once(chat: Chat) -> None:
    (chat.environment.folder / "objects" / "scout.yaml").write_text("name: scout\nprompt: P.\ncolour: red\n")
    assert len([fact for fact in chat.warm_up() if "colour" in fact]) == 1


def test_failed_maintenance_is_reported_in_a_sentence(chat: Chat) -> None:
    (chat.environment.data_dir / "backups").write_text("in the way")
    (notice,) = chat.run_maintenance()
    assert notice.startswith("Backing up or pruning ")
    (chat.environment.data_dir / "backups").unlink()
    assert chat.run_maintenance() == []


async def test_a_mention_sends_to_that_object_and_the_user_stays(chat: Chat) -> None:
    await send(chat, "@helper Hello\nthere")
    assert (chat.pending, chat.po.name, chat.session.message_count) == ("", "scout", 0)
    assert chat.environment["helper"].session_manager.current().history[0]["content"] == "Hello\nthere"


async def test_a_mention_of_the_current_object_goes_to_the_current_session(chat: Chat) -> None:
    await send(chat, "@scout Hello")
    assert chat.session.message_count == 2
    assert chat.session.refresh() == []


def test_an_unknown_mention_is_text_and_a_misspelled_one_is_an_error(chat: Chat) -> None:
    assert chat.parse_mention("@property def f(self)") == ("", "@property def f(self)")
    assert chat.parse_mention("@helper") == ("", "@helper")
    with pytest.raises(NotFound) as caught:
        chat.parse_mention("@helpr Hello")
    assert "helper" in caught.value.hint


async def test_an_object_without_a_running_turn_cannot_be_steered(chat: Chat) -> None:
    assert chat.turns() == chat.turns("helper") == []
    with pytest.raises(UsageError, match="helper has no turn running"):
        chat.steer("@helper Faster")


async def test_a_session_that_stops_before_an_answer_is_interrupted(chat: Chat) -> None:
    assert not chat.is_interrupted()
    chat.session.append({"role": "user", "content": "Hello"})
    assert chat.is_interrupted()
    with elsewhere(chat):
        assert not chat.is_interrupted()
    await chat.resume()
    assert not chat.is_interrupted()


def test_a_session_that_ends_with_a_retried_answer_is_not_interrupted(chat: Chat) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "list_files", "arguments": "{}"}}
    for message in (
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "none"},
        {"role": "assistant", "content": "No files."},
        {"role": "assistant", "content": "There are no files.", "replaces": [1, 4]},
    ):
        chat.session.append(message)
    assert not chat.is_interrupted()


async def test_a_message_being_sent_stays_pending_after_a_switch(chat: Chat) -> None:
    with elsewhere(chat):
        waiting = asyncio.create_task(send(chat, "Hello", None))
        await asyncio.sleep(0.05)
        assert chat.is_pending_here
        chat.switch_object("helper")
        assert (chat.pending, chat.is_pending_here) == ("Hello", False)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert chat.pending == "Hello"


async def test_the_use_of_limits_belongs_to_its_session(chat: Chat) -> None:
    await send(chat, "@helper Hello")
    assert chat.spent is None
    chat.switch_object("helper")
    assert chat.spent is not None
    assert chat.spent.amount.requests == 1
    chat.switch_session(chat.po.session_manager.create("Other"))
    assert chat.spent is None


async def test_a_turn_whose_session_is_not_saved_yet_is_not_switched_to(chat: Chat) -> None:
    helper = chat.environment["helper"]
    draft = helper.session_manager.draft("Notes")
    turn = ActiveTurn(("scout", "helper"), draft, SteeringQueue(chat.environment.storage.workspace, draft.id))
    with chat.environment.active_turns.registered(turn):
        chat.switch_object("helper")
        assert chat.session.name == "Default"
        draft.append({"role": "user", "content": "Look"})
        chat.switch_object("helper")
        assert chat.session is draft
