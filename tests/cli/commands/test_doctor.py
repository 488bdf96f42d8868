"""`prompt-objects doctor`: its output for users and programs."""

import json
from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.sessions.stores.frames import digest_of
from tests.support.environments import make_env
from tests.support.program import run


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    make_env(tmp_path)
    with Environment.open(tmp_path) as environment:
        session = environment["scout"].session_manager.create("Notes")
        session.append({"role": "user", "content": "one"}, {"role": "user", "content": "two"})
    return tmp_path


@pytest.fixture
def file(env_dir: Path) -> Path:
    (file,) = (env_dir / ".prompt_objects" / "sessions").glob("*-*.json")
    return file


def test_without_problems_it_prints_one_line(env_dir: Path) -> None:
    done = run("doctor", cwd=env_dir)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Checked 1 session: no problems found.\n", "")


def test_a_problem_is_reported_then_repaired_and_then_gone(env_dir: Path, file: Path) -> None:
    torn = file.read_bytes().rstrip()[:-60]
    file.write_bytes(torn)
    found = run("doctor", cwd=env_dir)
    assert found.returncode == 1
    assert f"{file}: The file is cut off or damaged; it holds 1 whole message. To do:" in found.stdout
    assert "prompt-objects doctor --repair" in found.stdout
    assert file.read_bytes() == torn
    repaired = run("doctor", "--repair", cwd=env_dir)
    assert repaired.returncode == 0
    assert "Done:" in repaired.stdout
    assert "1 of its 2 messages were kept" in repaired.stderr
    healthy = run("doctor", cwd=env_dir)
    assert healthy.returncode == 0
    *earlier, summary = healthy.stdout.splitlines()
    assert summary == "Checked 1 session: no problems found."
    assert [line.startswith("Earlier: ") for line in earlier] == [True, True]
    assert "1 of its 2 messages were kept" in earlier[0]
    assert f"{file.with_suffix('.corrupt')} has content that could not be read" in earlier[1]
    shown = run("sessions", "show", "Notes", "--object", "scout", "--json", cwd=env_dir)
    assert [message["content"] for message in json.loads(shown.stdout)["history"]] == ["one"]


def test_json_lists_the_findings(env_dir: Path, file: Path) -> None:
    file.write_bytes(b"")
    found = json.loads(run("doctor", "--json", cwd=env_dir).stdout)
    assert set(found) == {"findings", "faults", "unused_frames", "earlier"}
    first = found["findings"][0]
    assert set(first) == {"place", "problem", "remedy", "session_id", "repaired"}
    assert (first["session_id"], first["repaired"]) == (file.stem, False)
    assert all(
        finding["repaired"]
        for finding in json.loads(run("doctor", "--repair", "--json", cwd=env_dir).stdout)["findings"]
    )


def test_lost_and_unused_request_frames_are_reported(env_dir: Path) -> None:
    with Environment.open(env_dir) as environment:
        answer = {"role": "assistant", "content": "x", "request": {"frame": digest_of(b"{}")}}
        environment["scout"].session_manager.get("Notes").append(answer, frames=[b"{}"])
        unused = environment.storage.store.frames.keep(b'{"model":"m"}')
    done = run("doctor", cwd=env_dir)
    assert (done.returncode, "No answer refers to 1 request frame." in done.stdout) == (0, True)
    (env_dir / ".prompt_objects" / "frames" / f"{digest_of(b'{}')}.json").unlink()
    found = json.loads(run("doctor", "--json", cwd=env_dir).stdout)
    assert found["unused_frames"] == [unused]
    (finding,) = found["findings"]
    assert finding["problem"] == "1 request frame of its answers cannot be read."


def test_a_faulty_definition_is_reported_and_left_to_the_user(env_dir: Path) -> None:
    (env_dir / "objects" / "scout.yaml").write_text("name: scout\n")
    for options in ([], ["--repair"]):
        done = run("doctor", *options, cwd=env_dir)
        assert done.returncode == 1
        assert "scout.yaml:1" in done.stdout
        assert "1 invalid definition" in done.stdout


def test_something_else_in_the_place_of_a_file_is_reported_and_left(env_dir: Path, file: Path) -> None:
    (file.parent / "01920000-0000-7000-8000-000000000000.json").mkdir()
    done = run("doctor", "--repair", cwd=env_dir)
    assert done.returncode == 1
    assert "Move it away." in done.stdout
