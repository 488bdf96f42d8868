"""`prompt-objects trace`: the events of a session, as text and JSON."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.testing import calls
from tests.support.documented_json import SESSION, documented
from tests.support.environments import llm_by_name, open_env
from tests.support.program import run

KINDS = {"message": "A message in a turn", "call": "A tool call in a turn"}
TEAM = {
    "boss": "name: boss\ncapabilities: [scout, read_file]\nprompt: You are boss.\n",
    "scout": "name: scout\nprompt: You are scout.\n",
}


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    asking = calls(("scout", {"message": "Look \x1b[2J"}), ("read_file", {"path": "none"}))
    llm = llm_by_name(boss=[asking, "All done."], scout=["Seen \x1b]0;x\x07"])

    async def play() -> None:
        async with open_env(tmp_path / "home", llm, TEAM) as env:
            await env["boss"].receive("Go")

    asyncio.run(play())
    return tmp_path / "home"


def test_the_tree_is_printed_cleaned_and_fits_the_width(env_dir: Path) -> None:
    for columns in ("80", "200"):
        done = run("trace", "Default", "--object", "boss", cwd=env_dir, COLUMNS=columns)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert max(map(len, lines)) < int(columns)
        assert lines[0].startswith("Default · of boss · ")
        assert any(line.startswith("→ scout  ✓ ") for line in lines)
        assert any(
            re.match(r"│ \d\d:\d\d:\d\d · boss → scout · .* · scripted · \d+ tokens in, \d+ out", line)
            for line in lines
        )
        assert any(line.startswith("✗ There is no file 'none'.") for line in lines)
        assert "\x1b" not in done.stdout


def test_programs_get_all_of_it_as_the_page_says(env_dir: Path) -> None:
    printed = json.loads(run("trace", "Default", "--object", "boss", "--json", cwd=env_dir).stdout)
    assert list(printed) == documented("A trace")
    assert list(printed["session"]) == SESSION
    (turn,) = printed["turns"]
    assert list(turn) == documented("A turn")
    for step in turn["steps"]:
        assert list(step) == documented(KINDS[step["kind"]])
    assert list(turn["own"]) == list(turn["inclusive"]) == documented("Responses, tokens and cost")
    assert (turn["own"]["responses"], turn["inclusive"]["responses"]) == (2, 3)
    scout = next(step for step in turn["steps"] if step["kind"] == "call" and step["name"] == "scout")
    assert scout["result"] == "Seen \x1b]0;x\x07"
    (below,) = scout["turns"]
    assert (below["asker"], below["object"], below["parent"]) == ("boss", "scout", turn["run"])


def test_a_trace_contains_the_turns_of_another_process(tmp_path: Path, env_dir: Path) -> None:
    run("-p", "Hello", "--object", "scout", "--session", "Default (boss)", cwd=env_dir)
    printed: dict[str, Any] = json.loads(run("trace", "Default (boss)", "--json", cwd=env_dir).stdout)
    assert [(turn["run"] is None, turn["asker"]) for turn in printed["turns"]] == [(False, "boss"), (False, None)]


def test_a_session_that_there_is_not_is_wrong_usage(env_dir: Path) -> None:
    done = run("trace", "Nowhere", cwd=env_dir)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert run("trace", cwd=env_dir).returncode == 2
