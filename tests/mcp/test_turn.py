"""Prompt objects use tools of servers in turns like other tools."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import DefinitionError
from prompt_objects.runtime.events import Notice, TurnStarted
from prompt_objects.runtime.interaction import ApprovalRequest, Decision
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.decorator import tool
from tests.support.environments import make_env
from tests.support.interaction import Answers
from tests.support.mcp_servers import SERVER, is_gone, until
from tests.support.strict_protocol import violations

pytest.importorskip("mcp")

OBJECTS = {
    "clerk": "name: clerk\ncapabilities: [{mcp: example, approval: always}]\nprompt: Count.\n",
    "guest": "name: guest\ncapabilities: [{mcp: example, tools: [add]}]\nprompt: Count.\n",
    "head": "name: head\ncapabilities: [guest, {mcp: example, approval: never}]\nprompt: Ask.\n",
}


@asynccontextmanager
async def opened(
    folder: Path, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch, *, trusted: bool = True, **options: Any
) -> AsyncIterator[Environment]:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("HOME", str(folder))
    make_env(folder, OBJECTS)
    config = f"mcp_servers:\n  example:\n    command: {sys.executable}\n    args: ['{SERVER}']\n"
    (folder / "environment.yaml").write_text(config)
    monkeypatch.delenv("PROMPT_OBJECTS_TRUST")
    async with Environment.open(folder, llm=llm, trust=trusted, **options) as env:
        yield env


async def test_a_server_is_used_in_a_turn_and_ends_with_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = ScriptedLLM([calls(("example_add", {"a": 2, "b": 3}), ("example_look_around", {})), "Five."])
    async with opened(tmp_path, llm, monkeypatch) as env:
        reply = await env["clerk"].receive("Add")
        history = list(reply.session.history)
        assert [message["role"] for message in history] == ["user", "assistant", "tool", "tool", "assistant"]
        assert history[2]["content"] == "5"
        pid, folder = history[3]["content"].split()
        assert folder == str(tmp_path)
        assert not violations(history)
        assert not is_gone(int(pid))
    await until(lambda: is_gone(int(pid)), 3)


async def test_tools_of_servers_need_approval_unless_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ApprovalRequest] = []

    async def ask(question: ApprovalRequest) -> Decision:
        asked.append(question)
        return "once"

    llm = ScriptedLLM([calls(("example_add", {"a": 2, "b": 3})), "Five."])
    async with opened(tmp_path, llm, monkeypatch) as env:
        env.interaction.handler = Answers(approve=ask)
        reply = await env["guest"].receive("Add")
        assert reply.session.history[3]["content"] == "5"
        assert [(question.tool, question.effect, question.path) for question in asked] == [
            ("example_add", "execute", ("guest",))
        ]


async def test_a_delegate_has_no_more_authority_than_its_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adding = calls(("example_add", {"a": 2, "b": 3}))
    llm = ScriptedLLM([calls(("guest", {"message": "Add"})), adding, "No.", "It may not."])
    async with opened(tmp_path, llm, monkeypatch) as env:
        await env["head"].receive("Add")
        (child,) = env["guest"].session_manager.list()
        history = env.session_manager.get(child.id).history
        assert history[2]["content"] == "Error: example_add is not allowed here."


@pytest.mark.parametrize(("is_one_of_the_environments", "result"), [(True, "no user can be asked"), (False, "5")])
async def test_allowing_a_local_tool_does_not_allow_a_servers_tool_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_one_of_the_environments: bool, result: str
) -> None:
    @tool(effect="write")
    def example_add(a: int, b: int) -> int:
        """Add."""
        return a + b

    llm = ScriptedLLM([calls(("example_add", {"a": 2, "b": 3})), "Five."])
    own = [example_add] if is_one_of_the_environments else []
    async with opened(tmp_path, llm, monkeypatch, allow=["example_add"], tools=own) as env:
        reply = await env["guest"].receive("Add")
        assert result in str(reply.session.history[2]["content"])


async def test_an_untrusted_server_does_not_start_and_the_turn_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, ScriptedLLM(["Hello."]), monkeypatch, trusted=False) as env:
        events = [event async for event in env["clerk"].stream("Hi")]
        (notice,) = [event.text for event in events if isinstance(event, Notice)]
        assert notice.endswith("has not trusted it in its present state. Run: prompt-objects trust")
        assert [message["role"] for message in env["clerk"].session_manager.current().history] == [
            "user",
            "assistant",
        ]


async def test_notices_about_servers_belong_to_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = ScriptedLLM([calls(("guest", {"message": "Add"})), "I cannot.", "It cannot."])
    async with opened(tmp_path, llm, monkeypatch, trusted=False) as env:
        events = [event async for event in env["head"].stream("Add")]
    turns = {event.path: event for event in events if isinstance(event, TurnStarted)}
    notices = {event.path: event for event in events if isinstance(event, Notice)}
    assert set(notices) == set(turns) == {("head",), ("head", "guest")}
    for path, notice in notices.items():
        of = turns[path]
        assert (notice.run, notice.root, notice.parent) == (of.run, of.root, of.parent)
        assert notice.session_id == of.session_id
    assert notices["head", "guest"].parent == turns["head",].run


async def test_the_message_is_saved_before_waiting_for_a_server_and_the_wait_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, ScriptedLLM([]), monkeypatch, trusted=False) as env:
        slow = (
            f"mcp_servers:\n  example: {{command: {sys.executable}, args: ['-c', 'import time; time.sleep(60)']}}\n"
        )
        (tmp_path / "environment.yaml").write_text(slow)
        async with Environment.open(tmp_path, llm=ScriptedLLM([]), trust=True) as slow_env:
            turn = asyncio.create_task(slow_env["clerk"].receive("Hi"))
            sessions = env["clerk"].session_manager
            await until(lambda: [info.message_count for info in sessions.list()] == [1])
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(turn, 5)


def test_an_unknown_server_is_an_error_of_the_definition(tmp_path: Path) -> None:
    make_env(tmp_path, OBJECTS)
    (tmp_path / "environment.yaml").write_text("mcp_servers: {exampel: {command: python}}\n")
    with (
        Environment.open(tmp_path) as env,
        pytest.raises(DefinitionError, match="there is no such MCP server") as caught,
    ):
        _ = env["clerk"].definition
    assert "exampel" in caught.value.hint
