"""The `allow` patterns of a capability, for paths in their resolved form, also of MCP servers."""

from pathlib import Path
from typing import Any

import pytest

from prompt_objects.config.definition import Capability
from prompt_objects.config.yaml.document import Position
from prompt_objects.runtime.context import Context
from prompt_objects.tools.allow import is_allowed
from prompt_objects.tools.base import Tool
from tests.support.tool_calls import context_of


async def _nothing(_: dict[str, Any], __: Context) -> str:
    return ""


def allowed(folder: Path, allow: dict[str, str], schema: dict[str, Any] | None = None, **arguments: Any) -> bool:
    tool = Tool("files_move", "", {"type": "object", "properties": schema or {}}, _nothing, "write")
    patterns = {name: (pattern,) for name, pattern in allow.items()}
    return is_allowed(
        tool, Capability(kind="mcp", name="files", at=Position(1, 1), allow=patterns), arguments, context_of(folder)
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("notes/a", True),
        ("./notes/a", True),
        ("notes/x/../a", True),
        ("notes/x/../../secret/a", False),
        ("notes/link/a", False),
        ("out/a", False),
        ("notes/.hidden", False),
        ("notes/a/b", False),
        ("~/notes/a", False),
        ("notes\\a", False),
        ("notes/a\n", False),
        ("notes/a\0", False),
        ("", False),
        (7, False),
        (None, False),
        (["notes/a", "notes/b"], True),
        (["notes/a", "secret/b"], False),
        ([], False),
    ],
)
def test_a_path_is_compared_after_it_is_resolved(tmp_path: Path, path: object, *, expected: bool) -> None:
    for name in ("notes", "secret"):
        (tmp_path / "env" / name).mkdir(parents=True)
    (tmp_path / "env" / "notes" / "link").symlink_to(tmp_path / "env" / "secret")
    (tmp_path / "env" / "out").symlink_to(tmp_path)
    assert allowed(tmp_path / "env", {"path": "notes/*"}, path=path) is expected
    assert allowed(tmp_path / "env", {"target": "notes/*"}, {"target": {"format": "path"}}, target=path) is expected


def test_an_absolute_pattern_is_compared_with_the_absolute_path(tmp_path: Path) -> None:
    env, data = tmp_path / "env", tmp_path / "data"
    data.mkdir()
    for path, expected in (
        (f"{data}/x", True),
        ("../data/x", True),
        (f"{data}/../env/x", False),
        (f"{data}x", False),
    ):
        assert allowed(env, {"path": f"{data}/**"}, path=path) is expected
    assert allowed(env, {"path": "notes/*"}, path=f"{env}/notes/a")
    assert not allowed(env, {"path": "**"}, path=f"{data}/x")


def test_the_state_of_the_environment_is_never_within_a_pattern(tmp_path: Path) -> None:
    assert not allowed(tmp_path, {"path": f"{tmp_path}/**"}, path=f"{tmp_path}/.prompt_objects/state.json")
    assert not allowed(tmp_path, {"path": ".prompt_objects/*"}, path=".prompt_objects/state.json")


def test_every_argument_that_allow_names_must_match(tmp_path: Path) -> None:
    allow = {"source": "notes/*", "url": "https://h.example/*"}
    assert allowed(tmp_path, allow, source="notes/x", url="https://h.example/a", other="anything")
    assert not allowed(tmp_path, allow, source="notes/x")
    assert not allowed(tmp_path, allow, source="notes/x", url="https://h.example/a/b")
    assert not allowed(tmp_path, {}, source="notes/x")


def test_a_command_may_be_a_list_of_words(tmp_path: Path) -> None:
    assert allowed(tmp_path, {"command": "git log **"}, command=["git", "log", "-3"])
    assert not allowed(tmp_path, {"command": "git log **"}, command=["git", "log -3"])
    assert not allowed(tmp_path, {"command": "git log **"}, command=["git", "log", "; rm"])


def test_a_saved_result_is_no_path(tmp_path: Path) -> None:
    assert not allowed(tmp_path, {"path": "**"}, path=".results/x")
