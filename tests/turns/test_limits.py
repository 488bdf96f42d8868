"""Limits of a message include its delegations."""

import asyncio
from pathlib import Path
from typing import Any

from prompt_objects.environment.environment import Environment
from prompt_objects.llm.base import Request, Usage
from prompt_objects.runtime.context import Context
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from tests.support.environments import open_env
from tests.support.messages import sent_messages
from tests.support.strict_protocol import request_violations
from tests.support.turns import turn_with

LIMITED = {
    "boss": "name: boss\ncapabilities: [scout]\nlimits: {requests: 4}\nprompt: You ask.\n",
    "scout": "name: scout\ncapabilities: [list_files]\nprompt: You look.\n",
}


async def test_requests_of_a_delegate_count_for_its_caller_which_sums_up(tmp_path: Path) -> None:
    look = calls(("list_files", {}))
    llm = ScriptedLLM([calls(("scout", {"message": "Look"})), look, look, look, "All in all: little."])
    async with open_env(tmp_path, llm, LIMITED) as env:
        reply = await env["boss"].receive("Go")
        assert reply.text == "All in all: little."
        assert "boss's limit of 4 requests is reached" in reply.session.history[2]["content"]
        (child,) = env["scout"].session_manager.list()
        assert request_violations(sent_messages("", env.session_manager.get(child.id).history)) == []
        assert len(llm.requests) == 5


async def test_second_delegate_gets_no_new_limit(tmp_path: Path) -> None:
    ask = calls(("scout", {"message": "Look"}))
    llm = ScriptedLLM([ask, "One", ask, "Two", "That is all."])
    async with open_env(tmp_path, llm, LIMITED) as env:
        assert (await env["boss"].receive("Go")).text == "That is all."
        assert not llm.requests[-1].tools


async def test_parallel_delegates_stay_within_the_requests_of_their_caller(tmp_path: Path) -> None:
    def answer(request: Request) -> str | dict[str, Any]:
        if not request.tools:
            return "Enough."
        if any("You ask" in str(m["content"]) for m in request.messages):
            return calls(*[("scout", {"message": f"Look {number}"}) for number in range(8)])
        return calls(("list_files", {}))

    objects = {**LIMITED, "boss": LIMITED["boss"].replace("requests: 4", "requests: 9, parallel: 8")}
    llm = ScriptedLLM([answer for _ in range(30)])
    async with open_env(tmp_path, llm, objects) as env:
        assert (await env["boss"].receive("Go")).text == "Enough."
        assert len(llm.requests) == 10
        for info in env["scout"].session_manager.list():
            assert request_violations(sent_messages("", env.session_manager.get(info.id).history)) == []


async def test_time_limit_stops_running_calls_and_keeps_the_partial_answer(tmp_path: Path) -> None:
    stopped: list[str] = []

    async def dawdle(arguments: dict[str, Any], context: Context) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append("yes")
            raise
        return "never"

    objects = {"scout": "name: scout\nlimits: {seconds: 0.3}\nprompt: Look.\n"}
    tool = Tool("dawdle", "Takes its time", {"type": "object", "properties": {}}, dawdle)
    llm = ScriptedLLM([calls(("dawdle", {})), "Time was short."])
    async with open_env(tmp_path, llm, objects) as env:
        session = env["scout"].session_manager.current()
        reply = await turn_with(env, [tool], session, llm)
        assert reply.text == "Time was short."
        assert stopped == ["yes"]
        assert "scout's limit of 0.3 seconds is reached" in session.history[2]["content"]


async def test_the_cost_of_an_answer_is_kept_with_it(tmp_path: Path) -> None:
    config = (
        "model: cheap\nmodels:\n  cheap: {model: rehearsal, base_url: 'http://127.0.0.1:9/v1', "
        "prices: {prompt: 1, completion: 2}}\n"
    )
    (tmp_path / "environment.yaml").write_text(config)
    async with open_env(tmp_path, ScriptedLLM([]), LIMITED) as env:
        pass
    env = Environment.open(tmp_path, environ={})
    pricing = env.models.connection_for(env["scout"].definition).pricing
    assert pricing(Usage(prompt=1_000_000, completion=500_000)) == 2.0
    await env.disconnect()
    env.close()
