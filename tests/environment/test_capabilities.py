"""Capabilities are resolved when a turn starts."""

from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import DefinitionError
from prompt_objects.runtime.events import Event
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from prompt_objects.tools.decorator import tool
from tests.support.environments import open_env

WEATHER = {
    "scout": "name: scout\ncapabilities: [{tool: weather}]\nprompt: Look.\n",
    "weather": "name: weather\nprompt: You make weather.\n",
}


def weather_tool() -> Tool:
    @tool
    def weather() -> str:
        """Tell the weather."""
        return "rain, says the tool"

    return weather


async def test_a_tool_is_called_even_if_a_prompt_object_has_its_name(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("weather", {})), "Rain."])
    async with open_env(tmp_path, llm, WEATHER, tools=[weather_tool()]) as env:
        reply = await env["scout"].receive("Go")
        assert "says the tool" in reply.session.history[2]["content"]
        assert env["weather"].session_manager.list() == []


async def test_a_tool_that_is_gone_does_not_become_a_delegation(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM(), WEATHER, tools=[weather_tool()]) as env:
        known = env.catalog["scout"]
    llm = ScriptedLLM()
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        with pytest.raises(DefinitionError, match="Capability 'weather': there is no such tool"):
            env.capabilities.local_tools(known)
        with pytest.raises(DefinitionError, match="there is no such tool"):
            await env["scout"].receive("Go")
    assert llm.requests == []


async def test_message_is_saved_before_capabilities_are_loaded(tmp_path: Path) -> None:
    class Remover:
        def put(self, event: Event) -> None:
            (tmp_path / "objects" / "scout.yaml").unlink(missing_ok=True)

    async with open_env(tmp_path, ScriptedLLM()) as env:
        session = env["boss"].session_manager.create()
        env.bus.add_subscriber(Remover())
        with pytest.raises(DefinitionError, match="Capability 'scout'"):
            await env["boss"].receive("A long text", session=session)
        assert [message["content"] for message in env.session_manager.get(session.id).history] == ["A long text"]


async def test_a_definition_changed_to_a_missing_tool_delegates_no_more(tmp_path: Path) -> None:
    env_dir = {**WEATHER, "scout": WEATHER["scout"].replace("tool:", "po:")}
    llm = ScriptedLLM([calls(("weather", {"message": "Rain"})), "It rains.", "Rain."])
    async with open_env(tmp_path, llm, env_dir) as env:
        await env["scout"].receive("Go")
        (tmp_path / "objects" / "scout.yaml").write_text(WEATHER["scout"])
        with pytest.raises(DefinitionError, match="there is no such tool") as raised:
            await env["scout"].receive("Go on")
        assert (raised.value.line, raised.value.column) == (2, 23)
        assert len(env["weather"].session_manager.list()) == 1
    assert len(llm.requests) == 3


async def test_a_prompt_object_that_is_removed_before_a_turn_has_its_tools_is_an_error_at_its_place(
    tmp_path: Path,
) -> None:
    async with open_env(tmp_path, ScriptedLLM()) as env:
        definition = env["boss"].definition
        (tmp_path / "objects" / "scout.yaml").unlink()
        with pytest.raises(DefinitionError, match="Capability 'scout': there is no such tool or prompt object"):
            env.capabilities.local_tools(definition)
