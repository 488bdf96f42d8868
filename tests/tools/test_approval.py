"""Calls that write, execute or use the network need approval."""

import asyncio
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from prompt_objects.config.definition import Capability, CapabilityKind
from prompt_objects.config.permissions import ApprovalPolicy
from prompt_objects.config.yaml.document import Position
from prompt_objects.environment.environment import Environment
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import Event, ToolCallEnded
from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.approval import Approvals
from prompt_objects.tools.base import Preview, Tool
from tests.support.environments import make_env, open_env
from tests.support.interaction import Answers

WRITE = calls(("write_file", {"path": "notes/a.txt", "content": "Hello\n"}))


def env_dir(**more: str) -> dict[str, str]:
    return {"scribe": "name: scribe\ncapabilities: [write_file]\nprompt: Write.\n", **more}


async def written(
    folder: Path,
    objects: dict[str, str],
    answer: Decision | None,
    *,
    script: Any = None,
    start: str = "scribe",
    **options: Any,
) -> tuple[list[ApprovalRequest], str | None, list[str]]:
    """Run a turn that writes; return the approval requests, the content of the file, and the results."""
    asked: list[ApprovalRequest] = []

    async def ask(question: ApprovalRequest) -> Decision:
        asked.append(question)
        assert answer is not None
        return answer

    make_env(folder, objects)
    llm = ScriptedLLM(script or [WRITE, "Done"])
    async with Environment.open(folder, llm=llm, environ={}, **options) as env:
        if answer is not None:
            env.interaction.handler = Answers(approve=ask)
        reply = await env[start].receive("Go")
    file = folder / "notes" / "a.txt"
    results = [m["content"] for m in reply.session.history if m["role"] == "tool"]
    return asked, file.read_text() if file.exists() else None, results


async def test_a_write_needs_approval_and_the_request_has_its_diff(tmp_path: Path) -> None:
    asked, text, _ = await written(tmp_path, env_dir(), "once")
    (question,) = asked
    assert (question.path, question.tool, question.effect) == (("scribe",), "write_file", "write")
    assert question.arguments == {"path": "notes/a.txt", "content": "Hello\n"}
    assert "+Hello" in question.diff
    assert text == "Hello\n"


async def test_a_tool_of_a_class_with_fields_of_its_own_needs_approval_too(tmp_path: Path) -> None:
    class SignedTool(Tool, frozen=True, kw_only=True):
        key: str

    async def write(arguments: dict[str, Any], _: Context) -> str:
        (tmp_path / "signed.txt").write_text(arguments["text"])
        return "done"

    sign = SignedTool(name="sign", description="", parameters={}, run=write, effect="write", key="k")
    make_env(tmp_path, {"scribe": "name: scribe\ncapabilities: [sign]\nprompt: Write.\n"})
    llm = ScriptedLLM([calls(("sign", {"text": "Hello"})), "Done"])
    async with Environment.open(tmp_path, llm=llm, environ={}, tools=[sign]) as env:
        reply = await env["scribe"].receive("Go")
    (result,) = [m["content"] for m in reply.session.history if m["role"] == "tool"]
    assert "needs the user's approval" in result
    assert not (tmp_path / "signed.txt").exists()


async def test_without_a_user_a_write_is_refused_with_a_message_for_the_model(tmp_path: Path) -> None:
    _, text, (result,) = await written(tmp_path, env_dir(), None)
    assert text is None
    assert "needs the user's approval" in result


async def test_a_tool_allowed_in_advance_runs_without_approval(tmp_path: Path) -> None:
    assert (await written(tmp_path, env_dir(), None, allow=["write_file"]))[1] == "Hello\n"


AUTHORITY = ["notes/environment.yaml", "notes/objects/a.yaml", "a/tools/x.py", "a/HEAD", "a/Refs/x", "link/a.yaml"]


@pytest.mark.parametrize("path", [*AUTHORITY, "notes/objectives.md"])
@pytest.mark.parametrize("rule", ["approval: always", "allow: {path: '**'}", "allowed"])
async def test_a_file_that_gives_authority_needs_approval_at_any_depth_whatever_is_allowed(
    tmp_path: Path, path: str, rule: str
) -> None:
    (tmp_path / "deep" / "objects").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/objects")
    capability = "write_file" if rule == "allowed" else f"{{tool: write_file, {rule}}}"
    objects = env_dir(scribe=f"name: scribe\ncapabilities: [{capability}]\nprompt: Write.\n")
    options: dict[str, Any] = {"allow": ["write_file"]} if rule == "allowed" else {}
    write = calls(("write_file", {"path": path, "content": "x"}))
    asked, _, _ = await written(tmp_path, objects, "session", script=[write, write, "Done"], **options)
    assert len(asked) == (2 if path in AUTHORITY else 0)
    assert not any(question.for_session for question in asked)


async def test_after_a_refusal_nothing_is_written(tmp_path: Path) -> None:
    _, text, (result,) = await written(tmp_path, env_dir(), "no")
    assert text is None
    assert "did not allow" in result


@pytest.mark.parametrize(("answer", "times"), [("once", 2), ("session", 1), ("never", 1)])
async def test_a_decision_for_the_session_is_remembered(tmp_path: Path, answer: Decision, times: int) -> None:
    asked, text, _ = await written(tmp_path, env_dir(), answer, script=[WRITE, WRITE, "Done"])
    assert len(asked) == times
    assert (text is None) == (answer == "never")


async def test_what_runs_is_what_was_shown_whatever_happens_to_the_arguments_meanwhile(tmp_path: Path) -> None:
    ran: list[dict[str, Any]] = []

    async def send(arguments: dict[str, Any], _: Context) -> str:
        ran.append(arguments)
        return "sent"

    async def preview(arguments: dict[str, Any], _: Context) -> Preview:
        arguments["to"]["name"] = "eve"
        return Preview()

    async def approve(request: ApprovalRequest) -> Decision:
        shown = json.dumps(dict(request.arguments))
        request.arguments["to"]["name"] = "mallory"
        assert json.loads(shown) == {"to": {"name": "ann"}}
        return "once"

    tool = Tool("send", "Sends", {"type": "object", "properties": {}}, send, "network", preview=preview)
    make_env(tmp_path, {"scribe": "name: scribe\ncapabilities: [send]\nprompt: Send.\n"})
    llm = ScriptedLLM([calls(("send", {"to": {"name": "ann"}})), "Done"])
    async with Environment.open(tmp_path, llm=llm, environ={}, tools=[tool]) as env:
        env.interaction.handler = Answers(approve=approve)
        await env["scribe"].receive("Go")
    assert ran == [{"to": {"name": "ann"}}]


async def test_the_request_says_what_is_a_path_and_what_the_diff_shows(tmp_path: Path) -> None:
    (question,), _, _ = await written(tmp_path, env_dir(), "no")
    assert question.kinds == {"path": "path"}
    assert question.in_diff == ("path", "content")


async def test_arguments_can_be_edited(tmp_path: Path) -> None:
    answer = EditedArguments({"path": "notes/a.txt", "content": "Better\n"})
    assert (await written(tmp_path, env_dir(), answer))[1] == "Better\n"


@pytest.mark.parametrize(("policy", "text"), [("always", "Hello\n"), ("never", None)])
async def test_a_definition_can_allow_or_forbid_a_tool(tmp_path: Path, policy: str, text: str | None) -> None:
    scribe = f"name: scribe\ncapabilities: [{{tool: write_file, approval: {policy}}}]\nprompt: Write.\n"
    assert (await written(tmp_path, {"scribe": scribe}, None, allow=["write_file"]))[1] == text


@pytest.mark.parametrize(("pattern", "text"), [("notes/*", "Hello\n"), ("src/*", None)])
async def test_arguments_that_match_a_pattern_run_without_approval(
    tmp_path: Path, pattern: str, text: str | None
) -> None:
    allow = f"{{tool: write_file, allow: {{path: '{pattern}'}}}}"
    scribe = f"name: scribe\ncapabilities: [{allow}]\nprompt: Write.\n"
    assert (await written(tmp_path, {"scribe": scribe}, None))[1] == text


async def test_a_pattern_is_matched_after_links_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "notes").symlink_to(tmp_path / "secret")
    scribe = "name: scribe\ncapabilities: [{tool: write_file, allow: {path: 'notes/*'}}]\nprompt: Write.\n"
    assert (await written(tmp_path, {"scribe": scribe}, None))[1] is None


async def test_a_request_of_a_nested_delegate_has_the_whole_path(tmp_path: Path) -> None:
    objects = env_dir(
        boss="name: boss\ncapabilities: [helper]\nprompt: Ask.\n",
        helper="name: helper\ncapabilities: [scribe]\nprompt: Ask.\n",
    )
    script = [calls(("helper", {"message": "Write"})), calls(("scribe", {"message": "Write"})), WRITE, "a", "b", "c"]
    asked, text, _ = await written(tmp_path, objects, "once", script=script, start="boss")
    assert [question.path for question in asked] == [("boss", "helper", "scribe")]
    assert text == "Hello\n"


async def test_authority_only_shrinks_along_a_delegation(tmp_path: Path) -> None:
    objects = {
        "boss": "name: boss\ncapabilities: [scribe, {tool: write_file, approval: never}]\nprompt: Ask.\n",
        "scribe": "name: scribe\ncapabilities: [{tool: write_file, approval: always}]\nprompt: Write.\n",
    }
    script = [calls(("scribe", {"message": "Write"})), WRITE, "a", "b"]
    assert (await written(tmp_path, objects, "once", script=script, start="boss"))[1] is None


ALWAYS, ASKS, NOTES = "approval: always", "approval: ask", "allow: {path: 'notes/*'}"


@pytest.mark.parametrize(
    ("boss", "child", "settings", "allow", "times", "is_written"),
    [
        (ASKS, NOTES, "", (), 1, False),
        ("", ALWAYS, "", (), 1, False),
        ("", NOTES, "", (), 1, False),
        ("allow: {path: 'src/*'}", ALWAYS, "", (), 1, False),
        (NOTES, "", "", (), 1, False),
        ("", ALWAYS, "approval: {write: always}\n", (), 0, True),
        (NOTES, ALWAYS, "", (), 0, True),
        (NOTES, "allow: {path: '**/*.txt'}", "", (), 0, True),
        (NOTES, "allow: {path: '*.txt'}", "", (), 1, False),
        (ALWAYS, ALWAYS, "", (), 0, True),
        (None, ALWAYS, "", (), 0, True),
        (None, ASKS, "", (), 1, False),
        (ASKS, ALWAYS, "", ("write_file",), 0, True),
        ("approval: never", ALWAYS, "", ("write_file",), 0, False),
        (None, ALWAYS, "approval: {write: never}\n", ("write_file",), 0, False),
        ("", ALWAYS, "approval: {write: never}\n", (), 0, False),
    ],
)
async def test_a_call_runs_without_approval_only_if_every_object_on_the_path_that_has_the_tool_allows_it(  # noqa: PLR0913
    tmp_path: Path,
    *,
    boss: str | None,
    child: str,
    settings: str,
    allow: tuple[str, ...],
    times: int,
    is_written: bool,
) -> None:
    own = "" if boss is None else f", {{tool: write_file, {boss}}}"
    objects = {
        "boss": f"name: boss\ncapabilities: [scribe{own}]\nprompt: Ask.\n",
        "scribe": f"name: scribe\ncapabilities: [{{tool: write_file, {child}}}]\nprompt: Write.\n",
    }
    (tmp_path / "environment.yaml").write_text(settings)
    script = [calls(("scribe", {"message": "Write"})), WRITE, "a", "b"]
    asked, text, _ = await written(tmp_path, objects, "no", script=script, start="boss", allow=allow)
    assert (len(asked), text is not None) == (times, is_written)


async def test_a_prompt_object_with_the_name_of_a_tool_does_not_affect_the_tool(tmp_path: Path) -> None:
    objects = {
        "boss": "name: boss\ncapabilities: [{po: write_file}]\nprompt: Ask.\n",
        "write_file": "name: write_file\ncapabilities: [{tool: write_file, approval: always}]\nprompt: Write.\n",
    }
    script = [calls(("write_file", {"message": "Write"})), WRITE, "a", "b"]
    assert (await written(tmp_path, objects, None, script=script, start="boss"))[1] == "Hello\n"


async def test_the_environment_sets_the_policy_of_an_effect(tmp_path: Path) -> None:
    (tmp_path / "environment.yaml").write_text("approval: {write: always}\n")
    assert (await written(tmp_path, env_dir(), None))[1] == "Hello\n"


@pytest.mark.parametrize(("answer", "is_allowed"), [("session", True), ("never", False)])
async def test_a_call_with_a_remembered_decision_does_not_wait_for_other_requests(
    tmp_path: Path, answer: Decision, *, is_allowed: bool
) -> None:
    went_on = asyncio.Event()
    ended_first: list[bool] = []

    async def ask(question: ApprovalRequest) -> Decision:
        if question.tool == "write_file":
            return answer
        with suppress(TimeoutError):
            await asyncio.wait_for(went_on.wait(), 5)
        ended_first.append(went_on.is_set())
        return "no"

    class Listener:
        def put(self, event: Event) -> None:
            if isinstance(event, ToolCallEnded) and event.name == "write_file":
                assert event.failed is not is_allowed
                went_on.set()

    edit = ("edit_file", {"path": "known.txt", "old_text": "known", "new_text": "new"})
    write = ("write_file", {"path": "notes/a.txt", "content": "Hello\n"})
    make_env(tmp_path, {"scribe": "name: scribe\ncapabilities: [write_file, edit_file]\nprompt: Write.\n"})
    (tmp_path / "known.txt").write_text("known")
    llm = ScriptedLLM([calls(write), "Done", calls(edit, write), "Done"])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(approve=ask)
        await env["scribe"].receive("Go")
        env.bus.add_subscriber(Listener())
        await env["scribe"].receive("Again")
    assert ended_first == [True]


async def test_approval_requests_are_shown_one_at_a_time(tmp_path: Path) -> None:
    both = calls(("write_file", {"path": "a", "content": "1"}), ("write_file", {"path": "b", "content": "2"}))
    open_questions = 0

    async def ask(question: ApprovalRequest) -> Decision:
        nonlocal open_questions
        open_questions += 1
        assert open_questions == 1
        open_questions -= 1
        return "once"

    make_env(tmp_path, env_dir())
    async with Environment.open(tmp_path, llm=ScriptedLLM([both, "Done"]), environ={}) as env:
        env.interaction.handler = Answers(approve=ask)
        await env["scribe"].receive("Go")
    assert (tmp_path / "a").read_text() + (tmp_path / "b").read_text() == "12"


@pytest.mark.parametrize(
    ("kind", "own", "rule"),
    [("tool", ["hub_add"], "always"), ("mcp", ["hub_add"], "ask"), ("mcp", ["add"], "always")],
    ids=["the environment's own", "a server's, called like the environment's own", "a server's"],
)
def test_tools_allowed_in_advance_are_resolved_without_a_snapshot(
    tmp_path: Path, kind: CapabilityKind, own: Collection[str], rule: ApprovalPolicy
) -> None:
    async def add(arguments: dict[str, Any], context: Context) -> str:
        return "added"

    def look(drafts: Mapping[Path, str] = {}) -> Any:
        raise AssertionError("files are read on the event loop")

    tool = Tool("hub_add", "Adds", {"type": "object", "properties": {}}, add, "write")
    capability = Capability(kind=kind, name="hub_add" if kind == "tool" else "hub", at=Position(1, 1))
    guarded = Approvals({}, allowed=["hub_add"], local_names=lambda: own).wrap(tool, capability)
    with open_env(tmp_path, ScriptedLLM()) as env:
        context = env.context()
        assert guarded.policy(replace(context, services=replace(context.services, take_snapshot=look))) == rule
