"""The starter environment in use: the coordinator asks the reader, who reads a file, and answers."""

from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.environment.starter import make_environment
from prompt_objects.runtime.events import ToolCallEnded, TurnEnded
from prompt_objects.runtime.interaction import ApprovalRequest, Decision
from tests.support.interaction import Answers
from tests.support.messages import sent_messages
from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.strict_protocol import request_violations, violations

NOTES = "# Notes\n\nThe bridge opens in May.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_environment(tmp_path / "home")
    (tmp_path / "home" / "notes.md").write_text(NOTES)
    return tmp_path / "home"


async def asked(env: Environment, message: str) -> list[str]:
    """Ask the coordinator; return the objects and outcomes of the ended turns, in order."""
    events = [event async for event in env["coordinator"].stream(message)]
    for info in env.session_manager.list():
        history = list(env.session_manager.get(info.id).history)
        assert violations(history) == request_violations(sent_messages("", history)) == []
    assert not [event for event in events if isinstance(event, ToolCallEnded) and event.failed]
    return [f"{event.po_name} {event.outcome}" for event in events if isinstance(event, TurnEnded)]


async def test_in_rehearsal_the_coordinator_asks_the_reader_who_reads_the_file_and_back(folder: Path) -> None:
    async with Environment.open(folder, model="rehearsal", environ={}) as env:
        ended = await asked(env, "ask reader: call read_file path=notes.md")
        assert ended == ["reader answered", "coordinator answered"]
        (child,) = env["reader"].session_manager.list()
        assert child.parent
        parent = env["coordinator"].session_manager.current()
        assert child.parent.session == parent.id
        assert "The bridge opens in May." in str(list(env.session_manager.get(child.id).history))
        assert "The bridge opens in May." in parent.history[-1]["content"]


async def test_in_rehearsal_a_plain_message_sets_a_team_to_work(folder: Path) -> None:
    async with Environment.open(folder, model="rehearsal", environ={}) as env:
        ended = await asked(env, "Ask reader and critic when the bridge opens, see notes.md.")
        assert sorted(ended[:-1]) == ["critic answered", "reader answered", "reader answered"]
        assert ended[-1] == "coordinator answered"
        (first, second) = env["coordinator"].session_manager.current().history[-1]["content"].splitlines()
        assert first == "- **reader**: From notes.md: Notes The bridge opens in May."
        assert second == "- **critic**: reader: From notes.md: Notes The bridge opens in May."


async def test_all_starter_objects_are_asked_in_parallel_in_rehearsal(folder: Path) -> None:
    async with Environment.open(folder, model="rehearsal", environ={}) as env:
        others = sorted(set(env.objects) - {"coordinator"})
        ended = await asked(env, "\n".join(f"ask {name}: Hello" for name in others))
        assert sorted(ended[:-1]) == [f"{name} answered" for name in others]
        assert ended[-1] == "coordinator answered"


@pytest.mark.parametrize(("answer", "content"), [("once", "Hello"), ("no", None)])
async def test_the_writer_writes_a_file_only_after_approval(
    folder: Path, answer: Decision, content: str | None
) -> None:
    asked: list[ApprovalRequest] = []

    async def ask(question: ApprovalRequest) -> Decision:
        asked.append(question)
        return answer

    file = folder / "hello.md"
    async with Environment.open(folder, model="rehearsal", environ={}) as env:
        env.interaction.handler = Answers(approve=ask)
        await env["coordinator"].receive("ask writer: call write_file path=hello.md content=Hello")
    (question,) = asked
    assert (question.path, question.tool) == (("coordinator", "writer"), "write_file")
    assert "+Hello" in question.diff
    assert (file.read_text() if file.exists() else None) == content


async def test_over_http_the_coordinator_asks_the_reader_who_reads_the_file_and_back(
    folder: Path, openai_server: OpenAIServer
) -> None:
    openai_server.script(
        calls(("reader", {"message": "When does the bridge open? See notes.md"})),
        calls(("read_file", {"path": "notes.md"})),
        text("In May, says notes.md."),
        text("It opens in May."),
    )
    served = {"OPENAI_BASE_URL": openai_server.base_url, "OPENAI_API_KEY": "k"}
    async with Environment.open(folder, model="small", environ=served) as env:
        assert await asked(env, "When does the bridge open?") == ["reader answered", "coordinator answered"]
        assert env["coordinator"].session_manager.current().history[-1]["content"] == "It opens in May."
    sent = [received.body for received in openai_server.received if received.path.endswith("/completions")]
    assert [violations(body["messages"]) for body in sent] == [[], [], [], []]
    assert sent[2]["messages"][-1]["content"] == NOTES.rstrip()
    assert sent[3]["messages"][-1]["content"] == "In May, says notes.md."
