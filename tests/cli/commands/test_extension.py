"""A new command is one new file: in the folder of the commands, or in an installed package."""

import json
import os
import shlex
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_objects.cli import commands, main
from prompt_objects.cli.parser import parse
from tests.support.doc_scripts import script
from tests.support.program import PROGRAM

SESSIONS = {"sessions", "sessions.backups", "sessions.copy", "sessions.manage", "sessions.watch"}
GREET = '''
from typing import Annotated

from msgspec import Meta, Struct

from prompt_objects.cli.command import DEBUG, argument, shell_command
from prompt_objects.cli.json_output import print_result


class GreetingJson(Struct):
    """A greeting."""

    text: Annotated[str, Meta(description="what is said")]


TO = argument("--to", metavar="NAME", help="the one to greet")


@shell_command("greet", TO, output=GreetingJson, examples=("greet --to Ann",))
def greet(options):
    """Greet someone."""
    print_result(options, GreetingJson(f"Hello {options.to}"), [f"Hello {options.to}"])


@shell_command("sessions greet", common=(DEBUG,))
def greet_all(options):
    """Greet all sessions."""
    return 3
'''


@pytest.fixture(autouse=True)
def _fresh_commands() -> Iterator[None]:
    clear_caches()
    yield
    clear_caches()


def clear_caches() -> None:
    commands.all_commands.cache_clear()
    commands.commands_in_group.cache_clear()


def run_in_shell(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [*PROGRAM, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_file_in_the_folder_is_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "greet.py").write_text(GREET)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert main(["greet", "--to", "Ann"]) == 0
    assert capsys.readouterr().out == "Hello Ann\n"
    assert main(["--to", "Ann", "greet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"text": "Hello Ann"}
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "\n  greet  " in capsys.readouterr().out
    page = script("commands").reference()
    for part in (
        "### `prompt-objects greet`",
        "`--to NAME` the one to greet",
        "### A greeting",
        "| `text` | text: what",
    ):
        assert part in page


def test_an_installed_package_adds_commands_and_a_broken_one_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "greetings.py").write_text(GREET)
    for name, value in {"greetings": "greetings", "broken": "no_such_module"}.items():
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{commands.GROUP}]\n{name} = {value}\n")
    done = run_in_shell(tmp_path, "greet", "--to", "Ann")
    assert (done.returncode, done.stdout) == (0, "Hello Ann\n")
    assert (
        done.stderr == "The command 'broken' of the package broken was not loaded: No module named 'no_such_module'\n"
    )
    assert run_in_shell(tmp_path, "sessions", "greet").returncode == 3
    assert "sessions greet" in run_in_shell(tmp_path, "sessions", "--help").stdout
    assert run_in_shell(tmp_path, "schema").stderr == ""  # a built-in command does not look for installed ones


@pytest.mark.parametrize(
    ("arguments", "modules"),
    [(["--version"], {"chat"}), (["schema"], {"schema"}), (["sessions", "list", "--env", "nowhere"], SESSIONS)],
)
def test_only_the_module_of_the_typed_command_is_loaded(
    tmp_path: Path, arguments: list[str], modules: set[str]
) -> None:
    code = f"""
import sys
from prompt_objects.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = done.stderr.splitlines()[-1].split()
    prefix = f"{commands.__name__}."
    assert {name.removeprefix(prefix) for name in loaded if name.startswith(prefix)} == modules
    if "--version" in arguments:
        assert not {"msgspec", "asyncio", "importlib.metadata"} & set(loaded)


def test_help_loads_declarations_but_nothing_that_a_command_needs_to_run(tmp_path: Path) -> None:
    code = "import sys\nfrom prompt_objects.cli.commands import all_commands\nall_commands()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    packages = {name.split(".")[1] for name in done.stdout.split() if name.startswith("prompt_objects.")}
    assert packages <= {"_version", "cli", "errors", "utils"}
    assert "asyncio" not in done.stdout.split()


@pytest.mark.parametrize(
    "example", [each for command in commands.all_commands().values() for each in command.examples]
)
def test_examples_can_be_parsed(example: str) -> None:
    words = shlex.split(example.partition(" > ")[0])
    assert example in parse(words, Namespace()).examples
