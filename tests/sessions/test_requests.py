"""The request for each answer is rebuilt byte for byte as the server got it."""

import asyncio
import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import Damaged, LLMError, NotFound
from prompt_objects.llm.chat_api.repairs import REPAIRS
from prompt_objects.runtime.events import TextDelta, ToolCallStarted
from prompt_objects.sessions.frames import check_frames
from prompt_objects.sessions.prompt_cache import cache_reports
from prompt_objects.sessions.request_diff import request_diff
from prompt_objects.sessions.requests import answer_indexes
from prompt_objects.sessions.session import Session
from prompt_objects.testing import ScriptedLLM
from prompt_objects.tools.decorator import tool
from tests.support.environments import make_env, open_env
from tests.support.interaction import Answers
from tests.support.openai_server import OpenAIServer, calls, chunk, error, status, stream, text

SCOUT = "name: scout\ncapabilities: [list_files, read_file]\nmodel: {use: default, temperature: 0.5}\nprompt: Look.\n"
BOSS = "name: boss\ncapabilities: [scout, write_file]\nprompt: You ask — “nicely”.\n"
FRAME = {
    "prompt": "Look.",
    "tools": [],
    "model": "m",
    "options": {"tools": 5, "x": [[[]]]},
    "definition": {"name": "scout", "sha256": ""},
    "version": "1",
}


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    return make_env(tmp_path, {"scout": SCOUT, "boss": BOSS})


def open_at(env_dir: Path, server: OpenAIServer, **options: Any) -> Environment:
    environ = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "s3cret"}
    return Environment.open(env_dir, environ=environ, **{"model": "small", **options})


def sessions(env: Environment) -> list[Session]:
    manager = env.session_manager
    return [manager.get(info.id) for info in manager.store.list()]


def rebuilt(env: Environment) -> Iterator[bytes]:
    """Yield the requests of all answers of all sessions; each must be exact, also after a restart."""
    for session in sessions(env):
        for number in range(1, len(answer_indexes(session.history)) + 1):
            request = session.request(number)
            assert request.is_exact
            assert hashlib.sha256(request.body).hexdigest() == request.record.sha256
            yield request.body


def check(env_dir: Path, server: OpenAIServer, *, unanswered: int = 0) -> None:
    """Check, in a new environment, that every request is rebuilt as the server got it, except for some in vain."""
    with Environment.open(env_dir, environ={}) as env:
        found = sorted(rebuilt(env))
    got = sorted(received.raw for received in server.received if received.path.endswith("/chat/completions"))
    assert len(got) == len(found) + unanswered
    assert set(found) <= set(got)
    if not unanswered:
        assert found == got


async def test_over_calls_and_delegations(env_dir: Path, openai_server: OpenAIServer) -> None:
    ask = calls(("scout", {"message": "Look at “a”\u2028"}), ("scout", {"message": "Look at b\udcff"}))
    looking = calls(("list_files", {}), content="Looking \U0001f600.")
    openai_server.script(ask, looking, looking, text("One."), text("Two."), text("Done."), text("Yes."))
    async with open_at(env_dir, openai_server) as env:
        await env["boss"].receive("Go")
        await env["boss"].receive("Sure?")
    check(env_dir, openai_server)


async def test_over_a_retry_of_the_user_and_retries_of_the_client(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."), status(503, retry_after="0"), text("Two."), text("Three."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Go")
        await env["scout"].retry()
        await env["scout"].receive("Again")
    check(env_dir, openai_server, unanswered=1)


async def test_over_a_fallback_that_replaces_an_interrupted_answer(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    (env_dir / "objects" / "scout.yaml").write_text(
        "name: scout\nmodel: {use: small, fallback: [large]}\nprompt: Look.\n"
    )
    openai_server.script(stream(chunk({"content": "Half"}), end="cut"), text("Whole."), text("Sure."))
    async with open_at(env_dir, openai_server, model=None) as env:
        await env["scout"].receive("Go")
        await env["scout"].receive("Sure?")
    check(env_dir, openai_server)


async def test_over_steering(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(calls(("list_files", {})), text("Found."), text("Yes."))
    async with open_at(env_dir, openai_server) as env:
        async for event in env["scout"].stream("Look"):
            if isinstance(event, ToolCallStarted):
                assert next(iter(env.active_turns)).steer("And be quick")
        await env["scout"].receive("Sure?")
        (steering,) = (each for each in sessions(env)[0].history if each.get("steers"))
        assert steering["at"] <= steering["read_at"]
    check(env_dir, openai_server)


async def test_over_approvals_and_edited_arguments(env_dir: Path, openai_server: OpenAIServer) -> None:
    async def approve(_: object) -> Any:
        return "once"

    openai_server.script(calls(("write_file", {"path": "a.txt", "content": "A"})), text("Done."), text("Yes."))
    async with open_at(env_dir, openai_server) as env:
        env.interaction.handler = Answers(approve)
        await env["boss"].receive("Write")
        await env["boss"].receive("Sure?")
    check(env_dir, openai_server)


async def test_over_adaptations_to_a_server(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(
        error(400, "Unsupported parameter: 'temperature'"),
        error(400, "Unknown parameter: stream_options"),
        text("One."),
        text("Two."),
    )
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Go")
        await env["scout"].receive("Again")
        (session,) = sessions(env)
        assert len(session.request(1).record.adaptations.repairs) == 2
    check(env_dir, openai_server, unanswered=2)


async def test_over_extra_fields_that_only_their_server_gets(env_dir: Path, openai_server: OpenAIServer) -> None:
    signed = chunk({"role": "assistant", "content": "One.", "reasoning_content": "Hm."}, "stop")
    openai_server.script(stream(signed), text("Two."), text("Three."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Go")
        await env["scout"].receive("Again")
        (session,) = sessions(env)
        assert session.request(1).record.adaptations.server == ""
        assert b"reasoning_content" in session.request(2).body
    check(env_dir, openai_server)


async def test_over_limits_of_requests_and_of_tokens(env_dir: Path, openai_server: OpenAIServer) -> None:
    limits = "limits: {requests: 2, tokens: 5000}\n"
    (env_dir / "objects" / "scout.yaml").write_text(SCOUT + limits)
    openai_server.script(calls(("list_files", {})), calls(("list_files", {})), text("Enough."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Look")
        (session,) = sessions(env)
        assert session.request(3).record.final
        assert session.request(1).record.options["max_completion_tokens"]
    check(env_dir, openai_server)


async def test_over_interrupted_turns(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(stream(chunk({"content": "Half"}), end="cut"), text("Slow, slow, slow.", delay=0.2))
    openai_server.script(calls(("list_files", {})), error(401, "No."), text("Now."))
    async with open_at(env_dir, openai_server) as env:
        with pytest.raises(LLMError):
            await env["scout"].receive("Go")

        async def stop_early() -> None:
            async for event in env["scout"].stream("Again"):
                if isinstance(event, TextDelta):
                    raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await stop_early()
        with pytest.raises(LLMError):
            await env["scout"].receive("Look")
        await env["scout"].resume()
    check(env_dir, openai_server, unanswered=1)


async def test_over_repair_of_a_history(env_dir: Path, openai_server: OpenAIServer) -> None:
    history: list[dict[str, Any]] = [
        {"role": "assistant", "content": "Hello"},
        {"role": "human", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "user", "content": "there"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "x", "function": {"name": "a b"}}]},
        {"role": "tool", "tool_call_id": "unknown", "content": "Lost"},
    ]
    openai_server.script(text("One."), text("Two."))
    async with open_at(env_dir, openai_server) as env:
        session = env["scout"].session_manager.create("Imported")
        session.append(*history)
        await env["scout"].receive("Go", session=session)
        await env["scout"].receive("Again", session=session)
        with pytest.raises(NotFound, match="not recorded"):
            session.request(1)
        found = [session.request(number).body for number in (3, 4)]
    assert found == [received.raw for received in openai_server.received]


async def test_after_the_definition_and_the_session_have_changed(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."), text("Two."), text("Three."), text("Four."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Go")
        (env_dir / "objects" / "scout.yaml").write_text("name: scout\nprompt: Be kind.\n")
        await env["scout"].receive("Again")
        manager = env["scout"].session_manager
        manager.truncate(manager.current().id, 2)
        await env["scout"].receive("Anew")
        copy = manager.duplicate(manager.current().id)
        await env["scout"].receive("More", session=copy)
        frames = {copy.request(number).record.frame for number in (1, 2, 3)}
        assert len(frames) == 2
        bodies = [received.raw for received in openai_server.received]
        assert [copy.request(number).body for number in (1, 2, 3)] == [bodies[0], *bodies[2:]]


async def test_a_changed_history_is_noticed(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Go")
        (session,) = sessions(env)
        edited = [{**message} for message in session.history]
        edited[0]["content"] = "Stop"
        copy = env["scout"].session_manager.create("Edited")
        copy.append(*edited)
        request = copy.request(1)
        assert not request.is_exact
        assert b"Stop" in request.body


async def test_the_frame_has_no_keys_headers_or_addresses(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Go")
        (session,) = sessions(env)
        (frame,) = session.frames.values()
    assert set(frame) == {"prompt", "tools", "model", "options", "definition", "version"}
    assert (frame["prompt"], frame["model"], frame["options"]) == ("Look.", "small", {"temperature": 0.5})
    source = (env_dir / "objects" / "scout.yaml").read_bytes()
    assert frame["definition"]["sha256"] == hashlib.sha256(source).hexdigest()
    written = json.dumps([*session.history, frame])
    assert "s3cret" not in written
    assert "127.0.0.1" not in written


async def test_a_long_conversation_has_one_frame(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(*[text("One.")] * 5)
    async with open_at(env_dir, openai_server) as env:
        for _ in range(5):
            await env["scout"].receive("Go")
    assert len(list((env_dir / ".prompt_objects" / "frames").iterdir())) == 1
    check(env_dir, openai_server)


async def test_the_difference_of_two_requests_is_shown_line_by_line(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    openai_server.script(text("One."), text("Two."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Go")
        (env_dir / "objects" / "scout.yaml").write_text("name: scout\ncapabilities: [list_files]\nprompt: Be kind.\n")
        await env["scout"].receive("Again")
        (session,) = sessions(env)
        first, second = session.request(1), session.request(2)
    lines = request_diff(first, second, ("answer 1", "answer 2")).splitlines()
    assert lines[:2] == ["--- answer 1", "+++ answer 2"]
    assert {"-temperature: 0.5", "-  Look.", "+  Be kind.", '-  "name": "read_file",', "+  One.", "+  Again"} <= set(
        lines
    )
    assert request_diff(first, first, ("answer 1", "answer 1")) == ""


async def test_an_answer_that_is_not_there_is_named(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(text("One."))
    async with open_at(env_dir, openai_server) as env:
        await env["scout"].receive("Go")
        for number in (0, 2, -1):
            with pytest.raises(NotFound, match=f"no answer {number}: the session has 1 answer"):
                sessions(env)[0].request(number)


async def test_over_a_tool_whose_schema_is_not_strict_json(env_dir: Path, openai_server: OpenAIServer) -> None:
    @tool
    def find(limit: float = math.inf, words: tuple[str, ...] = ("a", "b")) -> str:
        """Find \ud800."""
        return f"{limit} {words}"

    (env_dir / "objects" / "scout.yaml").write_text("name: scout\ncapabilities: [find]\nprompt: Look.\n")
    openai_server.script(text("One."))
    async with open_at(env_dir, openai_server, tools=[find]) as env:
        reply = await env["scout"].receive("Go")
        assert env["scout"].changes(reply.session) == []
    check(env_dir, openai_server)


HOSTILE_FRAMES = [
    b"[]",
    b"no JSON",
    b'{"a":' * 5000,
    json.dumps({**FRAME, "tools": [{}]}).encode(),
    json.dumps({**FRAME, "tools": [{"function": {"name": ["a"]}}]}).encode(),
]
HOSTILE_RECORDS: list[Any] = [
    None,
    7,
    {"history": 10**30, "options": {"tools": 5, "messages": 7, "model": None}},
    {"history": -3, "final": "\ud800", "adaptations": {"repairs": ["unknown", *REPAIRS], "server": "x"}},
    {"history": 1, "options": {"x": float("1e300"), "y": 10**400}},
    {"adaptations": 7},
]


@pytest.mark.parametrize("frame", [json.dumps(FRAME).encode(), *HOSTILE_FRAMES])
async def test_records_and_frames_of_any_form_break_nothing(tmp_path: Path, frame: bytes) -> None:
    with open_env(tmp_path, ScriptedLLM([])) as env:
        session = env["scout"].session_manager.create("Hostile")
        base = {"frame": env.storage.store.frames.keep(frame), "sha256": "", "history": 1}
        for usage in ("7", {"prompt_tokens": "7", "cost": []}, {"prompt_tokens": 7, "cached_tokens": -(10**30)}):
            for record in HOSTILE_RECORDS:
                request = {**base, **record} if isinstance(record, dict) else record
                session.append({"role": "user", "content": [{}]})
                session.append(
                    {"role": "ai", "content": "", "usage": usage, "request": request, "replaces": [-1, 10**30]}
                )
        numbers = range(1, len(answer_indexes(session.history)) + 1)
        found = []
        for number in numbers:
            with suppress(Damaged):
                found.append(session.request(number))
        assert not any(request.is_exact for request in found)
        assert bool(found) == (frame not in HOSTILE_FRAMES)
        assert all(request_diff(before, after, ("a", "b")) is not None for before, after in pairwise(found))
        assert len(cache_reports(session)) == len(numbers)
        assert env["scout"].change_notice(session) is not None
        assert isinstance(session.frames, dict)
        check_frames(env.storage.store)
