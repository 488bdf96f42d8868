"""The trace of a session: nested turns with totals, from records or from messages alone."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.message import Message
from prompt_objects.sessions.info import ParentCall, SessionInfo, new_id
from prompt_objects.sessions.session import Session, trace_file
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from prompt_objects.trace.loader import MAX_DEPTH
from prompt_objects.trace.model import MessageEvent, NoticeEvent
from prompt_objects.utils.time import now, timestamp
from tests.support.environments import llm_by_name, make_env, open_env
from tests.support.traces import COST, TEAM, Priced, all_turns, outline

SCOUTED = ["You are scout. Done."]


def scout(message: str) -> list[Any]:
    return ["scout", message, "", ("list_files", "done"), *SCOUTED]


OUTLINE = [
    "boss",
    "Go",
    "",
    ("helper", "done", ["helper", "H", "", ("scout", "done", scout("HS")), "You are helper. Done."]),
    ("scout", "done", scout("S")),
    ("read_file", "failed"),
    "You are boss. Done.",
]


@pytest.fixture
async def env(tmp_path: Path) -> AsyncIterator[Environment]:
    async with open_env(tmp_path, Priced(), TEAM) as env:
        yield env


async def play(env: Environment, message: str = "Go") -> Session:
    return (await env["boss"].receive(message)).session


def delete_traces(env: Environment) -> None:
    """Delete the trace files."""
    env.storage.recorder.flush()
    shutil.rmtree(env.data_dir / "traces")


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "from messages"])
async def test_turns_are_nested_below_the_calls_that_started_them(env: Environment, is_kept: bool) -> None:
    session = await play(env)
    if not is_kept:
        delete_traces(env)
    trace = env.storage.trace(session.id)
    assert outline(trace.turns) == [OUTLINE]
    assert {(turn.caller, turn.session.po_name) for turn in all_turns(trace)} == {
        (None, "boss"),
        ("boss", "helper"),
        ("helper", "scout"),
        ("boss", "scout"),
    }
    assert {turn.outcome for turn in all_turns(trace)} == {"answered"}
    assert all((turn.run is not None) is is_kept for turn in all_turns(trace))


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "from messages"])
async def test_totals_of_a_turn_exclude_or_include_delegates(env: Environment, is_kept: bool) -> None:
    session = await play(env)
    if not is_kept:
        delete_traces(env)
    trace = env.storage.trace(session.id)
    (boss,) = trace.turns
    helper, of_boss = (call.turns[0] for call in boss.calls if call.turns)
    assert [(turn.own.responses, turn.inclusive.responses) for turn in (boss, helper, of_boss)] == [
        (2, 8),
        (2, 4),
        (2, 2),
    ]
    assert boss.inclusive.usage.cost == pytest.approx(8 * COST)
    assert (boss.own.usage.prompt, boss.own.usage.completion, boss.own.usage.cached) == (200, 20, 80)
    infos = {info.id: info for info in env.storage.store.list()}
    assert trace.own.usage.cost == infos[session.id].cost
    assert trace.inclusive.usage.prompt == sum(info.prompt_tokens for info in infos.values())


async def test_times_are_in_order_and_calls_have_durations(env: Environment) -> None:
    trace = env.storage.trace((await play(env)).id)
    for turn in all_turns(trace):
        assert turn.started_at
        assert turn.ended_at
        assert turn.seconds == (turn.ended_at - turn.started_at).total_seconds() > 0
        for call in turn.calls:
            assert call.at
            assert call.started_at
            assert call.ended_at
            assert turn.started_at <= call.at <= call.started_at <= call.ended_at <= turn.ended_at
            assert call.seconds is not None
            for below in call.turns:
                assert below.started_at
                assert call.started_at <= below.started_at
                assert below.seconds is not None
                assert below.seconds <= call.seconds + 0.01


async def test_each_turn_has_its_parent_run(env: Environment) -> None:
    trace = env.storage.trace((await play(env)).id)
    for turn in all_turns(trace):
        for call in turn.calls:
            assert all((below.parent, below.call_id) == (turn.run, call.id) for below in call.turns)
    assert [turn.parent for turn in trace.turns] == [None]


async def test_unrecorded_turns_come_first_even_with_equal_messages(env: Environment) -> None:
    session = await play(env)
    delete_traces(env)
    await play(env)
    trace = env.storage.trace(session.id)
    assert outline(trace.turns) == [OUTLINE, OUTLINE]
    assert [turn.run is None for turn in trace.turns] == [True, False]
    assert trace.own.responses == 4


async def test_a_truncated_trace_file_shows_every_message_once(env: Environment) -> None:
    session = await play(env)
    path = trace_file(env.data_dir, session.id)
    complete = outline(env.storage.trace(session.id).turns)
    lines = path.read_bytes()
    for end in range(0, len(lines), 97):
        path.write_bytes(lines[:end])
        trace = env.storage.trace(session.id)
        texts = Counter(step.text for turn in trace.turns for step in turn.steps if isinstance(step, MessageEvent))
        assert texts == {"Go": 1, "": 1, "You are boss. Done.": 1}, end
        assert [call.name for turn in trace.turns for call in turn.calls] == ["helper", "scout", "read_file"]
        assert trace.inclusive.responses == 8
    path.write_bytes(lines)
    assert outline(env.storage.trace(session.id).turns) == complete


async def test_a_missing_or_damaged_child_session_is_left_out(env: Environment) -> None:
    session = await play(env)
    helper = next(info for info in env.storage.store.list() if info.po_name == "helper")
    env.session_manager.delete(helper.id)
    (boss,) = env.storage.trace(session.id).turns
    assert [(call.name, len(call.turns)) for call in boss.calls] == [("helper", 0), ("scout", 1), ("read_file", 0)]
    assert boss.inclusive.responses == 4


async def test_removed_messages_still_count_in_totals(env: Environment) -> None:
    session = await play(env)
    env.session_manager.truncate(session.id, 1)
    trace = env.storage.trace(session.id)
    texts = [step.text for step in trace.turns[0].steps if isinstance(step, MessageEvent)]
    assert texts == ["Go", None, None]
    assert trace.own.usage.cost == 2 * COST
    assert trace.inclusive.responses == 8


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "from messages"])
async def test_turns_of_a_continued_session_are_below_their_calls_except_turns_of_the_user(
    tmp_path: Path, is_kept: bool
) -> None:
    objects = {
        "boss": "name: boss\ncapabilities: [{po: scout, context: continue}]\nprompt: You are boss.\n",
        "scout": "name: scout\nprompt: You are scout.\n",
    }
    asking = calls(("scout", {"message": "again"}))
    llm = llm_by_name(boss=[asking, "1", asking, "2"], scout=["a", "to the user", "b"])
    async with open_env(tmp_path, llm, objects) as env:
        session = (await env["boss"].receive("first")).session
        (child,) = (info for info in env.storage.store.list() if info.parent)
        await env["scout"].receive("hello", session=env.session_manager.get(child.id))
        await env["boss"].receive("second")
        if not is_kept:
            delete_traces(env)
        assert outline(env.storage.trace(session.id).turns) == [
            ["boss", "first", "", ("scout", "done", ["scout", "again", "a"]), "1"],
            ["boss", "second", "", ("scout", "done", ["scout", "again", "b"]), "2"],
        ]
        assert len(env.storage.trace(child.id).turns) == 3


async def test_concurrent_calls_to_one_prompt_object_keep_their_own_turns(tmp_path: Path) -> None:
    objects = {
        "boss": "name: boss\ncapabilities: [scout]\nlimits: {parallel: 9}\nprompt: You are boss.\n",
        "scout": "name: scout\nprompt: You are scout.\n",
    }
    many = calls(*(("scout", {"message": str(number)}) for number in range(9)))
    llm = llm_by_name(boss=[many, "Done"], scout=[lambda request: f"to {request.messages[-1]['content']}"] * 9)
    async with open_env(tmp_path, llm, objects) as env:
        trace = env.storage.trace((await env["boss"].receive("Go")).session.id)
        expected = [("scout", "done", ["scout", str(number), f"to {number}"]) for number in range(9)]
        assert outline(trace.turns) == [["boss", "Go", "", *expected, "Done"]]


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "from messages"])
async def test_a_cancelled_turn_and_its_calls_are_marked(tmp_path: Path, is_kept: bool) -> None:
    started = asyncio.Event()

    async def wait(_arguments: dict[str, Any], _context: object) -> str:
        started.set()
        await asyncio.sleep(60)
        return ""

    objects = {"boss": "name: boss\ncapabilities: [wait]\nlimits: {parallel: 1}\nprompt: You are boss.\n"}
    llm = ScriptedLLM([calls(("wait", {}), ("wait", {}))])
    async with open_env(tmp_path, llm, objects, tools=[Tool("wait", "Wait", {"type": "object"}, wait)]) as env:
        turn = asyncio.create_task(env["boss"].receive("Go"))
        await asyncio.wait_for(started.wait(), 10)
        running = env.storage.trace(env["boss"].session_manager.current().id).turns[0]
        assert [running.outcome, running.ended_at, *(call.outcome for call in running.calls)] == [None] * 4
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn
        if not is_kept:
            delete_traces(env)
        (stopped,) = env.storage.trace(env["boss"].session_manager.current().id).turns
        assert stopped.outcome == ("cancelled" if is_kept else None)
        assert [call.outcome for call in stopped.calls] == ["failed", "failed"]


async def test_notices_are_recorded(tmp_path: Path) -> None:
    objects = {"boss": "name: boss\ncapabilities: [list_files]\nlimits: {requests: 1}\nprompt: You are boss.\n"}
    llm = ScriptedLLM([calls(("list_files", {"path": "."})), "Summed up."])
    async with open_env(tmp_path, llm, objects) as env:
        (turn,) = env.storage.trace((await env["boss"].receive("Go")).session.id).turns
        notices = [step.text for step in turn.steps if isinstance(step, NoticeEvent)]
        assert notices == ["boss's limit of 1 request is reached. Its final reply follows."]


async def test_a_retry_is_a_separate_turn(tmp_path: Path) -> None:
    objects = {"boss": "name: boss\nprompt: You are boss.\n"}
    async with open_env(tmp_path, ScriptedLLM(["old", "new"]), objects) as env:
        session = (await env["boss"].receive("Go")).session
        await env["boss"].retry()
        expected = [["boss", "Go", "old"], ["boss", "new"]]
        assert outline(env.storage.trace(session.id).turns) == expected
        delete_traces(env)
        assert outline(env.storage.trace(session.id).turns) == expected


# Messages of other programs


def put_session(
    env: Environment, messages: list[Message], parent: ParentCall | None = None, key: str = ""
) -> SessionInfo:
    key = key or new_id()
    info = SessionInfo(
        id=key, name=key[-8:], po_name="scout", message_count=0, created_at=now(), updated_at=now(), parent=parent
    )
    return env.storage.store.create(info, {}, messages).info


def asking(*call_ids: str, **more: Any) -> Message:
    tool_calls = [
        {"id": key, "type": "function", "function": {"name": "scout", "arguments": "{}"}} for key in call_ids
    ]
    return {"role": "assistant", "content": "", "tool_calls": tool_calls, **more}


async def test_invalid_messages_are_shown_as_far_as_possible(env: Environment) -> None:
    nonsense: list[Message] = [
        {"role": "system", "content": "Be good"},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}], "at": "yesterday"},
        {**asking("a"), "usage": {"prompt_tokens": "many", "cost": -1}, "model": 7, "at": "0001-01-01T00:00:00Z"},
        {"role": "tool", "tool_call_id": "b", "content": "of no call"},
        {"role": "assistant", "usage": [], "interrupted": True, "tool_calls": "none"},
    ]
    info = put_session(env, nonsense)
    first, second = env.storage.trace(info.id).turns
    assert outline([first, second]) == [
        ["scout", "Be good"],
        ["scout", "Hello", "", ("scout", None), "of no call", ""],
    ]
    assert (second.started_at, second.seconds, second.models) == (None, None, [])
    assert (second.own.responses, second.own.usage.total, second.own.usage.cost) == (2, 0, None)


@pytest.mark.parametrize(
    ("more", "outcome"), [({}, "failed"), ({"failed": False}, "done"), ({"failed": True}, "failed")]
)
async def test_the_text_of_a_result_decides_failure_only_without_a_marker(
    env: Environment, more: dict[str, Any], outcome: str
) -> None:
    result = {"role": "tool", "tool_call_id": "a", "content": "Error: is what the file begins with", **more}
    info = put_session(env, [{"role": "user", "content": "Go"}, asking("a"), result])
    assert outline(env.storage.trace(info.id).turns) == [["scout", "Go", "", ("scout", outcome)]]


async def test_a_very_deep_message_is_shown(env: Environment) -> None:
    info = put_session(env, [{"role": "user", "content": "Hello"}])
    (path,) = (env.data_dir / "sessions").glob(f"{info.id}.json")
    deep = b'{"role":"user","content":"Hello","x":' + b"[" * 300 + b"]" * 300
    path.write_bytes(path.read_bytes().replace(b'{"role":"user","content":"Hello"', deep, 1))
    assert outline(env.storage.trace(info.id).turns) == [["scout", "Hello"]]


async def test_reused_call_ids_belong_to_the_calls_of_their_time(env: Environment) -> None:
    moments = [now() + timedelta(seconds=number) for number in range(8)]
    history: list[Message] = []
    for number in (0, 4):
        history += [
            {"role": "user", "content": str(number), "at": timestamp(moments[number])},
            asking("call_0", at=timestamp(moments[number + 1])),
            {"role": "tool", "tool_call_id": "call_0", "content": "", "at": timestamp(moments[number + 3])},
        ]
    info = put_session(env, history)
    for number in (2, 6):
        message = {"role": "user", "content": f"child {number}", "at": timestamp(moments[number])}
        put_session(env, [message], ParentCall(info.id, "call_0"))
    assert outline(env.storage.trace(info.id).turns) == [
        ["scout", "0", "", ("scout", "done", ["scout", "child 2"])],
        ["scout", "4", "", ("scout", "done", ["scout", "child 6"])],
    ]


async def test_endless_and_cyclic_chains_of_sessions_are_shown_up_to_a_depth(env: Environment) -> None:
    top = put_session(env, [asking("c")])
    last = top
    for _ in range(3 * MAX_DEPTH):
        last = put_session(env, [asking("c")], ParentCall(last.id, "c"))
    trace = env.storage.trace(top.id)
    assert len(list(all_turns(trace))) == MAX_DEPTH + 1
    assert trace.inclusive.responses == MAX_DEPTH + 1
    one, two = new_id(), new_id()
    put_session(env, [asking("c")], ParentCall(two, "c"), one)
    put_session(env, [asking("c")], ParentCall(one, "c"), two)
    assert len(list(all_turns(env.storage.trace(one)))) == 2


async def test_a_trace_with_a_thousand_delegations_loads_fast(env: Environment) -> None:
    top = put_session(env, [asking(*(f"c{number}" for number in range(1000)))])
    for number in range(1000):
        put_session(env, [{"role": "user", "content": str(number)}], ParentCall(top.id, f"c{number}"))
    start = time.perf_counter()
    trace = env.storage.trace(top.id)
    assert time.perf_counter() - start < 5
    assert [call.turns[0].steps[0].text for call in trace.turns[0].calls] == [str(n) for n in range(1000)]  # type: ignore[union-attr]


# The file


async def test_a_trace_is_deleted_and_restored_with_its_session(env: Environment) -> None:
    session = await play(env)
    before = outline(env.storage.trace(session.id).turns)
    env.session_manager.delete(session.id)
    env.session_manager.restore(session.id)
    trace = env.storage.trace(session.id)
    assert outline(trace.turns) == before
    assert trace.turns[0].run
    copy = env.session_manager.duplicate(session.id)
    assert [turn.run for turn in env.storage.trace(copy.id).turns] == [None]
    env.session_manager.delete(session.id)
    env.session_manager.purge(session.id)
    assert not list((env.data_dir / "traces").iterdir())


async def test_sessions_in_memory_have_no_trace_file(tmp_path: Path) -> None:
    async with Environment.open(make_env(tmp_path, TEAM), llm=Priced(), store="memory:", environ={}) as env:
        assert outline(env.storage.trace((await play(env)).id).turns) == [OUTLINE]
        env.storage.recorder.flush()
        assert not (env.data_dir / "traces").exists()


async def test_a_turn_continues_if_recording_fails_with_one_notice(env: Environment) -> None:
    env.data_dir.mkdir(exist_ok=True)
    (env.data_dir / "traces").touch()
    session = await play(env)
    await play(env)
    env.storage.recorder.flush()
    (notice,) = env.take_notices()
    assert "could not be written" in notice
    assert len(env.session_manager.get(session.id).history) == 12
    (env.data_dir / "traces").unlink()
    assert outline(env.storage.trace(session.id).turns) == [OUTLINE, OUTLINE]
