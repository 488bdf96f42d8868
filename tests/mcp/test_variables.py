"""The configuration of MCP servers: variables and errors with their positions."""

from pathlib import Path

import pytest

from prompt_objects.config.environment import Config, load_config
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ConfigError

SETTINGS = """
mcp_servers:
  github: {command: gh-mcp, args: [--stdio], env: {TOKEN: "${NOT_SET}"}}
  docs: {url: "https://example.org/${NOT_SET}", headers: {X-Key: "${NOT_SET}"}, trust_hints: true}
"""


def load(folder: Path, text: str) -> Config:
    (folder / "environment.yaml").write_text(text)
    return load_config(folder, {})


def test_variables_are_substituted_only_when_a_server_starts(tmp_path: Path) -> None:
    config = load(tmp_path, SETTINGS)
    assert config.mcp_servers == {
        "github": ServerConfig(command="gh-mcp", args=("--stdio",), env={"TOKEN": "${NOT_SET}"}),
        "docs": ServerConfig(url="https://example.org/${NOT_SET}", headers={"X-Key": "${NOT_SET}"}, trust_hints=True),
    }
    assert config.notices == ()


@pytest.mark.parametrize(
    ("servers", "column", "problem", "hint"),
    [
        ("{a: {}}", 18, "`mcp_servers.a` must have exactly one of `command` and `url`", ""),
        ("{a: {command: b, url: 'http://c'}}", 18, "exactly one of `command` and `url`", ""),
        ("{a: {command: b, headers: {C: d}}}", 31, "`headers` belongs to `url`, not to `command`", ""),
        ("{a: {url: 'http://b', args: [c]}}", 36, "`args` belongs to `command`, not to `url`", ""),
        ("{a: {comand: b}}", 19, "'comand' in `mcp_servers.a`", "'command'"),
        ("{a: {url: b}}", 24, "starts with http:// or https://", ""),
        ("{a b: {command: c}}", 15, "'a b' cannot be the name of an MCP server", "at most 32 letters"),
    ],
)
def test_an_error_has_position_and_problem(
    tmp_path: Path, servers: str, column: int, problem: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"mcp_servers: {servers}\n")
    assert problem in caught.value.problem
    assert (caught.value.line, caught.value.column) == (1, column)
    assert hint in caught.value.hint
