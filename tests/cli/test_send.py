"""A single message from the shell: its reply on standard output, its failures as exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import openai_server as fake
from tests.support.openai_server import OpenAIServer
from tests.support.program import PROGRAM, list_sessions, run


def with_server(server: OpenAIServer) -> dict[str, str]:
    return {"PROMPT_OBJECTS_MODEL": "", "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-secret-key"}


def test_a_single_message_prints_only_the_reply_on_stdout(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(fake.calls(("list_files", {})), fake.text("There are **objects**."))
    result = run("-p", "What is there?", "--object", "scout", cwd=env_dir, **with_server(openai_server))
    assert (result.stdout, result.returncode) == ("There are **objects**.\n", 0)
    assert "list_files" in result.stderr
    assert list_sessions(env_dir)[0]["message_count"] == 4


def test_standard_input_comes_before_the_text(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(fake.text("ok"))
    run("-p", "Summarise.", "--object", "scout", cwd=env_dir, stdin="a long text\n", **with_server(openai_server))
    assert openai_server.received[-1].body["messages"][-1]["content"] == "a long text\n\nSummarise."


def test_standard_input_alone_is_the_message(env_dir: Path, openai_server: OpenAIServer) -> None:
    openai_server.script(fake.text("Hi"))
    result = run(cwd=env_dir, stdin="Hello\n", **with_server(openai_server))
    assert result.stdout == "Hi\n"
    assert openai_server.received[-1].body["messages"][-1]["content"] == "Hello"


def test_a_session_is_continued_by_id_prefix_name_and_file(env_dir: Path) -> None:
    made = json.loads(run("sessions", "new", "API notes", "--object", "scout", "--json", cwd=env_dir).stdout)
    path = env_dir / ".prompt_objects" / "sessions" / f"{made['id']}.json"
    for key in (made["id"], made["id"][:13], "API notes", str(path)):
        assert run("-p", "Hello", "--session", key, cwd=env_dir).returncode == 0
    (session,) = list_sessions(env_dir)
    assert (session["po_name"], session["message_count"]) == ("scout", 8)


def test_an_empty_message_is_wrong_usage(env_dir: Path) -> None:
    assert run("-p", "  ", cwd=env_dir).returncode == 2


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (lambda: fake.status(401, "Incorrect API key"), 1),
        (lambda: fake.status(429, retry_after="100"), 75),
        (lambda: fake.status(500, "oops"), 75),
        (lambda: fake.status(404, "no such model"), 1),
    ],
)
def test_a_model_that_fails_is_an_error_with_its_code_and_the_message_is_kept(
    env_dir: Path, openai_server: OpenAIServer, behaviour: Callable[[], fake.Behaviour], code: int
) -> None:
    openai_server.script(*[behaviour() for _ in range(4)])
    result = run("-p", "Hello", "--object", "scout", cwd=env_dir, **with_server(openai_server))
    assert result.returncode == code
    waits = [line for line in result.stderr.splitlines() if line.startswith("! Retrying in ")]
    assert len(result.stderr.splitlines()) - len(waits) <= 2
    assert "sk-secret-key" not in result.stderr
    assert list_sessions(env_dir)[0]["message_count"] == 1


def test_no_network_is_a_temporary_failure(env_dir: Path) -> None:
    environ = {"PROMPT_OBJECTS_MODEL": "m", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    result = run("-p", "Hello", "--object", "scout", cwd=env_dir, **environ)
    assert result.returncode == 75
    assert "127.0.0.1:9" in result.stderr


def test_an_interruption_saves_the_received_text_and_exits_with_130(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    openai_server.script(fake.text("one two three four five six", delay=0.2))
    process = subprocess.Popen(
        [*PROGRAM, "-p", "Count", "--object", "scout"],
        cwd=env_dir,
        env={**os.environ, **with_server(openai_server)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not any(received.path.endswith("completions") for received in openai_server.received):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    (session,) = list_sessions(env_dir)
    shown = json.loads(run("sessions", "show", session["id"], "--json", cwd=env_dir).stdout)
    assert shown["history"][1]["interrupted"] == "cancelled"
    assert shown["history"][1]["content"].startswith("one")


def test_a_single_message_does_not_load_the_terminal_libraries(env_dir: Path) -> None:
    code = (
        "import sys; from prompt_objects.cli import main; main(['-p', 'Hello']); "
        "print(*{'openai', 'prompt_toolkit', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    environ = {**os.environ, "PROMPT_OBJECTS_MODEL": "rehearsal"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=env_dir, env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert "rehearsal" in done.stdout
    assert done.stderr.strip() == ""


def test_an_answer_that_cannot_be_saved_is_printed_and_can_be_recovered(
    env_dir: Path, openai_server: OpenAIServer
) -> None:
    moved = env_dir.with_name("moved")

    def move_and_answer(exchange: fake.Exchange) -> None:
        env_dir.rename(moved)
        fake.text("A paid answer")(exchange)

    openai_server.script(move_and_answer)
    to_scout = ("--env", str(env_dir), "--object", "scout")
    result = run("-p", "Hello", *to_scout, "--json", cwd=env_dir.parent, **with_server(openai_server))
    assert result.returncode == 1
    answer = json.loads(result.stdout)
    assert (answer["text"], answer["saved"], answer["interrupted"]) == ("A paid answer", False, None)
    assert "was moved or replaced while it was in use" in result.stderr
    assert not env_dir.exists()
    offered = run("-p", "And?", "--object", "scout", cwd=moved)
    assert "A response could not be saved earlier (Default of scout" in offered.stderr
    (recovered,) = json.loads(run("sessions", "recover", "--json", cwd=moved).stdout)
    assert "A paid answer" in run("sessions", "show", recovered["id"], cwd=moved).stdout
    assert run("sessions", "recover", cwd=moved).stderr == "There is nothing to recover.\n"
