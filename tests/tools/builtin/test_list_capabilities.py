"""`list_capabilities` lists what a prompt object can use and reach, and nothing else."""

from pathlib import Path

from prompt_objects.environment.environment import Environment
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.builtin.list_capabilities import list_capabilities
from tests.support.environments import make_env
from tests.support.tool_calls import call

HOUSE = {
    "boss": """\
name: boss
capabilities: [helper, {tool: write_file, approval: never}, propose_object, list_capabilities]
prompt: Ask.
""",
    "helper": """\
name: helper
description: >
  Helps
  others
capabilities: [scout, boss, broken, edit_file]
prompt: Help.
""",
    "scout": "name: scout\ndescription: Looks\ncapabilities: [list_capabilities, http_get]\nprompt: Look.\n",
    "hermit": "name: hermit\ndescription: Keeps secrets\nprompt: Hide.\n",
    "broken": "name: [\n",
}


async def listing(folder: Path, name: str, *first: object, **options: object) -> str:
    llm = ScriptedLLM([*first, calls(("list_capabilities", {})), "Done.", "Done.", "Done."])  # type: ignore[list-item]
    async with Environment.open(make_env(folder, HOUSE), llm=llm, environ={}, **options) as env:  # type: ignore[arg-type]
        await env[name].receive("Go")
    return str(llm.requests[len(first) + 1].messages[-1]["content"])


async def test_capabilities_are_listed_with_effect_policy_and_description(tmp_path: Path) -> None:
    lines = (await listing(tmp_path, "boss")).splitlines()
    assert lines[:2] == ["You may use:", "- helper (prompt object): Helps others"]
    assert lines[2].startswith("- write_file (tool, write; not allowed here): Write a text file")
    assert lines[3].startswith("- propose_object (tool, write; needs the user's approval): Propose a new")
    assert lines[4].startswith("- list_capabilities (tool, read): List the tools and prompt objects that you may use")


async def test_only_objects_reached_through_others_are_listed_in_addition(tmp_path: Path) -> None:
    text = await listing(tmp_path, "boss")
    assert text.endswith(
        "Only through others:\n"
        "- scout (prompt object, through helper): Looks\n"
        "- broken (prompt object, through helper): its definition is invalid"
    )
    assert "hermit" not in text
    assert "http_get" not in text
    assert "edit_file" not in text


async def test_policies_of_the_objects_on_the_path_are_included(tmp_path: Path) -> None:
    way = calls(("helper", {"message": "Go"})), calls(("scout", {"message": "Go"}))
    assert "- http_get (tool, network; needs the user's approval): " in await listing(tmp_path / "a", "boss", *way)
    assert "- http_get (tool, network): " in await listing(tmp_path / "b", "scout", allow=["http_get"])


def test_outside_a_turn_the_list_is_empty(tmp_path: Path) -> None:
    assert call(list_capabilities, tmp_path) == "You may use:"
