"""From the shell, code of an environment needs trust, and tools that ask need approval."""

from pathlib import Path

import pytest

from tests.support.environments import make_env
from tests.support.program import run

CODE = '''
from prompt_objects import tool

@tool
def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()
'''
OBJECTS = {
    "loud": "name: loud\ncapabilities: [shout]\nprompt: Shout.\n",
    "scribe": "name: scribe\ncapabilities: [write_file]\nprompt: Write.\n",
}
WRITE = 'call write_file {"path": "a.txt", "content": "Hello"}'


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    make_env(tmp_path, OBJECTS)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "loud.py").write_text(CODE)
    return tmp_path


def test_code_runs_once_it_is_trusted_and_not_after_it_changed(env_dir: Path) -> None:
    state = {"XDG_STATE_HOME": str(env_dir / "state"), "HOME": str(env_dir)}
    assert "there is no such tool" in run("-p", "call shout text=hi", "chat", "loud", cwd=env_dir, **state).stderr
    assert run("trust", cwd=env_dir, **state).returncode == 2  # no terminal for a question
    trusted = run("trust", "--yes", cwd=env_dir, **state)
    assert "loud.py" in trusted.stdout
    assert "Trusted until one of them changes." in trusted.stdout
    assert "Already trusted." in run("trust", cwd=env_dir, **state).stdout
    assert "HI" in run("-p", "call shout text=hi", "chat", "loud", cwd=env_dir, **state).stdout
    (env_dir / "tools" / "loud.py").write_text(CODE + "\n# changed\n")
    assert run("-p", "call shout text=hi", "chat", "loud", cwd=env_dir, **state).returncode == 1


def test_without_a_terminal_a_write_is_refused_unless_allowed(env_dir: Path) -> None:
    refused = run("-p", WRITE, "chat", "scribe", cwd=env_dir)
    assert refused.returncode == 0
    assert "needs the user's approval" in refused.stdout + refused.stderr
    assert not (env_dir / "a.txt").exists()
    misspelt = run("-p", WRITE, "--allow", "wirte_file", "chat", "scribe", cwd=env_dir)
    assert misspelt.returncode == 2
    assert "--allow wirte_file: there is no tool with that name.\nDid you mean 'write_file'?" in misspelt.stderr
    assert run("-p", WRITE, "--allow", "write_file", "chat", "scribe", cwd=env_dir).returncode == 0
    assert (env_dir / "a.txt").read_text() == "Hello"


def test_an_environment_without_code_needs_no_trust(tmp_path: Path) -> None:
    make_env(tmp_path)
    output = run("trust", cwd=tmp_path)
    assert output.returncode == 0
    assert "Nothing to trust" in output.stdout


def test_trust_shows_the_command_and_variables_of_a_server_as_configured(tmp_path: Path) -> None:
    make_env(tmp_path)
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / "x.py").write_text("")
    (tmp_path / "servers" / "y.py").write_text("")
    given = "{PYTHONPATH: servers, TOKEN: '${TOKEN}'}"
    server = f"{{command: python, args: [servers/x.py], env: {given}}}"
    (tmp_path / "environment.yaml").write_text(f"mcp_servers: {{own: {server}}}\n")
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path), "TOKEN": "sk-secret"}
    output = run("trust", "--yes", cwd=tmp_path, **state).stdout
    assert "own: python servers/x.py (receives PYTHONPATH=servers, TOKEN=${TOKEN})" in output
    assert "2 files in total, including those in the same folders" in output
    assert "sk-secret" not in output
    assert "Already trusted." in run("trust", cwd=tmp_path, **state).stdout
    (tmp_path / "servers" / "y.py").write_text("changed")
    assert "Already trusted." not in run("trust", cwd=tmp_path, **state).stdout
