"""Requests extend the previous ones; if one does not, the first difference and its cost are reported."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import Table, Text
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import BrokenStream
from prompt_objects.runtime.events import ToolCallStarted
from prompt_objects.sessions.prompt_cache import FIRST, cache_reports
from tests.support.environments import make_env
from tests.support.openai_server import OpenAIServer, calls, chunk, stream, text

SCOUT = "name: scout\ncapabilities: [{capabilities}]\nprompt: |\n  You look.\n  {line}\n"
BOSS = "name: boss\ncapabilities: [{po: scout, context: continue}]\nprompt: You ask.\n"


def scout(line: str = "Be brief.", capabilities: str = "list_files, read_file") -> str:
    return SCOUT.format(line=line, capabilities=capabilities)


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    return make_env(tmp_path, {"scout": scout(), "boss": BOSS})


def open_at(env_dir: Path, server: OpenAIServer) -> Environment:
    return Environment.open(env_dir, model="small", environ={"OPENAI_BASE_URL": server.base_url})


def changes(env: Environment) -> list[str]:
    """Return the changes between all requests; the first has none before it."""
    first, *others = cache_reports(env["scout"].session_manager.current())
    assert first.change == FIRST
    return [report.change for report in others]


def bodies(server: OpenAIServer) -> list[dict[str, Any]]:
    return [received.body for received in server.received]


def extends(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Return whether a request starts with all bytes of another: the same tools and messages."""
    tools = json.dumps(after["tools"]) == json.dumps(before["tools"])
    return tools and json.dumps(after["messages"]).startswith(json.dumps(before["messages"]).removesuffix("]"))


async def test_each_request_extends_the_previous_one(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(
        calls(("list_files", {}), ("read_file", {"path": "no\udcffe"}), content="Looking."),
        calls(("list_files", {"path": "x"})),
        text("Found."),
        text("Yes."),
    )
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Look")
    async with open_at(env_dir, openai_server) as env:  # the same in another process
        await env["scout"].receive("Sure?")
    sent = bodies(openai_server)
    assert len(sent) == 4
    assert all(extends(before, after) for before, after in pairwise(sent))


async def test_steering_message_follows_the_messages_already_sent(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(calls(("list_files", {})), text("Found."), text("Yes."))
    async with open_at(env_dir, openai_server) as env:
        async for event in env["scout"].stream("Look"):
            if isinstance(event, ToolCallStarted):
                assert next(iter(env.active_turns)).steer("And be quick")
        await env["scout"].receive("Sure?")
        assert changes(env) == ["", ""]
    first, second, third = bodies(openai_server)
    assert second["messages"][-1]["content"] == "And be quick"
    assert extends(first, second)
    assert extends(second, third)


async def test_continued_delegation_keeps_its_prefix(env_dir: Path, openai_server: OpenAIServer) -> None:
    ask = calls(("scout", {"message": "Look"}))
    openai_server.script(ask, text("One."), ask, text("Two."), text("Done."))
    async with open_at(env_dir, openai_server) as env:
        await env["boss"].receive("Go")
    boss_1, scout_1, boss_2, scout_2, boss_3 = bodies(openai_server)
    assert extends(boss_1, boss_2)
    assert extends(boss_2, boss_3)
    assert extends(scout_1, scout_2)


async def test_changed_line_of_the_prompt_is_named(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."), text("Two."), text("Three."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Look")
        (env_dir / "objects" / "scout.yaml").write_text(scout("Be very brief."))
        await env["scout"].receive("Again")
        await env["scout"].receive("And again")
        assert changes(env) == ["the prompt of scout changed at line 2", ""]


@pytest.mark.parametrize(
    ("capabilities", "change"),
    [
        ("list_files, read_file, search_files", "the tool search_files was added"),
        ("list_files", "the tool read_file was removed"),
        ("read_file, list_files", "the order of the tools changed"),
        ("search_files, write_file", "the tools search_files, write_file were added, "),
    ],
)
async def test_changed_tools_are_named(
    env_dir: Path, openai_server: OpenAIServer, capabilities: str, change: str
) -> None:
    openai_server.script(text("One."), text("Two."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Look")
        (env_dir / "objects" / "scout.yaml").write_text(scout(capabilities=capabilities))
        await env["scout"].receive("Again")
        assert changes(env)[0].startswith(change)


async def test_changed_model_is_named(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."), text("Two."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Look")
        env.models.select("large", env["scout"].definition)
        await env["scout"].receive("Again")
        assert changes(env)[0].startswith("the model changed from ")


async def test_retry_alone_keeps_the_prefix(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."), text("Two."), text("Three."), text("Four."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Look")
        await env["scout"].receive("Again")
        await env["scout"].retry()
        await env["scout"].receive("And again")
        assert changes(env) == ["", "", ""]


async def test_interrupted_retry_keeps_the_prefix(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(calls(("list_files", {})), text("One."), stream(chunk({"content": "Half"}), end="cut"))
    openai_server.script(text("Two."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Look")
        with pytest.raises(BrokenStream):
            await env["scout"].retry()
        await env["scout"].receive("Again")
        assert changes(env) == ["", "", ""]  # both requests began with the same message


async def test_final_request_has_no_tools(env_dir: Path, openai_server: OpenAIServer) -> None:
    (env_dir / "objects" / "scout.yaml").write_text(scout() + "limits: {requests: 1}\n")
    openai_server.script(calls(("list_files", {})), text("Enough."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Look")
        assert changes(env) == ["the tools list_files, read_file were removed"]


# A definition that changes during a turn


async def test_turn_keeps_its_definition_and_its_delegates_get_the_new_one(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    ask = calls(("scout", {"message": "Look"}))
    openai_server.script(ask, text("One."), ask, text("Two."), text("Done."), text("Anew."))

    def change_both(_text: str) -> None:
        (env_dir / "objects" / "scout.yaml").write_text(scout("Be kind."))
        (env_dir / "objects" / "boss.yaml").write_text(BOSS.replace("You ask.", "You ask kindly."))

    async with open_at(env_dir, openai_server) as env:
        async for event in env["boss"].stream("Go"):
            if len(openai_server.received) == 2 and event.po_name == "scout":
                change_both(event.po_name)
        await env["boss"].receive("Again")
    prompts = [body["messages"][0]["content"] for body in bodies(openai_server)]
    assert prompts == [
        "You ask.",
        "You look.\nBe brief.",
        "You ask.",
        "You look.\nBe kind.",
        "You ask.",
        "You ask kindly.",
    ]


async def test_running_turn_keeps_its_prompt_and_tools_when_its_file_changes(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    openai_server.script(calls(("list_files", {})), text("Found."), text("Anew."))
    async with open_at(env_dir, openai_server) as env:
        async for event in env["scout"].stream("Look"):
            if event.path and len(openai_server.received) == 1:
                (env_dir / "objects" / "scout.yaml").write_text(scout("Be kind.", "list_files"))
        await env["scout"].receive("Again")
    first, second, third = bodies(openai_server)
    assert extends(first, second)
    assert third["messages"][0]["content"] == "You look.\nBe kind."
    assert len(third["tools"]) == 1


# The command


async def test_why_uncached_shows_each_request_with_its_token_counts(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    openai_server.script(text("One."), text("Two.", usage=None))
    async with open_at(env_dir, openai_server) as env:
        po = env["scout"]
        chat = Chat(env, po, po.session_manager.current())
        assert commands.run(chat, "/why-uncached") == Text("Default has no answers yet.")
        await chat.send("Look")
        (env_dir / "objects" / "scout.yaml").write_text(scout("Be very brief."))
        await chat.send("Again")
        table = commands.run(chat, "/why-uncached Default")
        assert isinstance(table, Table)
        assert table.columns == ("answer", "asked", "tokens", "cached", "lost", "what changed")
        assert table.rows == [
            ("1", "just now", "12", "8", "", FIRST),
            ("2", "just now", "not reported", "not reported", "", "the prompt of scout changed at line 2"),
            ("", "", "", "", "0", "in all"),
        ]
