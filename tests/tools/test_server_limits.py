"""Tools stay within what model servers accept."""

from typing import Any

from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.server_limits import within_server_limits


async def run(_arguments: dict[str, Any], _context: Context) -> str:
    return ""


def tools(count: int, description: str = "Looks.") -> dict[str, Tool]:
    names = [f"tool_{number}" for number in range(count)]
    return {name: Tool(name=name, description=description, parameters={}, run=run) for name in names}


def test_tools_within_the_limits_stay_as_they_are() -> None:
    given = tools(128, "x" * 1024)
    assert within_server_limits("scout", given) == (given, [])


def test_tools_beyond_the_limit_are_left_out_with_a_notice() -> None:
    accepted, notices = within_server_limits("scout", tools(135))
    assert list(accepted) == list(tools(128))
    (notice,) = notices
    assert notice.startswith(
        "scout has 135 tools, but model servers accept 128 at most. Left out: tool_128, tool_129,"
    )
    assert notice.endswith("tool_132 and 2 more. Select fewer in its definition.")


def test_long_descriptions_are_shortened_with_a_notice() -> None:
    accepted, notices = within_server_limits("scout", tools(2, "x" * 1025))
    assert {len(tool.description) for tool in accepted.values()} == {1024}
    assert notices == ["Descriptions are shortened to 1,024 characters: tool_0, tool_1."]
