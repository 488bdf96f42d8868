"""`sessions show --request` prints what was sent, and `--diff` what changed."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.support.environments import make_env
from tests.support.openai_server import OpenAIServer, text
from tests.support.program import run, shell


@pytest.fixture
def env_dir(tmp_path: Path, openai_server: OpenAIServer) -> Path:
    """An environment with a session of two answers, with different prompts."""
    env_dir = make_env(tmp_path, {"scout": "name: scout\nprompt: Look “well”.\n"})
    openai_server.script(text("One."), text("Two."))
    environ = {"PROMPT_OBJECTS_MODEL": "small", "OPENAI_BASE_URL": openai_server.base_url}
    run("-p", "Hello", cwd=env_dir, **environ)
    (env_dir / "objects" / "scout.yaml").write_text("name: scout\nprompt: Be kind.\n")
    told = run("-p", "Again", cwd=env_dir, **environ)
    change = "Since the last answer in this session, the prompt changed at line 1."
    assert told.stderr == f"{change} --pin keeps the recorded prompt and model.\n"
    return env_dir


def test_a_request_is_printed_as_the_server_got_it(env_dir: Path, openai_server: OpenAIServer) -> None:
    for number, received in enumerate(openai_server.received, 1):
        done = shell(f"po sessions show Default --request {number}", env_dir)
        assert (done.stdout, done.returncode) == (received.raw, 0)
    stored = json.loads(run("sessions", "show", "Default", "--json", cwd=env_dir).stdout)
    record = stored["history"][1]["request"]
    assert record["sha256"] == hashlib.sha256(openai_server.received[0].raw).hexdigest()
    assert stored["frames"][record["frame"]]["prompt"] == "Look “well”."


def test_the_difference_of_two_requests_is_printed(env_dir: Path) -> None:
    done = run("sessions", "show", "Default", "--diff", "1", "2", cwd=env_dir)
    assert done.returncode == 0
    assert "-  Look “well”.\n+  Be kind." in done.stdout
    same = run("sessions", "show", "Default", "--diff", "2", "2", cwd=env_dir)
    assert (same.stdout, same.stderr) == ("", "The requests are equal.\n")


def test_a_request_that_is_not_exact_says_so_and_fails(env_dir: Path) -> None:
    (file,) = (env_dir / ".prompt_objects" / "sessions").glob("0*.json")
    file.write_bytes(file.read_bytes().replace(b'"content":"Hello"', b'"content":"Olleh"'))
    done = run("sessions", "show", "Default", "--request", "1", cwd=env_dir)
    assert done.returncode == 1
    assert "Olleh" in done.stdout
    assert (
        done.stderr == "This is not exactly what was sent: the messages, or the program, have changed since then.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ("--request", "3"),
            "error: There is no answer 3: the session has 2 answers.\nAnswers are counted from 1.\n",
        ),
        (
            ("--diff", "1", "9"),
            "error: There is no answer 9: the session has 2 answers.\nAnswers are counted from 1.\n",
        ),
        (("--request", "0"), "must be a whole number of at least 1, not '0'"),
        (("--diff", "1"), "expected 2 arguments"),
    ],
)
def test_wrong_numbers_are_refused(env_dir: Path, arguments: tuple[str, ...], problem: str) -> None:
    done = run("sessions", "show", "Default", *arguments, cwd=env_dir)
    assert done.returncode == 2
    assert problem in done.stderr


def test_missing_records_and_frames_are_named(env_dir: Path) -> None:
    store = env_dir / ".prompt_objects"
    (file,) = (store / "sessions").glob("0*.json")
    for frame in (store / "frames").iterdir():
        frame.unlink()
    missing = run("sessions", "show", "Default", "--request", "1", cwd=env_dir)
    assert missing.stderr.endswith(" is missing.\nA backup may have it.\n")
    file.write_bytes(file.read_bytes().replace(b'"request":', b'"no_more":'))
    unrecorded = run("sessions", "show", "Default", "--request", "1", cwd=env_dir)
    assert unrecorded.stderr.startswith("error: The request for this answer is not recorded.\n")
    assert {missing.returncode, unrecorded.returncode} == {2}


def test_the_recorded_prompt_is_kept_with_pin(env_dir: Path, openai_server: OpenAIServer) -> None:
    (env_dir / "objects" / "scout.yaml").write_text("name: scout\nprompt: Be loud.\n")
    openai_server.script(text("Three."))
    environ = {"PROMPT_OBJECTS_MODEL": "large", "OPENAI_BASE_URL": openai_server.base_url}
    told = run("-p", "Pinned", "--pin", cwd=env_dir, **environ)
    body = openai_server.received[-1].body
    assert (body["messages"][0]["content"], body["model"]) == ("Be kind.", "small")
    assert told.stderr.endswith("It keeps the recorded prompt and model.\n")
