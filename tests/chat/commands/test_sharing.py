"""Commands for a session that another process uses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import Confirm, Send, Switched, Text, Watch
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import UsageError
from tests.support.environments import make_env
from tests.support.other_process import Elsewhere


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    with Environment.open(make_env(tmp_path), model="rehearsal", environ={}) as environment:
        po = environment["scout"]
        yield Chat(environment, po, po.session_manager.current())


def sent(chat: Chat, line: str) -> str:
    outcome = commands.run(chat, line)
    assert isinstance(outcome, Send)
    return outcome.message


def test_wait_sends_the_refused_message_or_a_given_one(chat: Chat) -> None:
    with pytest.raises(UsageError, match="no message"):
        commands.run(chat, "/wait")
    chat.pending = "Hello"
    assert sent(chat, "/wait") == "Hello"
    assert sent(chat, "/wait  Two words ") == "Two words"


def test_branch_sends_the_message_in_a_copy_without_the_pending_one(chat: Chat) -> None:
    chat.session.append({"role": "user", "content": "Before"}, {"role": "assistant", "content": "Yes"})
    chat.pending = "Hello"
    with Elsewhere(chat.environment.folder, chat.session.id):
        assert sent(chat, "/branch") == "Hello"
    assert (chat.session.name, chat.session.message_count) == ("Default branch", 2)
    assert sent(chat, "/branch Another") == "Another"


def test_branch_without_a_number_copies_all_messages(chat: Chat) -> None:
    chat.session.append({"role": "user", "content": "Not answered"})
    assert isinstance(commands.run(chat, "/branch"), Switched)
    assert (chat.session.name, chat.session.message_count) == ("Default branch", 1)


def test_watch_follows_a_session_in_use(chat: Chat) -> None:
    assert commands.run(chat, "/watch") == Text("No other process uses Default.")
    with Elsewhere(chat.environment.folder, chat.session.id) as other:
        for line in ("/watch", "/watch Default"):
            outcome = commands.run(chat, line)
            assert isinstance(outcome, Watch)
            assert outcome.session is chat.session
            assert f"process {other.pid}" in outcome.text


def test_deleting_a_session_in_use_names_the_holder_and_warns(chat: Chat) -> None:
    session_id = chat.session.id
    with Elsewhere(chat.environment.folder, session_id) as other:
        question = commands.run(chat, "/session delete")
        assert isinstance(question, Confirm)
        assert f"(process {other.pid} on " in question.text
        assert ", since " in question.text
        assert "restores it from the trash. Delete session Default (1 message)?" in question.text
        question.on_yes()
        assert session_id in [trashed.info.id for trashed in chat.po.session_manager.trash()]
        other.answer("An answer")
    back = chat.find(session_id)
    assert [message["content"] for message in back.history] == ["From elsewhere", "An answer"]
    assert (chat.session.name, back.name) == ("Default", "Default 2")


def test_a_message_that_begins_with_a_slash_is_typed_as_one() -> None:
    for message in ("/help", "//", "Hello", " /x"):
        assert commands.parse_input(commands.escape(message)) == (False, message)
