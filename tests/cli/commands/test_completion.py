"""The completion scripts in real shells."""

import shutil
import subprocess
from pathlib import Path

import pytest

from prompt_objects.cli.commands import all_commands
from tests.support.program import run

BASH = """
source {script}
COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_prompt_objects
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = "source {script}; complete -C {line!r} | string replace -r '\\t.*' ''"
ZSH = """
compdef() {{ : }}
_describe() {{ shift; [[ $1 = -o ]] || print -l -- ${{(P)1%%:*}}; }}
_files() {{ print -l *(/) ; [[ $1 = -/ ]] || print -l *(.) }}
compadd() {{ shift; print -l -- "$@" }}
source {script}
words=({line}); CURRENT=${{#words}}
_prompt_objects
"""
LINES = [
    ("prompt-objects ''", {"sessions", "chat", "completion", "help"}),
    ("prompt-objects sessions ''", {"list", "restore-backup", "undo"}),
    ("prompt-objects completion ''", {"bash", "zsh", "fish"}),
    ("prompt-objects sessions export --output ''", {"a file.txt", "folder"}),
    ("prompt-objects init ''", {"folder"}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    (folder / "folder").mkdir()
    (folder / "a file.txt").touch()
    return folder


def completed(shell: str, template: str, line: str, folder: Path) -> set[str]:
    """Return what a shell offers at the end of a line."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = folder / f"script.{shell}"
    if not script.exists():
        script.write_text(run("completion", shell, cwd=folder).stdout)
    code = template.format(script=script, line=line)
    done = subprocess.run([program, "-c", code], cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    assert done.stderr == ""
    return {word.rstrip("/") for word in done.stdout.splitlines()}


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_bash_offers_commands_values_and_files(line: str, expected: set[str], folder: Path) -> None:
    assert expected <= completed("bash", BASH, line, folder)


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_fish_offers_commands_values_and_files(line: str, expected: set[str], folder: Path) -> None:
    assert expected <= completed("fish", FISH, line.removesuffix("''"), folder)


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_zsh_offers_commands_values_and_files(line: str, expected: set[str], folder: Path) -> None:
    assert expected <= completed("zsh", ZSH, line, folder)


def test_bash_offers_every_command_and_the_options_of_each(folder: Path) -> None:
    for name, command in all_commands().items():
        if name in {"", "sessions list", "trust"}:
            options = {each.names[-1] for each in (*command.arguments, *command.common) if each.names[-1][0] == "-"}
            assert options <= completed("bash", BASH, f"prompt-objects {name} --", folder)
    first_words = {name.partition(" ")[0] for name in all_commands()} - {""}
    assert first_words <= completed("bash", BASH, "prompt-objects ''", folder)


def test_only_what_was_begun_is_offered(folder: Path) -> None:
    assert completed("bash", BASH, "po sessions exp", folder) == {"export"}
