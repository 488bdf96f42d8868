"""A fault of a server affects only the call, and no secret appears in messages."""

import asyncio
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError
from tests.support.mcp_servers import using
from tests.support.paths import SUPPORT

pytest.importorskip("mcp")

RAW = str(SUPPORT / "mcp_raw_server.py")
SECRET = "sk-top-secret"


def raw(*arguments: str, timeout: float = 300) -> dict[str, ServerConfig]:
    return {"example": ServerConfig(command=sys.executable, args=(RAW, *arguments), timeout=timeout)}


async def test_a_call_without_a_response_times_out_after_a_notice(tmp_path: Path) -> None:
    async with using(tmp_path, raw("silent", timeout=0.6)) as turn, asyncio.timeout(20):
        tools = await turn.tools()
        with pytest.raises(ToolError, match=r"did not respond within 0\.6 seconds; whether the call took effect"):
            await tools["example_get"].run({}, turn.context)
        assert turn.notices() == ["Still waiting for 'get' of the MCP server example; a call may take 0.6 s."]


async def test_a_response_that_cannot_be_read_fails_the_call_but_not_the_server(tmp_path: Path) -> None:
    async with using(tmp_path, raw("half")) as turn, asyncio.timeout(20):
        tools = await turn.tools()
        for notices in (["The MCP server example sent something that cannot be read."], []):
            with pytest.raises(ToolError, match="sent a response that cannot be read"):
                await tools["example_get"].run({}, turn.context)
            assert turn.notices() == notices


async def test_other_output_of_a_server_fails_no_call(tmp_path: Path) -> None:
    async with using(tmp_path, raw("chatty")) as turn, asyncio.timeout(20):
        assert await turn.call("example_get") == "ok"
        assert turn.notices() == ["The MCP server example sent something that cannot be read."]


async def test_only_the_tool_with_a_faulty_description_is_left_out(tmp_path: Path) -> None:
    async with using(tmp_path, raw("faulty")) as turn, asyncio.timeout(20):
        assert list(await turn.tools()) == ["example_get"]
        problem = "describes its tool 'other', and 1 more, in a way that cannot be used; they are left out."
        assert turn.notices() == [f"The MCP server example {problem}"]
        assert await turn.call("example_get") == "ok"
        assert turn.notices() == []


@pytest.mark.parametrize(
    "tool",
    [
        '{"name": "other", "inputSchema": {"type": "object", "properties": {"x": {"maximum": NaN}}}}',
        '{"name": "other", "inputSchema": {"type": "object", "properties": {"x": {"maximum": 1e999}}}}',
        '{"name": "other", "inputSchema": {"type": "object", "properties": {"\\ud800": {}}}}',
        '{"name": "other", "description": "\\udfff", "inputSchema": {"type": "object"}}',
        '{"name": "other", "inputSchema": {"type": "object", "properties": %s}}' % ('{"x": ' * 150 + "1" + "}" * 150),
        '{"name": "other", "inputSchema": {"type": "object", "properties": %s}}' % ('{"x": ' * 400 + "1" + "}" * 400),
        '{"name": "other", "inputSchema": {"type": "object", "description": "%s"}}' % ("x" * 50_000),
    ],
    ids=["no number", "infinite", "half a key", "half a description", "deep", "too deep to read", "long"],
)
async def test_a_tool_that_cannot_be_sent_to_models_is_left_out(tmp_path: Path, tool: str) -> None:
    async with using(tmp_path, raw("listing", tool)) as turn, asyncio.timeout(20):
        tools = await turn.tools()
        assert list(tools) == ["example_get"]
        assert turn.notices() == [
            "The MCP server example describes its tool 'other' in a way that cannot be used; it is left out."
        ]
        assert await tools["example_get"].run({}, turn.context) == "ok"


async def test_an_excess_of_tools_is_left_out_with_a_notice(tmp_path: Path) -> None:
    async with using(tmp_path, raw("many")) as turn, asyncio.timeout(20):
        assert len(await turn.tools()) == 500
        assert turn.notices() == ["The MCP server example offers more than 500 tools; the others are left out."]


async def test_a_list_that_cannot_be_read_is_not_reported_as_a_call(tmp_path: Path) -> None:
    async with using(tmp_path, raw("half a list")) as turn, asyncio.timeout(20):
        assert await turn.tools() == {}
        assert turn.notices() == [
            "The MCP server example sent something that cannot be read.",
            "example sent a response that cannot be read.",
        ]


async def test_an_error_without_an_id_fails_the_call(tmp_path: Path) -> None:
    async with using(tmp_path, raw("nobody")) as turn, asyncio.timeout(20):
        with pytest.raises(ToolError, match="sent a response that cannot be read; whether the call took effect"):
            await turn.call("example_get")


@pytest.mark.parametrize(
    "value",
    ["\ud800", {"\udfff": 1}, float("nan"), float("inf"), json.loads("[" * 101 + "]" * 101)],
    ids=["half a pair", "half a key", "no number", "infinite", "deep"],
)
async def test_arguments_that_are_not_valid_json_are_refused_before_they_are_sent(
    tmp_path: Path, value: object
) -> None:
    async with using(tmp_path, raw()) as turn, asyncio.timeout(20):
        tools = await turn.tools()
        for _ in range(2):
            with pytest.raises(ToolError, match="The arguments cannot be sent"):
                await tools["example_get"].run({"a": value}, turn.context)
        assert await tools["example_get"].run({}, turn.context) == "ok"
        assert turn.notices() == []


async def test_a_huge_result_is_cut(tmp_path: Path) -> None:
    async with using(tmp_path, raw("huge")) as turn, asyncio.timeout(20):
        result = await turn.call("example_get")
    assert len(result) < 10_000_100
    assert result.endswith("\n[truncated: the server sent 11,000,000 characters]")


# Secrets


@pytest.fixture
def refusing() -> Iterator[str]:
    """The URL of a service that refuses every request."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/mcp"
        server.shutdown()


@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\0", f"{SECRET}\x1b[2J"])
@pytest.mark.parametrize(
    "config",
    [
        ServerConfig(command=sys.executable, args=("${KEY}",)),
        ServerConfig(command=sys.executable, env={"KEY": "${KEY}"}),
        ServerConfig(url="http://127.0.0.1:9/", headers={"Authorization": "Bearer ${KEY}"}),
    ],
    ids=["argument", "variable", "header"],
)
async def test_a_value_with_a_control_character_is_refused_with_the_variable_name(
    tmp_path: Path, config: ServerConfig, value: str
) -> None:
    async with using(tmp_path, {"example": config}, KEY=value) as turn:
        assert await turn.tools() == {}
        (notice,) = turn.notices()
    assert "the environment variable KEY contains a line break or another control character" in notice
    assert SECRET not in notice


async def test_an_invalid_header_value_is_reported_with_the_variable_name(tmp_path: Path) -> None:
    config = ServerConfig(url="http://127.0.0.1:9/", headers={"Authorization": "Bearer ${KEY}"})
    async with using(tmp_path, {"example": config}, KEY=f"{SECRET}…") as turn:
        assert await turn.tools() == {}
        assert "the environment variable KEY contains characters that a header cannot have" in turn.notices()[0]


async def test_notices_do_not_contain_values_of_variables(tmp_path: Path, refusing: str) -> None:
    configs = {
        "program": ServerConfig(command="./${KEY}/x"),
        "speaker": ServerConfig(command=sys.executable, args=("-c", "import sys; sys.exit('bad ${KEY}')")),
        "service": ServerConfig(url=f"{refusing}?key=${{KEY}}"),
        "port": ServerConfig(url="http://127.0.0.1:${KEY}/"),
    }
    async with using(tmp_path, configs, KEY=SECRET) as turn:
        for name in configs:
            await turn.tools(name=name)
        notices = turn.notices()
    assert len(notices) == len(configs)
    assert SECRET not in "".join(notices)
    assert "bad ***" in notices[1]


async def test_errors_for_the_model_do_not_contain_values_of_variables(tmp_path: Path) -> None:
    async with using(tmp_path, raw("error", "${KEY}"), KEY=SECRET) as turn:
        with pytest.raises(ToolError, match=r"example: no entry with \*\*\*"):
            await turn.call("example_get")
