"""Long results are truncated for the model and saved completely."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import ToolError
from prompt_objects.llm.base import Request
from prompt_objects.message import Message
from prompt_objects.runtime.interaction import ApprovalRequest, Decision
from prompt_objects.sessions.session import Session
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.base import Tool
from prompt_objects.tools.decorator import tool
from prompt_objects.tools.truncation import HEAD_CHARACTERS, MAX_CHARACTERS, TAIL_CHARACTERS
from tests.support.environments import make_env
from tests.support.interaction import Answers

LINES = "\n".join(f"line {n} é" for n in range(1, 20_001))
WIDE = "".join(chr(ord("a") + n % 26) for n in range(300_000))

HOUSE = {
    "boss": "name: boss\ncapabilities: [helper, read_file, many, wide]\nprompt: Ask.\n",
    "helper": "name: helper\ncapabilities: [read_file, many]\nprompt: Help.\n",
}


@tool
def many() -> str:
    """Say very much."""
    return LINES


@tool
def wide() -> str:
    """Say very much in one line."""
    return WIDE


@tool
def failing() -> str:
    """Fail at length."""
    raise ToolError(WIDE)


TOOLS: list[Tool] = [many, wide, failing]


def results(session: Session) -> list[str]:
    return [message["content"] for message in session.history if message["role"] == "tool"]


def path_in(result: str) -> str:
    found = re.search(r"The whole result is in (\.results/[\w-]+\.txt)", result)
    assert found
    return found[1]


def reading(path: str, line: int, column: int = 1) -> tuple[str, dict[str, object]]:
    return "read_file", {"path": path, "start_line": line, "start_column": column}


def follow(result: str) -> Iterator[int]:
    """Yield line and column from which a result can be continued."""
    found = re.search(r"with start_line (\d+)(?:, start_column (\d+))?[\] …]", result)
    assert found
    yield int(found[1])
    yield int(found[2] or 1)


@pytest.mark.parametrize(("name", "whole"), [("many", LINES), ("wide", WIDE)])
async def test_the_omitted_part_can_be_read_without_a_gap(tmp_path: Path, name: str, whole: str) -> None:
    def read_on(_request: Request) -> str | Message:
        result = llm.requests[-1].messages[-1]["content"]
        first = next(m["content"] for m in llm.requests[-1].messages if m["role"] == "tool")
        more = "continue with" in result or len(llm.requests) == 2
        return calls(reading(path_in(first), *follow(result.replace("continue with", "with")))) if more else "Read."

    llm = ScriptedLLM([calls((name, {})), *(read_on for _ in range(10))])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, tools=TOOLS, environ={}) as env:
        reply = await env["boss"].receive("Go")
        file = env.storage.workspace / reply.session.id / "results" / path_in(results(reply.session)[0]).split("/")[1]
        assert file.read_text() == whole
        assert file.stat().st_mode & 0o777 == 0o600
    first, *others = results(reply.session)
    assert len(first) <= HEAD_CHARACTERS + TAIL_CHARACTERS + 300
    assert first.startswith(whole[:HEAD_CHARACTERS])
    assert first.endswith(whole[-TAIL_CHARACTERS:])
    assert (
        f"{len(whole) - HEAD_CHARACTERS - TAIL_CHARACTERS:,} of {len(whole):,} characters are omitted here" in first
    )
    parts = [re.sub(r"\n\[[^\n]* are left; continue [^\n]*\]$", "", part) for part in others]
    joint = "\n" if name == "many" else ""
    assert whole[:HEAD_CHARACTERS] + joint.join(parts) == whole


async def test_a_short_result_is_neither_truncated_nor_saved(tmp_path: Path) -> None:
    @tool
    def just() -> str:
        """Say as much as may be."""
        return "x" * MAX_CHARACTERS

    objects = {"boss": "name: boss\ncapabilities: [just]\nprompt: Ask.\n"}
    llm = ScriptedLLM([calls(("just", {})), "Done."])
    async with Environment.open(make_env(tmp_path, objects), llm=llm, tools=[just], environ={}) as env:
        reply = await env["boss"].receive("Go")
        assert results(reply.session) == ["x" * MAX_CHARACTERS]
        assert not env.storage.workspace.exists()


async def test_replies_and_errors_are_truncated_too(tmp_path: Path) -> None:
    objects = {**HOUSE, "boss": "name: boss\ncapabilities: [helper, failing]\nprompt: Ask.\n"}
    llm = ScriptedLLM([calls(("helper", {"message": "Go"})), WIDE, calls(("failing", {})), "Done."])
    async with Environment.open(make_env(tmp_path, objects), llm=llm, tools=TOOLS, environ={}) as env:
        reply = await env["boss"].receive("Go")
    answer, failure = results(reply.session)
    assert ".results/helper-" in answer
    assert failure.startswith("Error: abc")
    assert ".results/failing-" in failure


async def test_a_saved_result_is_readable_only_in_its_conversation(tmp_path: Path) -> None:
    def pass_on(_request: Request) -> Message:
        return calls(reading(path_in(llm.requests[-1].messages[-1]["content"]), 2))

    def say(_request: Request) -> str:
        return f"The whole result is in {path_in(llm.requests[-1].messages[-1]['content'])}"

    llm = ScriptedLLM([calls(("helper", {"message": "Go"})), calls(("many", {})), say, pass_on, "Done."])

    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, tools=TOOLS, environ={}) as env:
        first = (await env["boss"].receive("Go")).session
        asked, read = results(first)
        assert read.startswith("line 2 é\n")

    read_it = calls(reading(path_in(asked), 1))
    llm = ScriptedLLM([read_it, "No.", read_it, "Yes."])
    async with Environment.open(tmp_path, llm=llm, tools=TOOLS, environ={}) as env:
        manager = env["boss"].session_manager
        other = await env["boss"].receive("Go", session=manager.create("Other"))
        branch = await env["boss"].receive("Go", session=manager.branch(first.id))
    assert results(other.session)[-1].startswith("Error: There is no file")
    assert results(branch.session)[-1].startswith("line 1 é\n")


@pytest.mark.parametrize("name", ["../notes.json", ".x", "/etc/passwd", "out.txt"])
async def test_no_other_file_can_be_read_as_a_saved_result(tmp_path: Path, name: str) -> None:
    llm = ScriptedLLM([calls(("many", {})), calls(reading(f".results/{name}", 1)), "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, tools=TOOLS, environ={}) as env:
        folder = env.storage.workspace / env["boss"].session_manager.current().id / "results"
        folder.mkdir(parents=True)
        (tmp_path / "secret").write_text("secret")
        (folder / "out.txt").symlink_to(tmp_path / "secret")
        (folder.parent / "notes.json").write_text("secret")
        reply = await env["boss"].receive("Go")
    assert results(reply.session)[1].startswith("Error: ")
    assert "secret" not in results(reply.session)[1]


async def test_reading_a_saved_result_follows_the_approval_policy(tmp_path: Path) -> None:
    asked: list[ApprovalRequest] = []

    async def ask(question: ApprovalRequest) -> Decision:
        asked.append(question)
        return "once"

    def read_on(_request: Request) -> Message:
        return calls(reading(path_in(llm.requests[-1].messages[-1]["content"]), 1))

    reader = "{tool: read_file, approval: ask, allow: {path: '*'}}"
    objects = {"boss": f"name: boss\ncapabilities: [many, {reader}]\nprompt: Ask.\n"}
    llm = ScriptedLLM([calls(("many", {})), read_on, "Done."])
    async with Environment.open(make_env(tmp_path, objects), llm=llm, tools=TOOLS, environ={}) as env:
        env.interaction.handler = Answers(approve=ask)
        reply = await env["boss"].receive("Go")
    assert len(asked) == 1
    assert results(reply.session)[1].startswith("line 1")


async def test_saved_results_are_restored_and_purged_with_the_session(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("many", {})), "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, tools=TOOLS, environ={}) as env:
        manager = env["boss"].session_manager
        session = (await env["boss"].receive("Go")).session
        (kept,) = (env.storage.workspace / session.id / "results").iterdir()
        manager.delete(session.id)
        manager.restore(session.id)
        assert kept.read_text() == LINES
        manager.delete(session.id)
        manager.purge(session.id)
        assert not kept.exists()


async def test_a_result_that_cannot_be_saved_is_truncated_with_the_reason(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("many", {})), "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, tools=TOOLS, environ={}) as env:
        shutil.rmtree(env.storage.workspace, ignore_errors=True)
        env.storage.workspace.parent.mkdir(parents=True, exist_ok=True)
        env.storage.workspace.write_text("A file in the place of the folder")
        reply = await env["boss"].receive("Go")
    (result,) = results(reply.session)
    assert result.startswith("line 1 é\n")
    assert "they could not be saved" in result
    assert reply.text == "Done."
