"""A proposed definition is written only after the user has seen and approved it."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import ToolError
from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.builtin.propose import propose_change
from tests.support.environments import make_env
from tests.support.interaction import Answers

ARCHITECT = """\
name: architect
capabilities:
  - {tool: propose_object, approval: always}
  - {tool: propose_change, approval: always}
prompt: You build.
"""
READER = """\
# Mine, and dear to me
name: 'reader'
capabilities: [read_file]   # no more than that
prompt: >-
  You read.
"""
CLERK = "name: clerk\ndescription: Writes down\ncapabilities: [write_file]\nprompt: |\n  You write.\n"
HOUSE = {"architect": ARCHITECT, "reader": READER}

Approver = Callable[[ApprovalRequest], Decision]


async def proposed(
    folder: Path, name: str, arguments: dict[str, Any], answer: Decision | Approver | None = "once", **options: Any
) -> tuple[list[ApprovalRequest], str]:
    """Let the architect propose something; return the approval requests and the tool result."""
    asked: list[ApprovalRequest] = []

    async def ask(question: ApprovalRequest) -> Decision:
        asked.append(question)
        assert answer is not None
        return answer(question) if callable(answer) else answer

    if not (folder / "objects").exists():
        make_env(folder, HOUSE)
    llm = ScriptedLLM([calls((name, {"reason": "It\nhelps.", **arguments})), "Done."])
    async with Environment.open(folder, llm=llm, environ={}, **options) as env:
        if answer is not None:
            env.interaction.handler = Answers(approve=ask)
        await env["architect"].receive("Go")
    return asked, llm.requests[1].messages[-1]["content"]


async def test_a_new_object_is_shown_completely_and_written_after_approval(tmp_path: Path) -> None:
    asked, result = await proposed(tmp_path, "propose_object", {"definition": CLERK})
    (question,) = asked
    assert question.diff.startswith("--- /dev/null\n+++ b/objects/clerk.yaml\n")
    assert "+capabilities: [write_file]" in question.diff
    assert question.remarks[0] == "It says: It helps."
    assert "clerk could use write_file, which changes files." in question.remarks
    assert not question.for_session
    file = tmp_path / "objects" / "clerk.yaml"
    assert file.read_text() == CLERK
    assert file.stat().st_mode & 0o777 == 0o600
    assert "objects/clerk.yaml is written" in result


async def test_a_change_keeps_every_other_byte_and_backs_up_the_file(tmp_path: Path) -> None:
    make_env(tmp_path, HOUSE)
    file = tmp_path / "objects" / "reader.yaml"
    file.chmod(0o640)
    change = {"name": "reader", "prompt": "You skim.\n", "add_capabilities": ["list_files"]}
    asked, result = await proposed(tmp_path, "propose_change", change)
    after = READER.replace("[read_file]", "[read_file, list_files]").replace(">-\n  You read.", "|\n  You skim.")
    assert file.read_text() == after
    assert file.stat().st_mode & 0o777 == 0o640
    assert "-  You read." in asked[0].diff
    (kept,) = (tmp_path / ".prompt_objects" / "backups" / "objects").iterdir()
    assert kept.read_text() == READER
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.name in result


async def test_a_change_takes_effect_with_the_next_message(tmp_path: Path) -> None:
    async def ask(_question: ApprovalRequest) -> Decision:
        return "once"

    make_env(tmp_path, HOUSE)
    change = {"name": "reader", "prompt": "You skim.", "reason": "Faster."}
    llm = ScriptedLLM(["Read.", calls(("propose_change", change)), "Done.", "Skimmed."])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(approve=ask)
        await env["reader"].receive("Go")
        await env["architect"].receive("Go")
        await env["reader"].receive("Go")
    assert [request.messages[0]["content"] for request in (llm.requests[0], llm.requests[-1])] == [
        "You read.",
        "You skim.",
    ]


async def test_a_markdown_definition_is_changed_in_its_parts(tmp_path: Path) -> None:
    make_env(tmp_path, {"architect": ARCHITECT})
    file = tmp_path / "objects" / "guide.md"
    file.write_bytes(b"\xef\xbb\xbf---\r\nname: guide # me\r\n---\r\n\r\nYou guide.\r\n\r\n")
    change = {"name": "guide", "prompt": "You lead.", "add_capabilities": ["read_file"], "description": "Leads"}
    await proposed(tmp_path, "propose_change", change)
    assert file.read_bytes() == (
        b"\xef\xbb\xbf---\r\nname: guide # me\r\ndescription: Leads\r\ncapabilities:\r\n  - read_file\r\n---\r\n\r\n"
        b"You lead.\r\n\r\n"
    )


async def test_joiners_that_a_script_needs_are_permitted(tmp_path: Path) -> None:
    definition = "name: clerk\r\nprompt: 👩\u200d💻 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3 ©\ufe0f क्\u200cष כ\u200cם\n"
    asked, _ = await proposed(tmp_path, "propose_object", {"definition": definition})
    assert len(asked) == 1
    assert (tmp_path / "objects" / "clerk.yaml").read_text() == definition.replace("\r\n", "\n")


async def test_removing_a_prohibition_is_reported_as_a_gained_privilege(tmp_path: Path) -> None:
    make_env(
        tmp_path,
        {
            "architect": ARCHITECT,
            "clerk": "name: clerk\ncapabilities: [{tool: write_file, approval: always}]\nprompt: You write.\n",
            "reader": "name: reader\ncapabilities:\n- clerk\n- {tool: write_file, approval: never}\nprompt: Read.\n",
        },
    )
    asked, _ = await proposed(tmp_path, "propose_change", {"name": "reader", "remove_capabilities": ["write_file"]})
    rest = "only through others, without approval: reader → clerk → write_file."
    assert asked[0].remarks[1:] == (f"Warning: reader can use write_file, which changes files, {rest}",)


@pytest.mark.parametrize("answer", ["no", "never", None])
async def test_no_setting_replaces_the_approval_of_a_proposal(tmp_path: Path, answer: Decision | None) -> None:
    """Neither `always` in the definition, nor the settings, nor --allow."""
    (tmp_path / "environment.yaml").write_text("approval: {write: always}\n")
    asked, result = await proposed(
        tmp_path, "propose_object", {"definition": CLERK}, answer, allow=["propose_object", "propose_change"]
    )
    assert len(asked) == (answer is not None)
    assert not (tmp_path / "objects" / "clerk.yaml").exists()
    assert ("needs the user's approval" if answer is None else "did not allow") in result


async def test_approval_for_the_session_counts_once(tmp_path: Path) -> None:
    asked: list[str] = []

    async def ask(question: ApprovalRequest) -> Decision:
        asked.append(question.tool)
        return "session"

    make_env(tmp_path, HOUSE)
    both = [
        calls(("propose_change", {"name": "reader", "prompt": text, "reason": "Better."})) for text in ("One", "Two")
    ]
    async with Environment.open(tmp_path, llm=ScriptedLLM([*both, "Done."]), environ={}) as env:
        env.interaction.handler = Answers(approve=ask)
        await env["architect"].receive("Go")
    assert len(asked) == 2


async def test_edited_arguments_are_checked_and_shown_again(tmp_path: Path) -> None:
    edited = EditedArguments({"definition": CLERK.replace("write_file", "read_file"), "reason": "Mine"})
    decisions: list[Decision] = ["once", edited]
    asked, _ = await proposed(tmp_path, "propose_object", {"definition": CLERK}, lambda _: decisions.pop())
    assert len(asked) == 2
    assert "+capabilities: [read_file]" in asked[1].diff
    assert "read_file" in (tmp_path / "objects" / "clerk.yaml").read_text()


async def test_a_file_that_changed_during_approval_is_shown_again(tmp_path: Path) -> None:
    make_env(tmp_path, HOUSE)
    file = tmp_path / "objects" / "reader.yaml"

    def meanwhile(_question: ApprovalRequest) -> Decision:
        file.write_text(READER + "# and more\n")
        return "once"

    asked, _ = await proposed(tmp_path, "propose_change", {"name": "reader", "prompt": "You skim."}, meanwhile)
    assert ["# and more" in question.diff for question in asked] == [False, True]
    assert file.read_text().endswith("You skim.\n# and more\n")


async def test_a_file_that_changed_after_approval_is_not_written(tmp_path: Path) -> None:
    make_env(tmp_path, HOUSE)
    file = tmp_path / "objects" / "reader.yaml"
    async with Environment.open(tmp_path, llm=ScriptedLLM([]), environ={}) as env:
        arguments = {"name": "reader", "prompt": "You skim.", "reason": "Faster."}
        assert propose_change.preview
        preview = await propose_change.preview(arguments, env.context())
        file.write_text(READER + "# and more\n")
        with pytest.raises(ToolError, match="changed after the user saw the proposal"):
            await propose_change.run(preview.arguments, env.context())
    assert file.read_text() == READER + "# and more\n"


async def test_a_file_that_was_created_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    def meanwhile(_question: ApprovalRequest) -> Decision:
        (tmp_path / "objects" / "clerk.yaml").write_text("name: clerk\nprompt: Another.\n")
        return "once"

    _, result = await proposed(tmp_path, "propose_object", {"definition": CLERK}, meanwhile)
    assert "There is already a prompt object 'clerk'" in result
    assert "Another" in (tmp_path / "objects" / "clerk.yaml").read_text()


async def test_two_concurrent_proposals_for_one_file_both_take_effect(tmp_path: Path) -> None:
    async def ask(_question: ApprovalRequest) -> Decision:
        await asyncio.sleep(0.05)
        return "once"

    make_env(tmp_path, HOUSE)
    one = ("propose_change", {"name": "reader", "prompt": "You skim.", "reason": "Faster."})
    two = ("propose_change", {"name": "reader", "description": "Reads", "reason": "Clearer."})
    async with Environment.open(tmp_path, llm=ScriptedLLM([calls(one, two), "Done."]), environ={}) as env:
        env.interaction.handler = Answers(approve=ask)
        reply = await env["architect"].receive("Go")
    results = [m["content"] for m in reply.session.history if m["role"] == "tool"]
    assert all("is written" in each for each in results)
    text = (tmp_path / "objects" / "reader.yaml").read_text()
    assert "You skim." in text
    assert "description: Reads" in text


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ("name: clerk\nprompt: x\ncapabilites: []\n", "objects/clerk.yaml:3:1: Unknown key 'capabilites'."),
        ("name: clerk\nprompt: x\ncapabilities: [reed_file]\n", "objects/clerk.yaml:3:16: Capability 'reed_file'"),
        ("name: clerk\n", "objects/clerk.yaml:1:1: There is no `prompt`."),
        ("name: [\n", "objects/proposed.yaml:2:1: This is not valid YAML"),
        ("name: ../../x\nprompt: x\n", "objects/proposed.yaml:1:7: `name` must be"),
        ("prompt: x\n", "objects/proposed.yaml:1:1: There is no `name`."),
        ("name: Reader\nprompt: x\n", "There is already a prompt object 'reader'"),
        ("name: clerk\nprompt: Do it\u202e.\n", "U+202E is invisible"),
        ("name: clerk\nprompt: \U000e0041\n", "U+E0041 is invisible"),
        ("name: clerk\nprompt: Hi\U000e0100\n", "U+E0100 is invisible"),
        ("name: clerk\nprompt: Hi\ufe01\n", "U+FE01 is invisible"),
        ("name: clerk\nprompt: ❤\ufe0f\ufe0f\n", "U+FE0F is invisible"),
        ("name: clerk\nprompt: Hi\u3164\n", "U+3164 is invisible"),
        ("name: clerk\nprompt: Hi\u2800\n", "U+2800 is invisible"),
        ("name: clerk\nprompt: क्\u200c\u200d\u200cष\n", "U+200C is invisible"),
        ("name: clerk\n# me\r# y\rcapabilities: [http_get]\nprompt: Hi\n", "U+000D is invisible"),
        ("name: clerk\nprompt: " + "x" * 1_000_001, "at most 1,000,000 bytes"),
    ],
)
async def test_an_invalid_definition_is_reported_with_its_position_without_asking_the_user(
    tmp_path: Path, definition: str, error: str
) -> None:
    asked, result = await proposed(tmp_path, "propose_object", {"definition": definition})
    assert error in result
    assert not asked
    assert sorted(file.name for file in (tmp_path / "objects").iterdir()) == ["architect.yaml", "reader.yaml"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": "reeder", "prompt": "x"}, "There is no prompt object 'reeder'. Did you mean 'reader'?"),
        ({"name": "reader"}, "The proposal changes nothing"),
        ({"name": "reader", "prompt": "You read."}, "The proposal changes nothing"),
        (
            {"name": "reader", "remove_capabilities": ["write_file"]},
            "It has no capability 'write_file'. It has: read",
        ),
        (
            {"name": "reader", "add_capabilities": ["read_file"]},
            "objects/reader.yaml:3:27: The capability 'read_file'",
        ),
        ({"name": "reader", "add_capabilities": [{"tool": "x", "aproval": "ask"}]}, "Unknown key 'aproval'"),
        ({"name": "reader", "add_capabilities": ["nobody"]}, "objects/reader.yaml:3:27: Capability 'nobody'"),
        ({"name": "reader", "prompt": "a\nb\x07"}, "The character U+0007 is invisible"),
        ({"name": "reader", "description": "a\u2028b"}, "The character U+2028 is invisible"),
        ({"name": "broken", "prompt": "x"}, "The file of broken is invalid"),
        ({"name": "linked", "prompt": "x"}, "The file of linked cannot be read"),
        ({"name": "odd", "description": "x"}, "odd cannot be changed by a proposal"),
        ({"name": "reader", "prompts": "x"}, "There is no argument 'prompts'"),
    ],
)
async def test_an_impossible_change_is_reported_without_asking_the_user(
    tmp_path: Path, change: dict[str, Any], error: str
) -> None:
    make_env(
        tmp_path,
        {**HOUSE, "broken": "name: [\n", "odd": "name: odd\ndescription: &d Odd\ntemplates: {}\nprompt: *d\n"},
    )
    (tmp_path / "linked.yaml").write_text("name: linked\nprompt: x\n")
    (tmp_path / "objects" / "linked.yaml").symlink_to(tmp_path / "linked.yaml")
    before = {file.name: file.read_bytes() for file in (tmp_path / "objects").iterdir()}
    asked, result = await proposed(tmp_path, "propose_change", change)
    assert error in result
    assert not asked
    assert {file.name: file.read_bytes() for file in (tmp_path / "objects").iterdir()} == before


async def test_the_user_sees_consequences_for_other_objects(tmp_path: Path) -> None:
    make_env(tmp_path, {**HOUSE, "boss": "name: boss\ncapabilities: [reader]\nprompt: Ask.\n"})
    change = {"name": "reader", "add_capabilities": [{"tool": "write_file", "approval": "always"}, "boss"]}
    (question,), _ = await proposed(tmp_path, "propose_change", change)
    remarks = "\n".join(question.remarks)
    assert "reader could use write_file, which changes files, without approval." in remarks
    assert "Warning: boss can use write_file, which changes files, only through others" in remarks
    assert "Note: boss → reader → boss is a cycle" in remarks


async def test_a_proposal_that_would_break_another_object_is_refused(tmp_path: Path) -> None:
    make_env(tmp_path, {**HOUSE, "user": "name: user\ncapabilities: [list_files]\nprompt: Look.\n"})
    asked, result = await proposed(tmp_path, "propose_object", {"definition": "name: list_files\nprompt: x\n"})
    assert not asked
    assert "That would break user: Capability 'list_files' is both a tool and a prompt object" in result


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_write_protected_file_is_not_changed(tmp_path: Path) -> None:
    make_env(tmp_path, HOUSE)
    (tmp_path / "objects" / "reader.yaml").chmod(0o400)
    _, result = await proposed(tmp_path, "propose_change", {"name": "reader", "prompt": "x"})
    assert "write-protected" in result
    assert (tmp_path / "objects" / "reader.yaml").read_text() == READER
