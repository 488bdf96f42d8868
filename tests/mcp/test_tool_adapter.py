"""Tools of MCP servers: names, patterns, results, errors and cancellation."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from prompt_objects.config.definition import Capability
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.config.yaml.document import TOP
from prompt_objects.errors import ToolError
from tests.support.mcp_servers import EXAMPLE, Turn, until, using
from tests.support.paths import SUPPORT

pytest.importorskip("mcp")
pytestmark = pytest.mark.asyncio(loop_scope="module")


BELIEVED = ServerConfig(command=EXAMPLE.command, args=EXAMPLE.args, trust_hints=True)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Turn]:
    async with using(tmp_path_factory.mktemp("home"), {"example": EXAMPLE, "believed": BELIEVED}) as turn:
        yield turn


@pytest.fixture
def turn(shared: Turn) -> Turn:
    shared.notices()
    return shared


async def test_tools_of_a_server_are_called_like_other_tools(turn: Turn, tmp_path: Path) -> None:
    tools = await turn.tools()
    add = tools["example_add"]
    assert add.description == "Add two numbers."
    assert add.parameters["required"] == ["a", "b"]
    assert await add.run({"a": 2, "b": 3}, turn.context) == "5"
    assert list(tools) == sorted(tools)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in tools)
    assert await tools[next(name for name in tools if "odd_name" in name)].run({}, turn.context) == "odd"
    assert turn.notices() == []


async def test_a_server_starts_once_on_demand_in_the_folder(turn: Turn, tmp_path: Path) -> None:
    results = await asyncio.gather(*(turn.call("example_look_around") for _ in range(3)))
    assert len(set(results)) == 1
    assert results[0].endswith(f" {turn.context.folder}")


async def test_patterns_select_tools_and_a_pattern_without_a_match_gives_a_notice(turn: Turn, tmp_path: Path) -> None:
    assert list(await turn.tools("look_*", "add")) == ["example_add", "example_look_around", "example_look_up"]
    assert turn.notices() == []
    assert list(await turn.tools("add", "Look_*")) == ["example_add"]
    assert turn.notices() == ["The MCP server example has no tool that matches 'Look_*'."]


async def test_a_tool_with_a_taken_name_is_left_out_with_a_notice(turn: Turn, tmp_path: Path) -> None:
    assert list(await turn.tools("add", "crash", taken=["example_add"])) == ["example_crash"]
    assert "already a tool called 'example_add'" in turn.notices()[0]


async def test_results_are_text_and_other_content_is_named(turn: Turn, tmp_path: Path) -> None:
    assert await turn.call("example_show") == (
        "first\n[image: image/png, 3,000 bytes, which cannot be shown]\n[resource: file:///a.txt, a]\n"
        "[resource: note://1, with the content:\nremember]\nlast"
    )


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            {"content": [{"type": "text", "text": "one"}, {"type": "video", "data": "x"}]},
            'one\n[content of an unknown kind: {"type": "video", "data": "x"}]',
        ),
        (
            {"content": [{"type": "note", "text": "two"}, "three", {"type": "image"}]},
            'two\nthree\n[content of an unknown kind: {"type": "image"}]',
        ),
        ({"content": "four"}, "four"),
        ({"structuredContent": {"five": 5}}, '{"five": 5}'),
        ({"content": [], "structuredContent": {"six": 6}}, '{"six": 6}'),
        ({"content": [{"type": "text", "text": ""}], "structuredContent": {"seven": 7}}, '{"seven": 7}'),
        ({"content": None}, "(empty result)"),
    ],
    ids=["unknown", "malformed", "text", "structured", "structured and empty", "structured and blank", "nothing"],
)
async def test_no_content_is_dropped(tmp_path: Path, result: object, text: str) -> None:
    raw = ServerConfig(
        command=sys.executable, args=(str(SUPPORT / "mcp_raw_server.py"), "result", json.dumps(result))
    )
    async with using(tmp_path, {"example": raw}) as turn:
        assert await turn.call("example_get") == text


async def test_a_failure_of_a_tool_is_an_error_for_the_model_only(turn: Turn, tmp_path: Path) -> None:
    tools = await turn.tools()
    with pytest.raises(ToolError, match="there is no such thing"):
        await tools["example_fail"].run({}, turn.context)
    with pytest.raises(ToolError, match="valid integer"):
        await tools["example_add"].run({"a": "x", "b": 1}, turn.context)
    assert await tools["example_add"].run({"a": 1, "b": 1}, turn.context) == "2"


async def test_cancelling_a_call_notifies_the_server_and_does_not_affect_other_calls(
    turn: Turn, tmp_path: Path
) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    calls = [
        turn.started("example_wait", seconds=seconds, file=str(file))
        for seconds, file in zip((60, 1), files, strict=True)
    ]
    await until(lambda: all(file.exists() for file in files))
    calls[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[0]
    await until(lambda: files[0].read_text() == "cancelled")
    assert await calls[1] == "waited"
    assert await turn.call("example_add", a=1, b=1) == "2"


async def test_hints_of_a_server_count_only_if_they_are_trusted(turn: Turn) -> None:
    capabilities = [Capability(kind="mcp", name=name, at=TOP) for name in ("example", "believed")]
    offers = await turn.servers.tools(capabilities, turn.context)
    effects = {tool.name: tool.effect for _, tool in offers}
    assert effects["example_look_up"] == effects["example_add"] == effects["believed_add"] == "execute"
    assert effects["believed_look_up"] == "read"
    assert {capability.name for capability, _ in offers} == {"example", "believed"}
