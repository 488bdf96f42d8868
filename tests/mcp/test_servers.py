"""MCP servers start, fail and restart, with notices to the user."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from prompt_objects.config.definition import Capability
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.config.yaml.document import TOP
from prompt_objects.errors import ToolError
from prompt_objects.mcp.servers import Servers
from prompt_objects.runtime.events import EventBus
from tests.support.mcp_servers import EXAMPLE, SERVER, context_in, is_gone, until, using, wait_until
from tests.support.paths import SUPPORT

pytest.importorskip("mcp")

RAW = str(SUPPORT / "mcp_raw_server.py")
SILENT = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["method"] == "initialize":
        info = {"name": "silent", "version": "1"}
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
    elif request["method"] == "server/discover":
        error = {"code": -32601, "message": "Method not found"}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}), flush=True)
"""


async def test_a_program_gets_only_the_configured_variables(tmp_path: Path) -> None:
    config = ServerConfig(command=sys.executable, args=("${SCRIPT}",), env={"TOKEN": "a-${SECRET}"})
    async with using(tmp_path, {"example": config}, SCRIPT=SERVER, SECRET="b", OPENAI_API_KEY="c") as turn:
        assert await turn.call("example_look_up", name="TOKEN") == "a-b"
        assert await turn.call("example_look_up", name="OPENAI_API_KEY") == "(not set)"


async def test_cancelling_the_first_caller_does_not_stop_the_start(tmp_path: Path) -> None:
    async with using(tmp_path) as turn:
        first, second = (asyncio.create_task(turn.tools("add")) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        assert list(await second) == ["example_add"]


def test_each_event_loop_has_its_own_servers(tmp_path: Path) -> None:
    servers, pids = Servers({"example": EXAMPLE}, tmp_path, {}, lambda _: True), []

    async def use() -> None:
        capability = Capability(kind="mcp", name="example", tools=("look_around",), at=TOP)
        context = context_in(tmp_path, EventBus())
        ((_, tool),) = await servers.tools([capability], context)
        pids.append(int((await tool.run({}, context)).split()[0]))

    for _ in range(3):  # more often than a failed server would be started
        asyncio.run(use())
        wait_until(lambda: is_gone(pids[-1]), 2)
    assert len(set(pids)) == 3


# Failures


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (ServerConfig(command="no-such-program"), "no-such-program cannot be run: No such file or directory"),
        (ServerConfig(command="x", env={"A": "${NOT_SET}"}), "the environment variable NOT_SET is not set."),
        (ServerConfig(command=sys.executable, args=("-c", "import sys; sys.exit('no, thanks')")), "no, thanks"),
        (ServerConfig(url="http://127.0.0.1:9/mcp"), "All connection attempts failed"),
    ],
)
async def test_a_server_that_does_not_start_is_reported_and_others_work(
    tmp_path: Path, config: ServerConfig, problem: str
) -> None:
    async with using(tmp_path, {"broken": config, "example": EXAMPLE}) as turn:
        capabilities = [Capability(kind="mcp", name=name, at=TOP) for name in ("broken", "nobody", "example")]
        offers = await turn.servers.tools(capabilities, turn.context)
        assert {capability.name for capability, _ in offers} == {"example"}
        notices = turn.notices()
        assert any(each.startswith("The MCP server broken does not start: ") and problem in each for each in notices)
        assert "There is no MCP server 'nobody' in environment.yaml." in "".join(notices)


async def test_an_older_server_that_ends_at_the_newer_handshake_is_started_with_the_older_one(tmp_path: Path) -> None:
    strict = ServerConfig(command=sys.executable, args=(RAW, "strict"))
    async with using(tmp_path, {"example": strict}) as turn:
        first, second = await asyncio.gather(turn.tools(), turn.tools())
        assert list(first) == list(second) == ["example_get"]
        assert await turn.call("example_get") == "ok"
        assert turn.notices() == []


async def test_a_slow_start_gives_a_notice(tmp_path: Path) -> None:
    code = "import pathlib, time; file = pathlib.Path('again'); file.exists() or (file.touch(), time.sleep(2.2))"
    slow = ServerConfig(command=sys.executable, args=("-c", code))  # it is started twice, since it ends
    async with using(tmp_path, {"example": slow}) as turn:
        assert await turn.tools() == {}
        assert turn.all_notices()[0] == "The MCP server example is still starting."


async def test_a_server_that_does_not_list_its_tools_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "silent.py").write_text(SILENT)
    silent = ServerConfig(command=sys.executable, args=("silent.py",), timeout=1)
    async with using(tmp_path, {"example": silent}) as turn:
        async with asyncio.timeout(10):
            assert await turn.tools() == {}
        assert turn.notices() == ["The MCP server example did not list its tools in time."]


async def test_without_the_package_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    async with using(tmp_path) as turn:
        assert await turn.tools() == {}
        assert "pip install 'prompt-objects[mcp]'" in turn.notices()[0]


async def test_a_server_that_crashes_is_restarted_once_with_a_notice(tmp_path: Path) -> None:
    async with using(tmp_path) as turn:
        tools = await turn.tools()
        with pytest.raises(ToolError, match="whether the call took effect is unknown"):
            await tools["example_crash"].run({}, turn.context)
        assert turn.notices() == [
            "The MCP server example ended unexpectedly: out of luck. It will be started again when it is needed."
        ]
        assert await tools["example_add"].run({"a": 1, "b": 1}, turn.context) == "2"
        with pytest.raises(ToolError):
            await tools["example_crash"].run({}, turn.context)
        assert turn.notices() == ["The MCP server example ended unexpectedly: out of luck. It is not started again."]
        with pytest.raises(ToolError, match="failed 2 times and is not started again"):
            await tools["example_add"].run({"a": 1, "b": 1}, turn.context)
        assert await turn.tools() == {}
        assert "is not started again" in turn.notices()[0]


@pytest.mark.parametrize("message", ["Connection closed", "Session terminated", "SSE stream ended without an answer"])
async def test_an_error_response_is_not_taken_for_a_lost_connection(tmp_path: Path, message: str) -> None:
    async with using(tmp_path) as turn:
        tools = await turn.tools()
        process = await tools["example_look_around"].run({}, turn.context)
        with pytest.raises(ToolError, match=f"^example: {message}$"):
            await tools["example_refuse"].run({"code": -32000, "message": message}, turn.context)
        assert await tools["example_look_around"].run({}, turn.context) == process
        assert turn.notices() == []


async def test_a_server_that_crashed_while_idle_is_restarted_before_the_next_call(tmp_path: Path) -> None:
    async with using(tmp_path) as turn:
        tools = await turn.tools()
        pid = int((await turn.call("example_look_around")).split()[0])
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.3)
        assert await tools["example_add"].run({"a": 1, "b": 1}, turn.context) == "2"
        assert len(turn.notices()) == 1


async def test_running_calls_fail_immediately_when_the_server_crashes(tmp_path: Path) -> None:
    async with using(tmp_path) as turn:
        tools = await turn.tools()
        waiting = turn.started("example_wait", seconds=60, file="began")
        await until((tmp_path / "began").exists)
        with pytest.raises(ToolError):
            await tools["example_crash"].run({}, turn.context)
        with pytest.raises(ToolError, match="was lost before it responded"):
            await asyncio.wait_for(waiting, 3)
        assert len(turn.notices()) == 1
