"""What has changed since a session's last answer is told once, and `pin` continues with what was recorded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.environment.recorded import changes_since
from prompt_objects.errors import UsageError
from tests.support.environments import make_env
from tests.support.openai_server import OpenAIServer, calls, status, text

SCOUT = "name: scout\ncapabilities: [list_files, read_file]\nmodel: {use: default, temperature: 0.5}\nprompt: Look.\n"
OTHER = "name: other\ndescription: Others\nprompt: Other.\n"


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    return make_env(tmp_path, {"scout": SCOUT, "other": OTHER})


def open_at(env_dir: Path, server: OpenAIServer, model: str = "small", **options: Any) -> Environment:
    environ = {"OPENAI_BASE_URL": server.base_url, "OPENAI_MODEL": model}
    return Environment.open(env_dir, environ=environ, **options)


async def changes_after(env_dir: Path, server: OpenAIServer, definition: str, model: str = "small") -> list[str]:
    """Send a message, change the definition and the model, and return what has changed then."""
    server.script(text("One."))
    async with open_at(env_dir, server) as env:
        await env["scout"].receive("Go")
    (env_dir / "objects" / "scout.yaml").write_text(definition)
    async with open_at(env_dir, server, model) as env:
        return env["scout"].changes(env["scout"].session_manager.current())


@pytest.mark.parametrize(
    ("definition", "change"),
    [
        (SCOUT.replace("Look.", "Look well."), ["the prompt changed at line 1"]),
        (SCOUT.replace(", read_file", ""), ["the tool read_file was removed"]),
        (SCOUT.replace("read_file]", "read_file, other]"), ["the tool other was added"]),
        (
            SCOUT.replace("[list_files, read_file]", "[list_files]").replace("Look.", "Look well."),
            ["the prompt changed at line 1", "the tool read_file was removed"],
        ),
        (SCOUT + "description: Looks\n", ["the definition changed, but not its prompt, tools or model"]),
        (SCOUT, []),
    ],
)
async def test_a_change_of_the_definition_is_named(
    env_dir: Path, openai_server: OpenAIServer, definition: str, change: list[str]
) -> None:
    assert await changes_after(env_dir, openai_server, definition) == change


async def test_a_change_of_the_model_is_named(env_dir: Path, openai_server: OpenAIServer) -> None:
    assert await changes_after(env_dir, openai_server, SCOUT, "large") == ["the model changed from small to large"]


async def test_nothing_is_said_of_a_session_without_answers_or_records(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    async with open_at(env_dir, openai_server) as env:
        po = env["scout"]
        session = po.session_manager.create("New")
        assert po.changes(session) == []
        session.append({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"})
        assert po.changes(session) == []
        assert po.change_notice(session) == ""


async def test_the_last_request_at_a_limit_does_not_count_as_a_change(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    limited = SCOUT + "limits: {requests: 1}\n"
    (env_dir / "objects" / "scout.yaml").write_text(limited)
    openai_server.script(calls(("list_files", {})), text("Enough."))
    async with open_at(env_dir, openai_server) as env:
        reply = await env["scout"].receive("Go")
        assert env["scout"].changes(reply.session) == []


async def test_pinned_sessions_continue_with_the_recorded_prompt_and_model(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    kind = "name: scout\ncapabilities: [list_files]\nprompt: Be kind.\n"
    await changes_after(env_dir, openai_server, kind, "large")
    openai_server.script(text("Two."), text("Three."))
    async with open_at(env_dir, openai_server, "large", pin=True) as env:
        po = env["scout"]
        notice = po.change_notice(po.session_manager.current())
        await po.receive("Again")
        await po.receive("Anew", session=po.session_manager.create("Other"))
    assert notice == (
        "Since the last answer in this session, the prompt changed at line 1, and the tool read_file was removed, "
        "and the model changed from small to large. It keeps the recorded prompt and model."
    )
    pinned, new = (received.body for received in openai_server.received[1:])
    assert (pinned["messages"][0]["content"], pinned["model"], pinned["temperature"]) == ("Look.", "small", 0.5)
    assert [tool["function"]["name"] for tool in pinned["tools"]] == ["list_files"]
    assert (new["messages"][0]["content"], new["model"]) == ("Be kind.", "large")


@pytest.mark.parametrize("file", ["environment.yaml", "settings.yaml"])
async def test_pin_is_also_a_setting(
    env_dir: Path, openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    settings = env_dir if file == "environment.yaml" else env_dir / "config" / "prompt_objects"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / file).write_text("pin: true\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(env_dir / "config"))
    async with open_at(env_dir, openai_server) as env:
        assert env.pin


async def test_a_model_that_the_user_names_counts_more_than_the_recorded_one(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    await changes_after(env_dir, openai_server, SCOUT)
    openai_server.script(text("Two."))
    async with open_at(env_dir, openai_server, pin=True) as env:
        env.models.select("large", env["scout"].definition)
        await env["scout"].receive("Again")
    assert openai_server.received[-1].body["model"] == "large"


@pytest.fixture
def other_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


def open_at_two(env_dir: Path, work: OpenAIServer, server: OpenAIServer, model: str, **options: Any) -> Environment:
    """Open an environment whose model `work` is at one server, and all others at another."""
    models = f"model: work\nmodels:\n  work: {{base_url: {work.base_url}, model: {model}}}\n"
    (env_dir / "environment.yaml").write_text(models)
    return Environment.open(env_dir, environ={"OPENAI_BASE_URL": server.base_url}, **options)


@pytest.mark.parametrize("selected", ["small", "tiny"])
async def test_pinned_sessions_stay_at_the_server_of_their_model(
    env_dir: Path, openai_server: OpenAIServer, other_server: OpenAIServer, selected: str
) -> None:
    openai_server.models = ("small", "tiny", "large")
    openai_server.script(*[text("Yes.")] * 4)
    async with open_at_two(env_dir, openai_server, other_server, "small") as env:
        env.models.select(selected, env["scout"].definition)
        await env["scout"].receive("Go")
    async with open_at_two(env_dir, openai_server, other_server, "large", pin=True) as env:
        for _ in range(2):
            await env["scout"].receive("Again")
    async with open_at_two(env_dir, openai_server, other_server, "large", pin=True) as env:
        await env["scout"].receive("And again")
        session = env["scout"].session_manager.current()
        assert {session.request(number).frame.definition.model for number in range(1, 5)} == {"work"}
    assert [received.body["model"] for received in openai_server.received if received.body] == [selected] * 4
    assert other_server.received == []


async def test_a_pinned_model_does_not_move_other_objects_to_its_server(
    env_dir: Path, openai_server: OpenAIServer, other_server: OpenAIServer
) -> None:
    (env_dir / "objects" / "other.yaml").write_text(OTHER + "model: small\n")
    openai_server.script(text("One."), text("Two."))
    other_server.script(text("Other."))
    async with open_at_two(env_dir, openai_server, other_server, "small") as env:
        await env["scout"].receive("Go")
    async with open_at_two(env_dir, openai_server, other_server, "large", pin=True) as env:
        await env["scout"].receive("Again")
        assert (await env["other"].receive("Go")).text == "Other."


async def test_a_fallback_at_another_server_is_recorded_though_its_model_has_the_same_name(
    env_dir: Path, openai_server: OpenAIServer, other_server: OpenAIServer
) -> None:
    (env_dir / "objects" / "scout.yaml").write_text(
        "name: scout\nmodel: {use: work, fallback: [small]}\nprompt: Look.\n"
    )
    openai_server.script(*[status(503, retry_after="0")] * 9)
    other_server.script(text("One."))
    async with open_at_two(env_dir, openai_server, other_server, "small") as env:
        reply = await env["scout"].receive("Go")
        assert reply.session.request(1).frame.definition.model == "small"


async def test_a_local_tool_whose_name_begins_like_an_mcp_server_counts_as_local(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    openai_server.script(text("One."))
    async with open_at(env_dir, openai_server) as env:
        session = (await env["scout"].receive("Go")).session
        definition, frame = env["scout"].definition, session.request(1).frame
        local = {tool["function"]["name"]: tool for tool in frame.tools}
        assert changes_since(frame, definition, local, ["list"], "small") == []
        assert changes_since(frame, definition, {"read_file": local["read_file"]}, ["list"], "small") == []


async def test_a_pinned_model_that_is_gone_is_not_looked_for_elsewhere(
    env_dir: Path, openai_server: OpenAIServer, other_server: OpenAIServer
) -> None:
    other_server.script(text("One."))
    async with open_at_two(env_dir, other_server, openai_server, "small") as env:
        await env["scout"].receive("Go")
    (env_dir / "environment.yaml").unlink()
    async with open_at(env_dir, openai_server, pin=True) as env:
        with pytest.raises(UsageError, match="The model 'work' of this session is not in the settings any more"):
            await env["scout"].receive("Again")
    assert (len(other_server.received), openai_server.received) == (1, [])


@pytest.mark.usefixtures("no_trusted_folders")
async def test_without_trust_a_session_does_not_choose_the_model(
    env_dir: Path, openai_server: OpenAIServer, other_server: OpenAIServer
) -> None:
    other_server.script(text("One."))
    async with open_at_two(env_dir, other_server, openai_server, "small", trust=True) as env:
        await env["scout"].receive("Go")
    openai_server.script(text("Two."))
    environ = {"OPENAI_BASE_URL": openai_server.base_url, "OPENAI_MODEL": "own"}
    async with Environment.open(env_dir, environ=environ, pin=True) as env:
        assert env.authority.is_restricted
        await env["scout"].receive("Again")
    assert len(other_server.received) == 1
    assert openai_server.received[0].body["model"] == "own"
