"""Looking after sessions from the shell: undo, trash, archive, backups, pruning, copying."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import make_house
from tests.support.program import PROGRAM, run


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An environment with a session of two messages."""
    house = make_house(tmp_path / "house")
    run("sessions", "new", "Notes", "--object", "scout", cwd=house)
    run("-p", "Hello there", "--session", "Notes", cwd=house)
    return house


def names(house: Path, *more: str) -> list[str]:
    listed: list[dict[str, Any]] = json.loads(run("sessions", "list", "--json", *more, cwd=house).stdout)
    return sorted(session["name"] for session in listed)


def test_truncate_rename_and_delete_can_be_undone(house: Path) -> None:
    cut = run("sessions", "truncate", "Notes", "1", cwd=house)
    assert cut.stdout.startswith("Truncated: Notes (")
    assert cut.stderr == "Undo it with: prompt-objects sessions undo\n"
    assert run("sessions", "undo", cwd=house).stdout == "Session Notes is as it was before, 2 messages.\n"
    run("sessions", "clear", "Notes", cwd=house)
    assert run("sessions", "undo", "--object", "helper", cwd=house).returncode == 2
    run("sessions", "rename", "Notes", "Other", cwd=house)
    run("sessions", "delete", "Other", cwd=house)
    told = [run("sessions", "undo", cwd=house).stdout for _ in range(3)]
    assert told == [
        "Session Other is back, 0 messages.\n",
        "Session Notes has its old name again.\n",
        "Session Notes is as it was before, 2 messages.\n",
    ]
    nothing = run("sessions", "undo", cwd=house)
    assert (nothing.returncode, nothing.stderr) == (2, "error: There is nothing to undo.\n")


def test_purge_needs_confirmation(house: Path) -> None:
    run("sessions", "delete", "Notes", cwd=house)
    refused = run("sessions", "purge", cwd=house)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert "Notes" in run("sessions", "trash", cwd=house).stdout
    done = run("sessions", "purge", "Notes", "--yes", cwd=house)
    assert (done.returncode, done.stderr) == (0, "1 session permanently removed.\n")
    assert run("sessions", "purge", cwd=house).stderr == "0 sessions permanently removed.\n"


@pytest.mark.terminal
@pytest.mark.parametrize(("typed", "left"), [("y", 0), ("", 1), ("no", 1)])
def test_purge_asks_in_a_terminal(house: Path, typed: str, left: int) -> None:
    import pty

    run("sessions", "delete", "Notes", cwd=house)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "sessions", "purge"], cwd=house, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.write(ours, typed.encode() + b"\n")
        _, told = process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert told.startswith(b"Permanently remove 1 session from the trash? [y/N]\n")
    assert len(json.loads(run("sessions", "trash", "--json", cwd=house).stdout)) == left


def test_an_archived_session_can_be_continued(house: Path) -> None:
    assert run("sessions", "archive", "Notes", cwd=house).stdout.startswith("Archived: Notes")
    assert "Hello there" in run("sessions", "show", "Notes", cwd=house).stdout
    run("-p", "More", "--session", "Notes", cwd=house)
    (session,) = json.loads(run("sessions", "list", "--json", cwd=house).stdout)
    assert (session["message_count"], session["archived"]) == (4, False)


def test_backups_are_made_listed_and_restored(house: Path) -> None:
    made = run("sessions", "backup", cwd=house)
    assert made.stderr == "1 session backed up, 0 old backups removed.\n"
    assert run("sessions", "backup", cwd=house).stdout == ""
    assert run("sessions", "backup", "Notes", cwd=house).stdout == made.stdout
    name = Path(made.stdout.strip()).name
    listed = run("sessions", "backups", cwd=house).stdout
    assert listed.split() == [name, "2", "messages", "just", "now", "Notes"]
    run("sessions", "delete", "Notes", cwd=house)
    run("sessions", "purge", "--yes", cwd=house)
    assert "not in this store" in run("sessions", "backups", cwd=house).stdout
    assert run("sessions", "restore-backup", name, cwd=house).stdout.startswith("Restored: Notes (")
    assert "Hello there" in run("sessions", "show", "Notes", cwd=house).stdout
    assert run("sessions", "restore-backup", "nothing.json.gz", cwd=house).returncode == 2
    (house / "torn.json.gz").write_bytes(Path(made.stdout.strip()).read_bytes()[:50])
    torn = run("sessions", "restore-backup", "torn.json.gz", cwd=house)
    assert torn.returncode == 1
    assert "not a complete backup" in torn.stderr


def test_prune_lists_what_is_removed_also_in_a_dry_run(house: Path) -> None:
    run("sessions", "delete", "Notes", cwd=house)
    (trashed,) = (house / ".prompt_objects" / "sessions" / "trash").glob("*.json")
    moment = time.time() - 31 * 86_400
    os.utime(trashed, (moment, moment))
    looked = run("sessions", "prune", "--dry-run", cwd=house)
    assert looked.stdout.startswith("from the trash  Notes (")
    assert looked.stdout.endswith("0 empty sessions, 1 from the trash, 0 logs, 0 backups\n")
    assert "dry run" in looked.stderr
    assert trashed.exists()
    assert run("sessions", "prune", cwd=house).stdout == looked.stdout
    assert not trashed.exists()


def test_copy_reports_sessions_that_differ(house: Path, tmp_path: Path) -> None:
    target = f"files:{tmp_path / 'target'}"
    first = run("sessions", "copy", "--to", target, cwd=house)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "total  1 copied, 0 completed, 0 same, 0 different, 0 damaged\n"
    assert names(house, "--store", target) == ["Notes"]
    run("sessions", "rename", "Notes", "Other", cwd=house)
    assert run("sessions", "undo", "--store", target, cwd=house).returncode == 2
    assert run("sessions", "undo", cwd=house).returncode == 0
    run("-p", "Elsewhere", "--session", "Notes", "--store", target, cwd=house)
    run("-p", "Here", "--session", "Notes", cwd=house)
    second = run("sessions", "copy", "--to", target, cwd=house)
    assert second.returncode == 1
    assert second.stdout.startswith("different  Notes (")
    back = run(
        "sessions", "copy", "--from", target, "--to", "files:back", cwd=tmp_path, PROMPT_OBJECTS_ENV=str(house)
    )
    assert back.returncode == 0
    assert (house / "back" / "sessions").is_dir()


@pytest.mark.parametrize("url", ["files:typod", "sqlite:///typo.db", "files:objects"])
def test_copy_refuses_a_missing_source_and_does_not_create_it(house: Path, url: str) -> None:
    before = sorted(house.rglob("*"))
    refused = run("sessions", "copy", "--from", url, "--to", "files:target", cwd=house)
    assert refused.returncode == 2
    assert "has no sessions: there is no " in refused.stderr
    assert sorted(house.rglob("*")) == before


@pytest.mark.parametrize("urls", [("--to", "memory:"), ("--from", "memory:", "--to", "files:target")])
def test_copy_refuses_the_memory_store(house: Path, urls: tuple[str, ...]) -> None:
    refused = run("sessions", "copy", *urls, cwd=house)
    assert refused.returncode == 2
    assert "gone when the copying ends" in refused.stderr


def test_copy_reports_another_name_in_the_target(house: Path) -> None:
    run("sessions", "copy", "--to", "files:target", cwd=house)
    run("sessions", "rename", "Notes", "Travel", cwd=house)
    again = run("sessions", "copy", "--to", "files:target", cwd=house)
    assert again.returncode == 0
    assert again.stdout.startswith("renamed  Travel (")
    assert " is called Notes there\n" in again.stdout


def test_backups_of_another_store_are_marked(house: Path) -> None:
    run("sessions", "backup", cwd=house)
    (house / "environment.yaml").write_text("store: files:elsewhere\n")
    assert run("sessions", "backups", cwd=house).stdout.endswith("not in this store\n")


def test_the_store_is_set_in_the_file_or_by_an_option(house: Path, tmp_path: Path) -> None:
    (house / "environment.yaml").write_text("store: files:elsewhere\n")
    assert names(house) == []
    run("sessions", "new", "There", "--object", "scout", cwd=house)
    assert (house / "elsewhere" / "sessions").is_dir()
    assert names(house, "--store", "files:.prompt_objects") == ["Notes"]
    assert run("sessions", "list", "--store", "nowhere:x", cwd=house).returncode == 2


def test_a_password_is_not_shown(house: Path) -> None:
    for where in (
        ["list", "--store", "nosuch://ann:s3cret@host/x"],
        ["copy", "--to", "nosuch://ann:s3cret@host/x"],
        ["list", "--store", "postgresql://ann:ab@s3cret@127.0.0.1/x"],
        ["list", "--store", "postgresql://ann:ab@top/s3cret@127.0.0.1/x"],
    ):
        result = run("sessions", *where, cwd=house)
        assert result.returncode == 2
        assert "s3cret" not in result.stdout + result.stderr


def test_the_error_for_a_full_session_names_the_setting(house: Path) -> None:
    (house / "environment.yaml").write_text("max_session_size: 1 kB\n")
    result = run("-p", "x" * 2000, "--session", "Notes", cwd=house)
    assert result.returncode == 1
    assert "max_session_size" in result.stderr
    assert json.loads(run("sessions", "list", "--json", cwd=house).stdout)[0]["message_count"] == 2


def test_background_maintenance_backs_up_and_prunes(house: Path) -> None:
    (house / "environment.yaml").write_text("prune: {at_start: true, empty_days: 1}\n")
    code = (
        "import sys; from prompt_objects import Environment\n"
        "with Environment.open(sys.argv[1]) as env: env.storage.run_maintenance()"
    )
    run("sessions", "new", "Empty", "--object", "helper", cwd=house)
    subprocess.run([sys.executable, "-c", code, str(house)], check=True)
    assert len(list((house / ".prompt_objects" / "backups" / "sessions").glob("*.json.gz"))) == 1
    assert names(house) == ["Empty", "Notes"]
