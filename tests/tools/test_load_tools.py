"""The tools of an environment: its own code runs only while the user trusts it."""

from pathlib import Path

from prompt_objects.tools.base import Tool
from prompt_objects.tools.builtin.edit import write_file
from prompt_objects.tools.builtin.files import read_file
from prompt_objects.tools.loader import load_tools, read_tool_files
from prompt_objects.tools.trust import Trust, digest_of

CODE = '''
from prompt_objects import tool

@tool
def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()
'''


def test_the_built_in_tools_are_registered(tmp_path: Path) -> None:
    tools = load_tools(tmp_path).tools
    assert {"read_file", "list_files", "search_files", "write_file", "edit_file", "http_get"} <= set(tools)
    assert {"ask_human", "notes", "list_capabilities", "propose_object", "propose_change"} <= set(tools)
    assert [name for name, tool in tools.items() if tool.always_ask] == ["propose_object", "propose_change"]
    assert tools["write_file"].effect == "write"
    assert tools["http_get"].effect == "network"


def test_code_runs_only_while_it_is_trusted_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    file = tmp_path / "tools" / "loud.py"
    file.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n{CODE}")
    trust = Trust(tmp_path / "state" / "trusted.json")
    toolbox = load_tools(tmp_path, trust=trust)
    assert "shout" not in toolbox.tools
    assert "prompt-objects trust" in toolbox.notices[0]
    assert not (tmp_path / "ran").exists()

    trust.add(tmp_path, digest_of(read_tool_files(tmp_path)[0]))
    assert "shout" in load_tools(tmp_path, trust=trust).tools
    assert (tmp_path / "ran").exists()

    file.write_text(CODE)
    assert "shout" not in load_tools(tmp_path, trust=trust).tools


def test_trust_is_in_a_private_file_and_a_damaged_file_trusts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state" / "trusted.json"
    Trust(file).add(tmp_path, "abc")
    assert file.stat().st_mode & 0o777 == 0o600
    assert Trust(file).holds(tmp_path, "abc")
    assert not Trust(file).holds(tmp_path / "state", "abc")
    file.write_text("[")
    assert not Trust(file).holds(tmp_path, "abc")


def test_duplicate_tools_are_left_out_with_a_notice(tmp_path: Path) -> None:
    own, second, shadow = (
        Tool(name, "Mine", read_file.parameters, read_file.run) for name in ("mine", "mine", "write_file")
    )
    toolbox = load_tools(tmp_path, given=[own, second, shadow])
    assert toolbox.tools["mine"] is own
    assert toolbox.tools["write_file"] is write_file
    assert toolbox.notices == tuple(
        f"There is already a tool called '{name}'; that of the program is left out."
        for name in ("mine", "write_file")
    )
