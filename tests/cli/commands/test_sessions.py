"""Looking after sessions from the shell: undo, trash, archive, backups, pruning, copying."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import make_env
from tests.support.program import PROGRAM, run


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    """An environment with a session of two messages."""
    env_dir = make_env(tmp_path / "home")
    run("sessions", "new", "Notes", "--object", "scout", cwd=env_dir)
    run("-p", "Hello there", "--session", "Notes", cwd=env_dir)
    return env_dir


def names(env_dir: Path, *more: str) -> list[str]:
    listed: list[dict[str, Any]] = json.loads(run("sessions", "list", "--json", *more, cwd=env_dir).stdout)
    return sorted(session["name"] for session in listed)


def test_truncate_rename_and_delete_can_be_undone(env_dir: Path) -> None:
    cut = run("sessions", "truncate", "Notes", "1", cwd=env_dir)
    assert cut.stdout.startswith("Truncated: Notes (")
    assert cut.stderr == "Undo it with: prompt-objects sessions undo\n"
    assert run("sessions", "undo", cwd=env_dir).stdout == "Session Notes restored, 2 messages.\n"
    run("sessions", "clear", "Notes", cwd=env_dir)
    assert run("sessions", "undo", "--object", "helper", cwd=env_dir).returncode == 2
    run("sessions", "rename", "Notes", "Other", cwd=env_dir)
    run("sessions", "delete", "Other", cwd=env_dir)
    output = [run("sessions", "undo", cwd=env_dir).stdout for _ in range(3)]
    assert output == [
        "Session Other restored, 0 messages.\n",
        "Session Notes has its old name again.\n",
        "Session Notes restored, 2 messages.\n",
    ]
    nothing = run("sessions", "undo", cwd=env_dir)
    assert (nothing.returncode, nothing.stderr) == (2, "error: There is nothing to undo.\n")


def test_purge_needs_confirmation(env_dir: Path) -> None:
    run("sessions", "delete", "Notes", cwd=env_dir)
    refused = run("sessions", "purge", cwd=env_dir)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert "Notes" in run("sessions", "trash", cwd=env_dir).stdout
    done = run("sessions", "purge", "Notes", "--yes", cwd=env_dir)
    assert (done.returncode, done.stderr) == (0, "Deleted permanently: session Notes.\n")
    assert run("sessions", "purge", cwd=env_dir).stderr == "Deleted permanently: 0 sessions.\n"


@pytest.mark.terminal
@pytest.mark.parametrize(("typed", "left"), [("y", 0), ("", 1), ("no", 1)])
def test_purge_asks_in_a_terminal(env_dir: Path, typed: str, left: int) -> None:
    import pty

    run("sessions", "delete", "Notes", cwd=env_dir)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "sessions", "purge"], cwd=env_dir, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.write(ours, typed.encode() + b"\n")
        _, output = process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert output.startswith(b"Permanently delete session Notes? [y/N]\n")
    assert len(json.loads(run("sessions", "trash", "--json", cwd=env_dir).stdout)) == left


def test_an_archived_session_can_be_continued(env_dir: Path) -> None:
    assert run("sessions", "archive", "Notes", cwd=env_dir).stdout.startswith("Archived: Notes")
    assert "Hello there" in run("sessions", "show", "Notes", cwd=env_dir).stdout
    run("-p", "More", "--session", "Notes", cwd=env_dir)
    (session,) = json.loads(run("sessions", "list", "--json", cwd=env_dir).stdout)
    assert (session["message_count"], session["archived"]) == (4, False)


def test_backups_are_made_listed_and_restored(env_dir: Path) -> None:
    made = run("sessions", "backup", cwd=env_dir)
    assert made.stderr == "1 session backed up, 0 old backups removed.\n"
    assert run("sessions", "backup", cwd=env_dir).stdout == ""
    assert run("sessions", "backup", "Notes", cwd=env_dir).stdout == made.stdout
    name = Path(made.stdout.strip()).name
    listed = run("sessions", "backups", cwd=env_dir).stdout
    assert listed.split() == ["Notes", "scout", "2", "messages", "just", "now", name]
    run("sessions", "delete", "Notes", cwd=env_dir)
    run("sessions", "purge", "--yes", cwd=env_dir)
    assert "not in this store" in run("sessions", "backups", cwd=env_dir).stdout
    assert run("sessions", "restore-backup", name, cwd=env_dir).stdout.startswith("Restored: Notes (")
    assert "Hello there" in run("sessions", "show", "Notes", cwd=env_dir).stdout
    assert run("sessions", "restore-backup", "nothing.json.gz", cwd=env_dir).returncode == 2
    (env_dir / "torn.json.gz").write_bytes(Path(made.stdout.strip()).read_bytes()[:50])
    torn = run("sessions", "restore-backup", "torn.json.gz", cwd=env_dir)
    assert torn.returncode == 1
    assert "not a complete backup" in torn.stderr


def test_prune_lists_what_is_removed_also_in_a_dry_run(env_dir: Path) -> None:
    run("sessions", "delete", "Notes", cwd=env_dir)
    (trashed,) = (env_dir / ".prompt_objects" / "sessions" / "trash").glob("*.json")
    moment = time.time() - 31 * 86_400
    os.utime(trashed, (moment, moment))
    looked = run("sessions", "prune", "--dry-run", cwd=env_dir)
    assert looked.stdout.startswith("from the trash  Notes (")
    assert looked.stdout.endswith("0 empty sessions, 1 from the trash, 0 logs, 0 backups, 0 frames\n")
    assert "dry run" in looked.stderr
    assert trashed.exists()
    assert run("sessions", "prune", cwd=env_dir).stdout == looked.stdout
    assert not trashed.exists()


def test_copy_reports_sessions_that_differ(env_dir: Path, tmp_path: Path) -> None:
    target = f"files:{tmp_path / 'target'}"
    first = run("sessions", "copy", "--to", target, cwd=env_dir)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "total  1 copied, 0 completed, 0 same, 0 different, 0 damaged\n"
    assert names(env_dir, "--store", target) == ["Notes"]
    run("sessions", "rename", "Notes", "Other", cwd=env_dir)
    assert run("sessions", "undo", "--store", target, cwd=env_dir).returncode == 2
    assert run("sessions", "undo", cwd=env_dir).returncode == 0
    run("-p", "Elsewhere", "--session", "Notes", "--store", target, cwd=env_dir)
    run("-p", "Here", "--session", "Notes", cwd=env_dir)
    second = run("sessions", "copy", "--to", target, cwd=env_dir)
    assert second.returncode == 1
    assert second.stdout.startswith("different  Notes (")
    back = run(
        "sessions", "copy", "--from", target, "--to", "files:back", cwd=tmp_path, PROMPT_OBJECTS_ENV=str(env_dir)
    )
    assert back.returncode == 0
    assert (env_dir / "back" / "sessions").is_dir()


@pytest.mark.parametrize("url", ["files:typod", "sqlite:///typo.db", "files:objects"])
def test_copy_refuses_a_missing_source_and_does_not_create_it(env_dir: Path, url: str) -> None:
    before = sorted(env_dir.rglob("*"))
    refused = run("sessions", "copy", "--from", url, "--to", "files:target", cwd=env_dir)
    assert refused.returncode == 2
    assert "has no sessions: there is no " in refused.stderr
    assert sorted(env_dir.rglob("*")) == before


@pytest.mark.parametrize("urls", [("--to", "memory:"), ("--from", "memory:", "--to", "files:target")])
def test_copy_refuses_the_memory_store(env_dir: Path, urls: tuple[str, ...]) -> None:
    refused = run("sessions", "copy", *urls, cwd=env_dir)
    assert refused.returncode == 2
    assert "lost when this command ends" in refused.stderr


def test_copy_reports_another_name_in_the_target(env_dir: Path) -> None:
    run("sessions", "copy", "--to", "files:target", cwd=env_dir)
    run("sessions", "rename", "Notes", "Travel", cwd=env_dir)
    again = run("sessions", "copy", "--to", "files:target", cwd=env_dir)
    assert again.returncode == 0
    assert again.stdout.startswith("renamed  Travel (")
    assert " has the name Notes in the target\n" in again.stdout


def test_backups_of_another_store_are_marked(env_dir: Path) -> None:
    run("sessions", "backup", cwd=env_dir)
    (env_dir / "environment.yaml").write_text("store: files:elsewhere\n")
    assert run("sessions", "backups", cwd=env_dir).stdout.startswith("not in this store  ")


def test_the_store_is_set_in_the_file_or_by_an_option(env_dir: Path, tmp_path: Path) -> None:
    (env_dir / "environment.yaml").write_text("store: files:elsewhere\n")
    assert names(env_dir) == []
    run("sessions", "new", "There", "--object", "scout", cwd=env_dir)
    assert (env_dir / "elsewhere" / "sessions").is_dir()
    assert names(env_dir, "--store", "files:.prompt_objects") == ["Notes"]
    assert run("sessions", "list", "--store", "nowhere:x", cwd=env_dir).returncode == 2


def test_a_password_is_not_shown(env_dir: Path) -> None:
    for where in (
        ["list", "--store", "nosuch://ann:s3cret@host/x"],
        ["copy", "--to", "nosuch://ann:s3cret@host/x"],
        ["list", "--store", "postgresql://ann:ab@s3cret@127.0.0.1/x"],
        ["list", "--store", "postgresql://ann:ab@top/s3cret@127.0.0.1/x"],
    ):
        result = run("sessions", *where, cwd=env_dir)
        assert result.returncode == 2
        assert "s3cret" not in result.stdout + result.stderr


def test_the_error_for_a_full_session_names_the_setting(env_dir: Path) -> None:
    (env_dir / "environment.yaml").write_text("max_session_size: 1 kB\n")
    result = run("-p", "x" * 2000, "--session", "Notes", cwd=env_dir)
    assert result.returncode == 1
    assert "max_session_size" in result.stderr
    assert json.loads(run("sessions", "list", "--json", cwd=env_dir).stdout)[0]["message_count"] == 2


def test_background_maintenance_backs_up_and_prunes(env_dir: Path) -> None:
    (env_dir / "environment.yaml").write_text("prune: {at_start: true, empty_days: 1}\n")
    code = (
        "import sys; from prompt_objects import Environment\n"
        "with Environment.open(sys.argv[1]) as env: env.storage.run_maintenance()"
    )
    run("sessions", "new", "Empty", "--object", "helper", cwd=env_dir)
    subprocess.run([sys.executable, "-c", code, str(env_dir)], check=True)
    assert len(list((env_dir / ".prompt_objects" / "backups" / "sessions").glob("*.json.gz"))) == 1
    assert names(env_dir) == ["Empty", "Notes"]
