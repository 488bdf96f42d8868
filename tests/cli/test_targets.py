"""Commands that only read create, change and migrate nothing."""

import os
from pathlib import Path

import pytest

from tests.support.environments import make_env
from tests.support.program import run

OLD = "name: shield\nprompt: x\nhistory:\n  - {role: user, content: forged in 900}\n"
READING = [
    "sessions list",
    "sessions trash",
    "sessions backups",
    "objects list",
    "objects show shield",
    "doctor",
    "sessions prune --dry-run",
    "check",
]


@pytest.mark.parametrize("command", [*READING, "check", "settings", "trust --show"])
def test_a_command_that_only_reads_leaves_an_older_environment_as_it_is(tmp_path: Path, command: str) -> None:
    folder = make_env(tmp_path / "old", {"shield": OLD})
    run(*command.split(), cwd=folder)
    assert [path.name for path in folder.rglob("*")] == ["objects", "shield.yaml"]
    assert (folder / "objects" / "shield.yaml").read_text() == OLD


def test_a_reading_command_says_that_the_environment_is_older(tmp_path: Path) -> None:
    folder = make_env(tmp_path / "old", {"shield": OLD})
    notice = "This environment is of an older version. To bring it up to date: prompt-objects migrate\n"
    assert run("sessions", "list", cwd=folder).stderr.startswith(notice)
    run("migrate", cwd=folder)
    listed = run("sessions", "list", cwd=folder)
    assert "Migrated" in listed.stdout
    assert "older version" not in listed.stderr


def test_a_reading_command_does_not_create_the_personal_environment(tmp_path: Path) -> None:
    done = run("sessions", "list", cwd=tmp_path, XDG_DATA_HOME=str(tmp_path / "data"))
    assert done.returncode == 2
    assert f"prompt-objects init {tmp_path}{os.sep}data" in done.stderr
    assert not (tmp_path / "data").exists()
