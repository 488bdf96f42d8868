"""The tools of an environment: its own code runs only while the user trusts it."""

from pathlib import Path

from prompt_objects.tools.base import Tool
from prompt_objects.tools.builtin.edit import write_file
from prompt_objects.tools.builtin.files import read_file
from prompt_objects.tools.loader import load_tools

CODE = '''
from prompt_objects import tool

@tool
def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()
'''


def test_the_built_in_tools_are_registered(tmp_path: Path) -> None:
    tools = load_tools(tmp_path, is_trusted=bool).tools
    assert {"read_file", "list_files", "search_files", "write_file", "edit_file", "http_get"} <= set(tools)
    assert {"ask_human", "notes", "list_capabilities", "propose_object", "propose_change"} <= set(tools)
    assert [name for name, tool in tools.items() if tool.always_ask] == ["propose_object", "propose_change"]
    assert tools["write_file"].effect == "write"
    assert tools["http_get"].effect == "network"


def test_code_runs_only_if_exactly_its_content_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    file = tmp_path / "tools" / "loud.py"
    file.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n{CODE}")
    toolbox = load_tools(tmp_path, is_trusted=lambda _: False)
    assert "shout" not in toolbox.tools
    assert "prompt-objects trust" in toolbox.notices[0]
    assert not (tmp_path / "ran").exists()

    content = file.read_bytes()
    assert "shout" in load_tools(tmp_path, is_trusted=lambda files: files == {file: content}).tools
    assert (tmp_path / "ran").exists()


def test_duplicate_tools_are_left_out_with_a_notice(tmp_path: Path) -> None:
    own, second, shadow = (
        Tool(name, "Mine", read_file.parameters, read_file.run) for name in ("mine", "mine", "write_file")
    )
    toolbox = load_tools(tmp_path, given=[own, second, shadow], is_trusted=bool)
    assert toolbox.tools["mine"] is own
    assert toolbox.tools["write_file"] is write_file
    assert toolbox.notices == tuple(
        f"There is already a tool called '{name}'; that of the program is left out."
        for name in ("mine", "write_file")
    )
