"""`/request` and `/why-uncached`: what was sent, and why the server's cache did not help."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import Document, Table
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import NotFound, UsageError
from tests.support.environments import make_env
from tests.support.openai_server import OpenAIServer, calls, text

PRICES = "models: {default: {model: m, base_url: '%s', prices: {prompt: 100, cached: 50, completion: 0}}}\n"
BOSS = "name: boss\ncapabilities: [{po: scout, context: continue}]\nprompt: %s\n"


def usage(prompt: int, cached: int) -> dict[str, object]:
    return {"prompt_tokens": prompt, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": cached}}


@pytest.fixture
def env_dir(tmp_path: Path, openai_server: OpenAIServer) -> Path:
    env_dir = make_env(tmp_path, {"boss": BOSS % "Ask.", "scout": "name: scout\nprompt: Look.\n"})
    (env_dir / "environment.yaml").write_text(PRICES % openai_server.base_url)
    return env_dir


@pytest.fixture
async def chat(env_dir: Path) -> AsyncIterator[Chat]:
    async with Environment.open(env_dir, environ={}, trust=True) as environment:
        po = environment["boss"]
        yield Chat(environment, po, po.session_manager.current())


def rows_of(chat: Chat, line: str) -> list[tuple[str, ...]]:
    table = commands.run(chat, line)
    assert isinstance(table, Table)
    return [(row[0], *row[2:]) for row in table.rows]


async def test_a_request_is_shown_as_json_by_default_the_last(chat: Chat, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."), text("Two."))
    await chat.send("Hello")
    await chat.send("Again")
    for line, number in (("/request", 2), ("/request 1", 1)):
        shown = commands.run(chat, line)
        assert isinstance(shown, Document)
        heading, _, body = shown.markdown.partition("\n\n```json\n")
        assert heading == f"Request for answer {number} of Default:"
        assert json.loads(body.removesuffix("\n```")) == openai_server.received[number - 1].body
    with pytest.raises(NotFound, match="There is no answer 3"):
        commands.run(chat, "/request 3")


async def test_lost_tokens_and_money_are_shown_for_a_tree_and_after_a_restart(
    chat: Chat, env_dir: Path, openai_server: OpenAIServer
) -> None:
    ask = calls(("scout", {"message": "Look"}))
    ask_with = [ask, text("Seen.", usage=usage(500, 0)), text("Done.", usage=usage(1100, 1000))]
    openai_server.script(*ask_with, text("Yes.", usage=usage(1200, 0)))
    await chat.send("Hello")
    (env_dir / "objects" / "boss.yaml").write_text(BOSS % "Ask kindly.")
    await chat.send("Sure?")
    expected = [
        ("1", "12", "8", "", "first request of the session"),
        ("2", "1,100", "1,000", "0 ($0.0000)", "nothing"),
        ("3", "1,200", "0", "1,100 ($0.0550)", "the prompt of boss changed at line 1"),
        ("1", "500", "0", "", "first request of the session"),
        ("", "", "", "1,100 ($0.0550)", "in all"),
    ]
    assert rows_of(chat, "/why-uncached") == expected
    table = commands.run(chat, "/why-uncached")
    assert isinstance(table, Table)
    assert table.sections == {3: "Default (boss) of scout"}
    async with Environment.open(env_dir, environ={}, trust=True) as environment:
        again = Chat(environment, environment["boss"], environment["boss"].session_manager.current())
        assert rows_of(again, "/why-uncached Default") == expected
        assert rows_of(again, "/why-uncached Default --answer 3")[0] == expected[2]
        assert rows_of(again, "/why-uncached --answer=2")[0] == expected[1]
        assert rows_of(again, "/why-uncached --answer 1")[:2] == [expected[0], expected[3]]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("/why-uncached --answer", "--answer needs a number"),
        ("/why-uncached --answer x", "'x' is not a whole number"),
        ("/why-uncached --answer 9", "There is no answer 9"),
        ("/request x", "'x' is not a whole number"),
    ],
)
async def test_wrong_arguments_are_refused(chat: Chat, line: str, problem: str) -> None:
    with pytest.raises((UsageError, NotFound), match=problem):
        commands.run(chat, line)


async def test_a_session_of_an_older_version_has_nothing_to_show(chat: Chat) -> None:
    chat.session.append({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"})
    chat.session.append({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"})
    with pytest.raises(NotFound, match="not recorded"):
        commands.run(chat, "/request")
    assert [row[-1] for row in rows_of(chat, "/why-uncached")][1] == "not recorded"
