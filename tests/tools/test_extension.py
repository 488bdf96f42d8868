"""A new tool is one new file: nothing else is edited, and a prompt object can call it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_objects import Environment
from prompt_objects.runtime.interaction import ApprovalRequest, Decision
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools import builtin
from tests.support.interaction import Answers

TOOL = '''
from prompt_objects import tool


def preview_shout(text: str) -> str:
    return f"+{text.upper()}"


@tool(effect="write", preview=preview_shout)
def shout(text: str) -> str:
    """Return a text in capital letters."""
    return text.upper()
'''


def in_tools_folder(environment: Path, _other: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    (environment / "tools").mkdir()
    (environment / "tools" / "loud.py").write_text(TOOL)


def in_builtin_package(_environment: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (other / "loud_builtin.py").write_text(TOOL)
    (other / "_helper.py").write_text("raise AssertionError('modules that begin with _ are not imported')")
    monkeypatch.setattr(builtin, "__path__", [*builtin.__path__, str(other)])


def in_installed_package(_environment: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (other / "loud_package.py").write_text(TOOL)
    metadata = other / "loud-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[prompt_objects.tools]\nshout = loud_package:shout\n")
    monkeypatch.syspath_prepend(other)


@pytest.mark.parametrize("add_tool", [in_tools_folder, in_builtin_package, in_installed_package])
async def test_a_tool_in_one_new_file_can_be_called_and_shows_its_own_preview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, add_tool: Callable[[Path, Path, pytest.MonkeyPatch], None]
) -> None:
    environment, other = tmp_path / "environment", tmp_path / "other"
    (environment / "objects").mkdir(parents=True)
    other.mkdir()
    (environment / "objects" / "a.yaml").write_text("name: a\ncapabilities: [shout]\nprompt: Shout.\n")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    add_tool(environment, other, monkeypatch)
    requests: list[ApprovalRequest] = []

    async def approve(request: ApprovalRequest) -> Decision:
        requests.append(request)
        return "once"

    llm = ScriptedLLM([calls(("shout", {"text": "hello"})), "Done."])
    async with Environment.open(environment, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(approve=approve)
        await env["a"].receive("Go")
    assert llm.requests[1].messages[-1]["content"] == "HELLO"
    assert [request.diff for request in requests] == ["+HELLO"]


def test_importing_the_registry_imports_no_built_in_tool() -> None:
    code = "import sys, prompt_objects.tools.loader; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if name.startswith("prompt_objects.tools.builtin")] == [
        "prompt_objects.tools.builtin"
    ]
