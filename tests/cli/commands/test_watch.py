"""A session in use, from the shell: the message is refused, waits or goes to a branch; and `sessions watch`."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.documented_json import documented
from tests.support.other_process import Elsewhere
from tests.support.program import PROGRAM, run

ASK = ("-p", "Me too", "--session", "Notes", "--object", "scout")


@pytest.fixture
def key(env_dir: Path) -> str:
    made = run("sessions", "new", "Notes", "--object", "scout", "--json", cwd=env_dir)
    return str(json.loads(made.stdout)["id"])


@pytest.fixture
def other(env_dir: Path, key: str) -> Iterator[Elsewhere]:
    with Elsewhere(env_dir, key) as other:
        yield other


def contents_of(env_dir: Path, key: str) -> list[str]:
    shown = json.loads(run("sessions", "show", key, "--json", cwd=env_dir).stdout)
    return [message["content"] for message in shown["history"]]


def test_a_session_in_use_is_a_temporary_failure(env_dir: Path, key: str, other: Elsewhere) -> None:
    refused = run(*ASK, cwd=env_dir)
    error, hint = refused.stderr.splitlines()
    assert (refused.returncode, refused.stdout) == (75, "")
    assert error.startswith('error: "Notes" is in use by ')
    assert f"(process {other.pid} on " in error
    assert hint.endswith(f"prompt-objects sessions watch {key}")
    assert contents_of(env_dir, key) == ["From elsewhere"]


def test_waiting_sends_the_message_when_the_session_is_free(env_dir: Path, key: str, other: Elsewhere) -> None:
    with subprocess.Popen(
        [*PROGRAM, *ASK, "--model", "rehearsal", "--wait"],
        cwd=env_dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as waiting:  # fmt: skip
        assert waiting.stderr
        assert waiting.stdout
        assert waiting.stderr.readline().endswith("Waiting.\n")
        other.answer("An answer")
        assert waiting.stderr.readline() == "! 1 new message from another process\n"
        assert "rehearsal" in waiting.stdout.read()
    assert contents_of(env_dir, key)[:3] == ["From elsewhere", "An answer", "Me too"]


def test_after_the_waiting_time_the_message_goes_to_a_branch(env_dir: Path, key: str, other: Elsewhere) -> None:
    assert run(*ASK, "--wait", "0", cwd=env_dir).returncode == 75
    branched = run(*ASK, "--wait", "1", "--branch", "--json", cwd=env_dir)
    assert branched.returncode == 0
    assert branched.stderr.splitlines()[-1].endswith("Continuing in: Notes branch")
    assert json.loads(branched.stdout)["session"]["name"] == "Notes branch"
    assert contents_of(env_dir, "Notes branch")[0] == "Me too"
    other.answer("An answer")
    assert contents_of(env_dir, key) == ["From elsewhere", "An answer"]


@pytest.mark.parametrize("option", ["--wait", "--branch", "--wait=5"])
def test_wait_and_branch_need_a_message(env_dir: Path, option: str) -> None:
    refused = run("chat", option, cwd=env_dir)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "need a message" in refused.stderr


class Watching:
    """`sessions watch` as a process, and the lines that it printed so far."""

    def __init__(self, env_dir: Path, *arguments: str) -> None:
        self.out = env_dir / "out"
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                [*PROGRAM, "sessions", "watch", *arguments], cwd=env_dir, stdout=out, stderr=out
            )

    def wait_for(self, condition: Callable[[str], bool]) -> str:
        end = time.monotonic() + 20
        while not condition(self.out.read_text()):
            assert time.monotonic() < end, self.out.read_text()
            time.sleep(0.02)
        return self.out.read_text()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


def test_watch_prints_present_and_new_messages_until_ctrl_c(env_dir: Path, key: str, other: Elsewhere) -> None:
    watching = Watching(env_dir, "Notes")
    watching.wait_for(lambda text: "From elsewhere" in text and "in use by " in text)
    other.answer("An *answer*")
    lines = watching.wait_for(lambda text: "The session is free." in text).splitlines()
    assert [line for line in lines if "answer" in line] == ["An answer"]
    assert watching.interrupt() == 0
    assert str(other.pid) in "\n".join(lines)


def test_watch_prints_json_as_one_object_a_line(env_dir: Path, key: str, other: Elsewhere) -> None:
    watching = Watching(env_dir, key, "--json")
    watching.wait_for(lambda text: "begun" in text)
    other.answer("An answer\u2028")
    text = watching.wait_for(lambda text: "ended" in text)
    assert watching.interrupt() == 0
    first, turn, answer, ended = map(json.loads, text.splitlines())
    assert (first["event"], first["number"], first["message"]["content"]) == ("message", 1, "From elsewhere")
    assert (answer["event"], answer["number"], answer["message"]["role"]) == ("message", 2, "assistant")
    assert (turn["event"], turn["holder"]["process"], ended) == ("begun", other.pid, {"event": "ended"})
    assert list(turn["holder"]) == ["user", "process", "host", "since"]
    assert {*first, *turn} == {*documented("An event of a watched session")}


def test_deleting_a_session_in_use_names_the_process(env_dir: Path, key: str) -> None:
    with Elsewhere(env_dir, key) as other:
        warning = run("sessions", "delete", key, cwd=env_dir).stderr
        assert f"(process {other.pid} on " in warning
        assert "restores it from the trash." in warning
    run("sessions", "restore", key, cwd=env_dir)
    assert "in use" not in run("sessions", "delete", key, cwd=env_dir).stderr


def test_watching_ends_when_the_session_is_deleted(env_dir: Path, key: str) -> None:
    run("-p", "Hello", "--session", key, cwd=env_dir)
    watching = Watching(env_dir, key)
    watching.wait_for(lambda text: "Hello" in text)
    run("sessions", "delete", key, cwd=env_dir)
    assert watching.process.wait(10) == 2
    assert key in watching.out.read_text()
