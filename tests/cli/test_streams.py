"""Closed, full or missing standard streams and other encodings: the work is done, and the exit code is correct."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import openai_server as fake
from tests.support.openai_server import OpenAIServer
from tests.support.program import run, shell

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")

BUFFERING = pytest.mark.parametrize("unbuffered", ["", "1"])


def at(server: OpenAIServer) -> dict[str, Any]:
    return {"PROMPT_OBJECTS_MODEL": "", "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-key"}


@BUFFERING
@pytest.mark.parametrize("broken", ["2>/dev/full", "2>&-", "2> >(true)"])
def test_a_closed_standard_error_does_not_lose_the_reply(env_dir: Path, broken: str, unbuffered: str) -> None:
    message = "call list_files\nThank you"
    result = shell(f"po -p '{message}' --object scout --json {broken}", env_dir, PYTHONUNBUFFERED=unbuffered)
    assert result.returncode == 0
    assert json.loads(result.stdout)["object"] == "scout"
    (session,) = json.loads(run("sessions", "list", "--json", cwd=env_dir).stdout)
    assert session["message_count"] == 4


@BUFFERING
@pytest.mark.parametrize("broken", ["2>/dev/full", "2>&-"])
def test_an_error_without_a_reader_still_has_its_code(env_dir: Path, broken: str, unbuffered: str) -> None:
    assert shell(f"po -p x --session nope {broken}", env_dir, PYTHONUNBUFFERED=unbuffered).returncode == 2
    assert shell(f"po --bogus {broken}", env_dir, PYTHONUNBUFFERED=unbuffered).returncode == 2


@BUFFERING
@pytest.mark.parametrize(
    "what", ["-p hi", "sessions list --json", "objects list", "--version", "--help", "schema", ""]
)
def test_a_full_standard_output_is_an_error_in_words(env_dir: Path, what: str, unbuffered: str) -> None:
    result = shell(f"po {what} >/dev/full", env_dir, PYTHONUNBUFFERED=unbuffered)
    assert result.returncode == 1
    assert result.stderr.decode().splitlines()[-1] == (
        "error: Standard output cannot be written: No space left on device."
    )


@pytest.mark.parametrize("what", ["-p hi", "objects list", "--version", ""])
def test_without_a_standard_output_the_work_is_done(env_dir: Path, what: str) -> None:
    result = shell(f"po {what} >&-", env_dir)
    assert (result.returncode, result.stderr) == (0, b"")
    assert shell(f"po {what} <&- >&- 2>&-", env_dir).returncode == 0


@BUFFERING
@pytest.mark.parametrize("what", ["schema", "--help"])
def test_a_reader_that_has_seen_enough_is_no_error(env_dir: Path, what: str, unbuffered: str) -> None:
    result = shell(f"po {what} | head -c 1", env_dir, PYTHONUNBUFFERED=unbuffered)
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_broken_pipe_of_another_kind_is_no_success(env_dir: Path) -> None:
    (env_dir / "objects" / "scout.yaml").write_text("name: other\nprompt: x\n")
    assert shell("po -p hi --object scout 2> >(true)", env_dir).returncode == 1


# Encodings


ENCODINGS = [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
ANSWER = "é 漢 👩"


@pytest.mark.parametrize(("encoding", "printed"), [({}, "漢"), *((each, "\\u6f22") for each in ENCODINGS)])
def test_an_answer_that_cannot_be_encoded_is_printed_with_escapes(
    env_dir: Path, openai_server: OpenAIServer, encoding: dict[str, Any], printed: str
) -> None:
    openai_server.script(*[fake.text(ANSWER)] * 2)
    plain = run("-p", "hi", "--object", "scout", cwd=env_dir, **at(openai_server), **encoding)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert printed in plain.stdout
    as_json = run("-p", "hi", "--object", "scout", "--json", cwd=env_dir, **at(openai_server), **encoding)
    assert json.loads(as_json.stdout)["text"] == ANSWER
    for command in ("sessions show Default --json", "sessions export Default --format json"):
        shown = run(*command.split(), cwd=env_dir, **encoding)
        assert json.loads(shown.stdout)["history"][-1]["content"] == ANSWER


def test_json_without_such_characters_is_readable_as_it_is(env_dir: Path) -> None:
    made = shell("po sessions new 'Käse 漢' --object scout --json", env_dir)
    assert "Käse 漢" in made.stdout.decode()


@pytest.mark.parametrize("encoding", [{}, *ENCODINGS])
def test_input_is_utf8_in_every_locale(env_dir: Path, openai_server: OpenAIServer, encoding: dict[str, Any]) -> None:
    openai_server.script(fake.text("ok"))
    run("-p", "hé 漢", "--object", "scout", cwd=env_dir, stdin="né\r\n", **at(openai_server), **encoding)
    assert openai_server.received[-1].body["messages"][-1]["content"] == "né\n\nhé 漢"


@pytest.mark.parametrize("line", ["po -p hi --object scout", "po --object scout", r"po -p $'caf\xe9' --object scout"])
def test_input_that_is_not_utf8_is_refused_and_not_sent(
    env_dir: Path, openai_server: OpenAIServer, line: str
) -> None:
    result = shell(line, env_dir, stdin=b"" if "caf" in line else b"caf\xe9 na\xefve", **at(openai_server))
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"not UTF-8" in result.stderr
    assert not openai_server.received
    assert run("sessions", "list", cwd=env_dir).stdout == ""


# The current folder


def test_a_deleted_current_folder_matters_only_without_a_named_environment(env_dir: Path) -> None:
    (env_dir / "gone").mkdir()
    gone = f"cd {env_dir}/gone && rmdir {env_dir}/gone && po"
    assert shell(f"{gone} --env {env_dir} objects list", env_dir).returncode == 0
    (env_dir / "gone").mkdir()
    assert shell(f"{gone} objects list", env_dir, PROMPT_OBJECTS_ENV=str(env_dir)).returncode == 0
    for what in ("objects list", "--env there objects list", "init"):
        (env_dir / "gone").mkdir()
        result = shell(f"{gone} {what}", env_dir)
        assert result.returncode == 2
        assert b"current folder was deleted" in result.stderr
    assert os.listdir(env_dir / "objects")  # noqa: PTH208 - only that something is there


# Standard input and output of -p


def test_a_byte_order_mark_of_the_input_is_dropped(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(fake.text("ok"))
    run("-p", "and", "--object", "scout", cwd=env_dir, stdin="\ufeffHello", **at(openai_server))
    assert openai_server.received[-1].body["messages"][-1]["content"] == "Hello\n\nand"


def test_an_open_silent_input_is_reported_after_a_second(env_dir: Path) -> None:
    result = shell("(sleep 1.3) | po -p hi --object scout", env_dir)
    assert result.returncode == 0
    assert result.stderr == b"Waiting for the end of standard input. To send no input: </dev/null\n"


def test_a_message_into_a_closed_pipe_stops_the_turn(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(fake.text("too late", delay=30))
    result = shell("po -p hi --object scout | true", env_dir, **at(openai_server))
    assert (result.returncode, result.stdout) == (0, b"")
    assert b"nobody reads the output any more" in result.stderr
