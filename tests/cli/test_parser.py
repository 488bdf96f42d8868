"""Parsing of the command line: which spellings are accepted, and which are refused instead of ignored."""

import shlex
from argparse import Namespace
from pathlib import Path

import pytest

from prompt_objects.cli.commands import all_commands
from prompt_objects.cli.parser import parse
from prompt_objects.errors import UsageError
from tests.support.environments import make_env
from tests.support.program import run

FIRST_WORDS = dict.fromkeys(name.split()[0] for name in all_commands() if name)


def parsed(line: str) -> dict[str, object]:
    """Return the name of the command on a line, and the options that were given."""
    options = Namespace(debug=False)
    command = parse(shlex.split(line), options)
    given = {key: value for key, value in vars(options).items() if value not in (None, False)}
    return {"command": command.name, **given}


@pytest.mark.parametrize(
    "line",
    [
        "--object X --env D sessions list --json",
        "sessions --object X list --json --env=D",
        "sessions list --json --object X --env D",
        "--json sessions --env D list --object X",
        "--list-sessions --json --object X --env D",
    ],
)
def test_options_may_stand_anywhere(line: str) -> None:
    assert parsed(line) == {"command": "sessions list", "object": "X", "json": True, "env": "D"}


@pytest.mark.parametrize("line", ["chat reader -p hi", "-p hi chat reader", "chat -p hi reader", "chat -phi reader"])
def test_a_message_may_be_sent_by_chat(line: str) -> None:
    assert parsed(line) == {"command": "chat", "po": "reader", "prompt": "hi"}


def test_options_may_stand_between_positional_arguments() -> None:
    assert parsed("sessions duplicate --object X A B") == parsed("sessions duplicate A --object X B")
    for line in ("sessions rename -- A -B", "sessions rename A -- -B", "sessions rename A --object X -- -B"):
        assert (parsed(line)["key"], parsed(line)["name"]) == ("A", "-B")


@pytest.mark.parametrize("message", ["-x", "-5", "- one\n- two", "--all of it", "-"])
def test_a_message_may_begin_with_a_dash(message: str) -> None:
    for words in (["-p", message], ["--prompt", message, "chat"], ["chat", "-p", message, "--json"]):
        options = Namespace()
        parse(words, options)
        assert options.prompt == message


@pytest.mark.parametrize("line", ["-p --model m --json 'Hi all'", "chat --prompt --json 'Hi all' --model m"])
def test_a_message_may_follow_other_options(line: str) -> None:
    given = parsed(line)
    assert (given["prompt"], given["model"], given["json"]) == ("Hi all", "m", True)


def test_an_option_without_its_message_is_an_error() -> None:
    with pytest.raises(UsageError, match="-p/--prompt: expected one argument"):
        parsed("-p --model m")


def test_the_value_of_an_option_is_not_taken_for_a_command() -> None:
    assert parsed("--session sessions -p init") == {"command": "", "session": "sessions", "prompt": "init"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("init --json", "Unrecognized arguments: --json."),
        ("init --session foo", "Unrecognized arguments: --session"),
        ("--json init", "Unrecognized arguments: --json."),
        ("schema --env D", "Unrecognized arguments: --env D."),
        ("sessions list --session nosuch", "--session nosuch"),
        ("sessions export K --json", "--json"),
        ("objects list --model m", "--model m"),
        ("chat --list-sessions", "--list-sessions"),
        ("sessions list --limit -1", "must be a whole number of at least 1, not '-1'"),
        ("sessions list --limit 0", "not '0'"),
        ("sessions list --limit x", "not 'x'"),
        ("sessions show", "KEY"),
        ("sessions", "sessions: missing subcommand."),
        ("--prompt", "expected one argument"),
        ("--promp=hi", "Unrecognized arguments"),
    ],
)
def test_arguments_that_a_command_does_not_take_are_refused(line: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(line)
    assert words in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("session list", "Did you mean 'sessions'?\nTo send a message: prompt-objects -p session"),
        ("sessions lst", "Did you mean 'list'?"),
        ("objects frobnicate", "Available: list, show."),
        ("'hello you'", f"Available: {', '.join(FIRST_WORDS)}.\nTo send a message: prompt-objects -p 'hello you'"),
    ],
)
def test_the_error_for_an_unknown_command_names_the_nearest_command_or_all(line: str, hint: str) -> None:
    with pytest.raises(UsageError, match="There is no command") as caught:
        parsed(line)
    assert caught.value.hint == hint


@pytest.mark.parametrize("name", [*all_commands(), "sessions", "objects"])
def test_every_command_and_group_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parsed(f"{name} --help")
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: prompt-objects {name}".rstrip())


@pytest.mark.parametrize("line", ["sessions truncate K x", "sessions truncate K -1", "sessions branch K --at ²"])
def test_a_number_of_messages_is_a_whole_number(line: str) -> None:
    with pytest.raises(UsageError, match="must be a whole number of at least 0"):
        parsed(line)


def test_the_trash_is_listed_by_either_command(tmp_path: Path) -> None:
    env_dir = make_env(tmp_path / "home")
    run("sessions", "new", "Gone", "--object", "scout", cwd=env_dir)
    run("sessions", "delete", "Gone", cwd=env_dir)
    assert run("sessions", "list", cwd=env_dir).stdout == ""
    for words in (["list", "--trash"], ["trash"]):
        assert "Gone  scout  0 messages  deleted just now  " in run("sessions", *words, cwd=env_dir).stdout
    assert run("sessions", "list", "--trash", "--object", "helper", cwd=env_dir).stdout == ""
