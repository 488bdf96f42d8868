"""The output of `--json` has exactly the keys that docs/commands.md documents."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.documented_json import OBJECT, SESSION, documented
from tests.support.environments import OBJECTS, make_env
from tests.support.program import run

FAULTY = {**OBJECTS, "faulty": "name: faulty\nprompt: x\nnonsense: 1\n"}


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    return make_env(tmp_path / "home", FAULTY)


def printed(*arguments: str, cwd: Path) -> Any:
    return json.loads(run(*arguments, "--json", cwd=cwd).stdout)


def test_the_page_lists_the_keys_that_scripts_rely_on() -> None:
    assert SESSION == [
        "id", "name", "po_name", "message_count", "created_at", "updated_at", "user_id", "parent", "tags",
        "prompt_tokens", "completion_tokens", "cached_tokens", "cost", "archived",
    ]  # fmt: skip
    assert OBJECT == ["name", "description", "model", "capabilities", "file", "fault"]


def test_an_answer_has_the_documented_keys(env_dir: Path) -> None:
    answer = printed("-p", "Hello", "--object", "scout", cwd=env_dir)
    assert list(answer) == documented("A reply")
    assert (answer["object"], answer["session"]["name"], answer["model"]) == ("scout", "Default", "rehearsal")
    assert list(answer["session"]) == ["id", "name"]
    assert list(answer["usage"]) == ["prompt_tokens", "completion_tokens", "cached_tokens"]


def test_every_command_prints_sessions_with_the_documented_keys(env_dir: Path) -> None:
    made = printed("sessions", "new", "One", "--object", "scout", cwd=env_dir)
    renamed = printed("sessions", "rename", "One", "Two", cwd=env_dir)
    copied = printed("sessions", "duplicate", "Two", "Three", cwd=env_dir)
    listed = printed("sessions", "list", cwd=env_dir)
    deleted = printed("sessions", "delete", "Three", cwd=env_dir)
    (trashed,) = printed("sessions", "list", "--trash", cwd=env_dir)
    restored = printed("sessions", "restore", cwd=env_dir)
    for fields in (made, renamed, copied, deleted, restored, *listed):
        assert list(fields) == SESSION
    assert list(trashed) == [*SESSION, *documented("A session in the trash")]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", made["created_at"])
    assert (made["parent"], made["tags"], made["user_id"]) == (None, [], None)


def test_management_commands_print_the_documented_keys(env_dir: Path, tmp_path: Path) -> None:
    made = printed("sessions", "new", "One", "--object", "scout", cwd=env_dir)
    run("-p", "Hello", "--session", "One", cwd=env_dir)
    branched = printed("sessions", "branch", "One", "--at", "1", cwd=env_dir)
    assert (branched["name"], branched["message_count"]) == ("One branch", 1)
    truncated = printed("sessions", "truncate", "One", "1", cwd=env_dir)
    cleared = printed("sessions", "clear", "One", cwd=env_dir)
    undone = printed("sessions", "undo", cwd=env_dir)
    assert list(undone) == documented("An undone command")
    assert (undone["operation"], undone["session"]["message_count"]) == ("clear", 1)
    archived = printed("sessions", "archive", "One", cwd=env_dir)
    assert (archived["archived"], archived["id"]) == (True, made["id"])
    for fields in (branched, truncated, cleared, undone["session"], archived):
        assert list(fields) == SESSION
    saved = printed("sessions", "backup", cwd=env_dir)
    assert list(saved) == documented("The result of a backup")
    listed = printed("sessions", "backups", cwd=env_dir)
    assert sorted(each["file"] for each in listed) == sorted(saved["saved"])
    assert all(list(each) == documented("A backup") for each in listed)
    assert printed("sessions", "restore-backup", listed[0]["file"], cwd=env_dir)["name"].startswith("One")
    pruned = printed("sessions", "prune", "--dry-run", cwd=env_dir)
    assert pruned == {"dry_run": True, "empty": [], "trashed": [], "logs": [], "backups": [], "frames": []}
    assert list(pruned) == documented("The result of `sessions prune`")
    (trashed,) = printed("sessions", "trash", cwd=env_dir)
    assert list(trashed) == [*SESSION, *documented("A session in the trash")]
    copied = printed("sessions", "copy", "--to", f"files:{tmp_path / 'target'}", cwd=env_dir)
    assert list(copied) == documented("A copy of a store")
    assert copied["counts"]["copied"] == len(copied["sessions"]) == 4
    assert list(copied["sessions"][0]) == ["id", "name", "po_name", "outcome", "in_trash", "renamed"]
    (gone,) = printed("sessions", "purge", "--yes", cwd=env_dir)
    assert list(gone) == SESSION


def test_a_session_started_by_a_prompt_object_names_the_call(env_dir: Path) -> None:
    run("-p", "ask scout: Hello", "--object", "boss", cwd=env_dir)
    by_object = {session["po_name"]: session for session in printed("sessions", "list", cwd=env_dir)}
    assert list(by_object["scout"]["parent"]) == ["session", "call"]
    assert by_object["scout"]["parent"]["session"] == by_object["boss"]["id"]


def test_valid_and_faulty_prompt_objects_have_the_documented_keys(env_dir: Path) -> None:
    listed = {each["name"]: each for each in printed("objects", "list", cwd=env_dir)}
    assert all(list(each) == OBJECT for each in listed.values())
    assert "nonsense" in listed["faulty"]["fault"]
    assert listed["faulty"]["file"] == str(env_dir / "objects" / "faulty.yaml")
    assert listed["scout"]["fault"] is None
    shown = printed("objects", "show", "scout", cwd=env_dir)
    assert list(shown) == [*OBJECT, *documented("A prompt object with its prompt")]
