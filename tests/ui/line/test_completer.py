from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import to_plain_text

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.testing import ScriptedLLM
from prompt_objects.ui.line.completer import CommandCompleter
from tests.support.environments import make_env
from tests.support.openai_server import OpenAIServer

Offer: TypeAlias = Callable[[str], dict[str, str]]


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    (tmp_path / "objects").mkdir()
    for name in ("guide", "reader"):
        (tmp_path / "objects" / f"{name}.yaml").write_text(
            f"name: {name}\ndescription: The {name}\nprompt: You help.\n"
        )
    with Environment.open(tmp_path, llm=ScriptedLLM(), environ={}) as environment:
        po = environment["guide"]
        yield Chat(environment, po, po.session_manager.create("API notes"))


@pytest.fixture
def complete(chat: Chat) -> Offer:
    completer = CommandCompleter(chat)

    def offered(text: str) -> dict[str, str]:
        found = completer.get_completions(Document(text), CompleteEvent(text_inserted=True))
        return {
            text[: len(text) + each.start_position] + each.text: to_plain_text(each.display_meta) for each in found
        }

    return offered


def test_commands_are_offered_with_their_summary(complete: Offer) -> None:
    offered = complete("/ses")
    assert {"/session", "/sessions", "/session new "} <= set(offered)
    assert all(offered.values())


def test_common_commands_come_first_and_other_words_for_them_only_when_typed(complete: Offer) -> None:
    offered = list(complete("/"))
    assert offered.index("/undo") < offered.index("/bus ")
    assert "/exit" not in offered
    assert complete("/exi") == {"/exit": "the same as /quit"}


def test_ordinary_messages_are_not_completed(complete: Offer) -> None:
    assert complete("hello /ses") == {}
    assert complete("") == {}
    assert complete("/help\n/ses") == {}


def test_objects_are_offered_after_an_at_sign(complete: Offer) -> None:
    assert complete("@re") == {"@reader ": "The reader"}
    assert complete("@reader and") == {}


def test_sessions_are_offered_by_name(complete: Offer, chat: Chat) -> None:
    chat.po.session_manager.create("second")
    assert "/session switch API notes" in complete("/session switch ap")
    assert "/session switch second" not in complete("/session switch ap")
    assert "0 messages, just now" in complete("/session switch ")["/session switch API notes"]


def test_deleted_sessions_are_offered_for_restoring(complete: Offer, chat: Chat) -> None:
    chat.po.session_manager.delete(chat.po.session_manager.create("thrown away").id)
    assert set(complete("/session restore ")) == {"/session restore thrown away"}


def test_objects_are_offered_with_their_descriptions(complete: Offer) -> None:
    assert complete("/po re") == {"/po reader": "The reader"}


def test_choices_and_paths_are_offered_for_their_parameters(complete: Offer, tmp_path: Path) -> None:
    assert set(complete("/session export ma")) == {"/session export markdown"}
    assert f"/session export json {tmp_path}/objects" in complete(f"/session export json {tmp_path}/ob")


def test_models_and_commands_are_offered(complete: Offer) -> None:
    assert "/model rehearsal" in complete("/model r")
    assert "/help sessions" in complete("/help sess")


def test_the_models_of_the_server_in_use_are_offered_and_listed_once(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    environ = {"OPENAI_BASE_URL": openai_server.base_url}
    openai_server.models = ["qwen3:8b", "qwen3:32b", "nomic-embed-text"]
    with Environment.open(make_env(tmp_path), environ=environ) as environment:
        po = environment["scout"]
        completer = CommandCompleter(Chat(environment, po, po.session_manager.current()))
        for typed in ("/model q", "/model qw", "/model qwen3:3"):
            found = completer.get_completions(Document(typed), CompleteEvent(text_inserted=True))
            assert [each.text for each in found] == (["qwen3:8b", "qwen3:32b"] if ":" not in typed else ["qwen3:32b"])
    listings = [each for each in openai_server.received if each.path == "/v1/models"]
    assert len(listings) == 2  # for the first model of the server, and for the offers


def test_a_longer_command_is_not_an_argument_of_a_shorter_one(complete: Offer) -> None:
    assert set(complete("/session ne")) == {"/session new "}
