"""Approvals and questions are recorded in the session, before anything that was approved runs."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import StoreError
from prompt_objects.message import Message
from prompt_objects.runtime.events import ToolCallStarted
from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments
from prompt_objects.sessions.formats import find_format
from prompt_objects.sessions.session import Session
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.trace.model import MessageEvent
from tests.support.environments import make_env
from tests.support.interaction import Answers
from tests.support.strict_protocol import request_violations

WRITE = {"path": "notes/a.txt", "content": "Hello\n"}
SCRIBE = {"scribe": "name: scribe\ncapabilities: [write_file, ask_human]\nprompt: Write.\n"}


async def history_after(
    folder: Path, decisions: list[Decision], *called: tuple[str, dict[str, Any]]
) -> list[Message]:
    """Return the history of a turn in which the user decides like this about calls, one per response."""
    left = list(decisions)

    async def approve(_: ApprovalRequest) -> Decision:
        return left.pop(0)

    async def ask(_: object) -> str:
        return "2"

    make_env(folder, SCRIBE)
    llm = ScriptedLLM([*(calls(each) for each in called), "Done"])
    async with Environment.open(folder, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(approve, ask)
        reply = await env["scribe"].receive("Go")
        for request in llm.requests:
            assert not request_violations(list(request.messages))
        return list(reply.session.history)


@pytest.mark.parametrize(
    ("decision", "name", "text"),
    [
        ("once", "once", "The user approved write_file after"),
        ("session", "session", "The user approved write_file for this session after"),
        ("no", "no", "The user refused write_file after"),
        ("never", "never", "The user refused write_file for this session after"),
        (
            EditedArguments({**WRITE, "content": "Bye\n"}),
            "edited",
            "The user approved write_file with other arguments",
        ),
    ],
)
async def test_a_decision_stands_between_the_call_and_its_result(
    tmp_path: Path, decision: Decision, name: str, text: str
) -> None:
    _, answer, record, result, _ = await history_after(tmp_path, [decision], ("write_file", WRITE))
    assert (record["role"], result["role"]) == ("approval", "tool")
    assert record["content"].startswith(text)
    assert record["call"] == answer["tool_calls"][0]["id"] == result["tool_call_id"]
    assert (record["tool"], record["path"], record["by"]) == ("write_file", ["scribe"], "user")
    assert record["decision"] == name
    assert record.get("edited") == ({**WRITE, "content": "Bye\n"} if name == "edited" else None)
    assert 0 <= record["seconds"] < 60


async def test_what_was_shown_is_recorded_with_its_digest(tmp_path: Path) -> None:
    history = await history_after(tmp_path, ["once"], ("write_file", WRITE))
    shown = dict(history[2]["shown"])
    digest = shown.pop("sha256")
    assert digest == sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
    assert shown["arguments"] == WRITE
    assert "+Hello" in shown["diff"]


async def test_a_question_and_its_answer_are_recorded(tmp_path: Path) -> None:
    asked = {"question": "Which one?", "choices": ["red", "green"]}
    history = await history_after(tmp_path, [], ("ask_human", asked))
    record = history[2]
    assert (record["role"], record["tool"], record["answer"]) == ("question", "ask_human", "green")
    assert record["content"] == "Which one?\nThe user answered: green"
    assert {key: record["shown"][key] for key in asked} == asked


async def test_a_call_that_ran_unasked_says_why(tmp_path: Path) -> None:
    other = {"path": "notes/b.txt", "content": "B\n"}
    history = await history_after(tmp_path, ["session"], ("write_file", WRITE), ("write_file", other))
    first, second = (message for message in history if message["role"] == "tool")
    assert "grant" not in first
    assert second["grant"] == "approved by the user for this session"


@pytest.mark.parametrize(
    ("capability", "options", "grant"),
    [
        ("{tool: write_file, approval: always}", {}, "approval of write: always"),
        ('{tool: write_file, allow: {path: "notes/*"}}', {}, 'allow of scribe: {"path": ["notes/*"]}'),
        ("write_file", {"allow": ["write_file"]}, "write_file is allowed for the whole run"),
    ],
)
async def test_the_grant_names_the_setting(
    tmp_path: Path, capability: str, options: dict[str, Any], grant: str
) -> None:
    make_env(tmp_path, {"scribe": f"name: scribe\ncapabilities: [{capability}]\nprompt: Write.\n"})
    llm = ScriptedLLM([calls(("write_file", WRITE)), "Done"])
    async with Environment.open(tmp_path, llm=llm, environ={}, **options) as env:
        reply = await env["scribe"].receive("Go")
    (result,) = (message for message in reply.session.history if message["role"] == "tool")
    assert result["grant"] == grant


async def test_a_call_that_needs_no_approval_has_no_grant(tmp_path: Path) -> None:
    make_env(tmp_path, {"scribe": "name: scribe\ncapabilities: [read_file]\nprompt: Read.\n"})
    llm = ScriptedLLM([calls(("read_file", {"path": "objects/scribe.yaml"})), "Done"])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        reply = await env["scribe"].receive("Go")
    assert not any("grant" in message for message in reply.session.history)


async def test_nothing_runs_if_the_approval_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Session.append

    def refuse_approvals(self: Session, *messages: Message, **more: Any) -> None:
        if messages[0]["role"] == "approval":
            raise StoreError("The disk is full.")
        append(self, *messages, **more)

    monkeypatch.setattr(Session, "append", refuse_approvals)
    history = await history_after(tmp_path, ["once"], ("write_file", WRITE))
    (result,) = (message for message in history if message["role"] == "tool")
    assert result["content"] == "Error: The disk is full."
    assert not (tmp_path / "notes").exists()


async def test_records_stand_in_the_trace_and_in_exports(tmp_path: Path) -> None:
    async def approve(_: ApprovalRequest) -> Decision:
        return "session"

    make_env(tmp_path, SCRIBE)
    other = {"path": "notes/b.txt", "content": "B\n"}
    llm = ScriptedLLM([calls(("write_file", WRITE)), calls(("write_file", other)), "Done"])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(approve)
        async for event in env["scribe"].stream("Go"):
            if isinstance(event, ToolCallStarted) and llm.requests[1:]:
                assert next(iter(env.active_turns)).steer("Quickly")
        session = env["scribe"].session_manager.current()
        (turn,) = env.storage.trace(session.id).turns
        exported = find_format("markdown").export(session)
    first, second = turn.calls
    steps = [step for step in turn.steps if isinstance(step, MessageEvent)]
    (approval,) = (step for step in steps if step.role == "approval")
    assert (approval.call, first.grant, second.grant) == (first.id, None, "approved by the user for this session")
    (steering,) = (step for step in steps if step.text == "Quickly")
    assert steering.at is not None
    assert steering.read_at is not None
    assert steering.at <= steering.read_at
    assert str(approval.text) in exported
    assert "*Ran without approval: approved by the user for this session*" in exported
    assert "*Sent during a reply, read at: " in exported
