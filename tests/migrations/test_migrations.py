"""One process applies each step once and completely, or not at all; data of a newer version is not changed."""

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import DefinitionError, MigrationFailed, NewerEnvironment
from prompt_objects.migrations.runner import Migrations
from prompt_objects.migrations.steps import Step
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.registry import open_store
from tests.support.forked import ForkedProgram, run_forked
from tests.support.paths import worker_path

MIGRATING = worker_path("migrating")

# A step that changes a.yaml and creates a session, then fails because b.yaml differs from the expected content.
FAILING = '''"""Fails after some changes."""
from datetime import UTC, datetime
from prompt_objects.migrations.change import *

def migrate(target):
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    session = NewSession("a", "Half", [{"role": "user", "content": "x"}], moment, moment, "objects/a.yaml", "1")
    a, b = (read_source(target.folder / "objects" / name) for name in ("a.yaml", "b.yaml"))
    yield ObjectChange("a", "objects/a.yaml", (session,), files=(FileChange(a, b"changed"),))
    stale = SourceFile(b.path, b"other", b.mode, b.mtime_ns)
    yield ObjectChange("b", "objects/b.yaml", files=(FileChange(stale, None),))
'''


def make(folder: Path, count: int = 1, messages: int = 2) -> Path:
    (folder / "objects").mkdir(parents=True)
    for name in "abcdefgh"[:count]:
        entries = "".join(f"- {{role: user, content: '{name} {n} {'x' * 50}'}}\n" for n in range(messages))
        text = f"name: {name}\nhistory:\n{entries}- no message\nprompt: p\n"
        (folder / "objects" / f"{name}.yaml").write_text(text)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def record(folder: Path) -> Any:
    return json.loads((folder / ".prompt_objects" / "migrations.json").read_bytes())


def open_(folder: Path) -> list[str]:
    with Environment.open(folder, environ={}) as environment:
        return environment.notices


def histories(folder: Path) -> dict[tuple[str, str], list[str]]:
    """Return the contents of messages by object and session name."""
    with Environment.open(folder, environ={}) as environment:
        manager = environment.session_manager
        return {
            (info.po_name, info.name): [message["content"] for message in manager.get(info.id).history]
            for info in manager.list()
        }


def failing(folder: Path, code: str = FAILING) -> list[Step]:
    file = folder / "0001_failing.py"
    file.write_text(code)
    return [Step(1, file)]


def run(folder: Path, steps: list[Step] | None = None) -> list[Any]:
    store = open_store(f"files:{folder}/.prompt_objects")
    try:
        return list(Migrations(folder, folder / ".prompt_objects", steps).run(SessionManager(store), repeat=True))
    finally:
        store.close()


def test_a_new_environment_is_up_to_date_without_a_notice(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    assert open_(tmp_path) == []
    assert [step["name"] for step in record(tmp_path)["applied"]] == ["history_in_objects", "limits_requests"]
    assert not (tmp_path / ".prompt_objects" / "backups").exists()


def test_a_migration_is_reported_once_and_recorded(tmp_path: Path) -> None:
    make(tmp_path)
    (notice,) = open_(tmp_path)
    assert "2 messages in 1 session, 1 skipped" in notice
    assert open_(tmp_path) == []
    step, _ = record(tmp_path)["applied"]
    assert step["rows"] == [
        {
            "object": "a",
            "file": "objects/a.yaml",
            "sessions": 1,
            "messages": 2,
            "set_aside": 1,
            "changed": True,
            "problem": "",
        }
    ]
    assert step["backup"] in notice
    for name in ("migrations.json", "migrations.lock", f"backups/{step['backup']}/files/objects/a.yaml"):
        assert stat.S_IMODE((tmp_path / ".prompt_objects" / name).stat().st_mode) == 0o600


def test_the_backup_is_a_copy_not_a_link(tmp_path: Path) -> None:
    file = make(tmp_path) / "objects" / "a.yaml"
    before, status = file.read_bytes(), file.stat()
    open_(tmp_path)
    (copy,) = (tmp_path / ".prompt_objects").glob("backups/*/files/objects/a.yaml")
    assert copy.read_bytes() == before
    assert (copy.stat().st_nlink, copy.stat().st_mtime_ns) == (1, status.st_mtime_ns)
    assert copy.stat().st_ino != status.st_ino


def test_opening_a_migrated_environment_is_fast(tmp_path: Path) -> None:
    open_(make(tmp_path))
    code = (
        "import sys, time, pathlib\n"
        "from prompt_objects.migrations.runner import Migrations\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "def took():\n"
        "    started = time.perf_counter()\n"
        "    assert not Migrations(folder, folder / '.prompt_objects').is_due()\n"
        "    return time.perf_counter() - started\n"
        "print(min(took() for _ in range(20)), *sys.modules)"
    )
    seconds, *loaded = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(seconds) < 0.001  # 0.06 ms was measured
    assert not {"yaml", "prompt_objects.migrations.apply"} & set(loaded)


@pytest.mark.parametrize("key", ["applied", "under_way"])
def test_an_environment_of_a_newer_version_is_refused_and_not_changed(key: str, tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / ".prompt_objects").mkdir()
    step = {"number": 9999, "name": "later", "version": "99", "at": "2099-01-01", "step": 9999, "backup": "b"}
    (tmp_path / ".prompt_objects" / "migrations.json").write_text(
        json.dumps({key: [step] if key == "applied" else step})
    )
    before = tree(tmp_path)
    with pytest.raises(NewerEnvironment, match="newer version: it has step 9999") as caught:
        Environment.open(tmp_path, environ={})
    assert caught.value.exit_code == 2
    assert tree(tmp_path) == before


def test_an_invalid_record_is_quarantined_and_nothing_is_duplicated(tmp_path: Path) -> None:
    open_(make(tmp_path))
    before = histories(tmp_path)
    path = tmp_path / ".prompt_objects" / "migrations.json"
    path.write_bytes(b'{"applied": [{"numb')
    assert open_(tmp_path) == []
    assert histories(tmp_path) == before
    assert [file.read_bytes() for file in path.parent.glob("migrations.json.corrupt-*")] == [b'{"applied": [{"numb']


def test_a_failed_step_is_rolled_back_and_gives_the_reason(tmp_path: Path) -> None:
    make(tmp_path, 2)
    objects, times = tree(tmp_path / "objects"), (tmp_path / "objects" / "a.yaml").stat().st_mtime_ns
    for _ in range(2):  # again, into the same backup
        with pytest.raises(
            MigrationFailed, match=r"0001 .*b\.yaml was changed .* All changes were rolled back"
        ) as caught:
            run(tmp_path, failing(tmp_path))
        assert tree(tmp_path / "objects") == objects
        assert (tmp_path / "objects" / "a.yaml").stat().st_mtime_ns == times
    (backup,) = (tmp_path / ".prompt_objects" / "backups").iterdir()
    assert str(backup) in caught.value.hint
    manager = SessionManager(open_store(f"files:{tmp_path}/.prompt_objects"))
    assert (manager.list(), manager.trash()) == ([], [])
    manager.store.close()
    assert sorted(histories(tmp_path)) == [("a", "Migrated"), ("b", "Migrated")]


def test_a_failure_after_an_interruption_rolls_back_the_interrupted_run_too(tmp_path: Path) -> None:
    objects = tree(make(tmp_path, 2) / "objects")
    number = 1
    while (
        tree(tmp_path / "objects").keys() == objects.keys() and (tmp_path / "objects" / "a.yaml").stat().st_size > 99
    ):
        run_forked(MIGRATING, tmp_path, str(number))
        number += 5
    assert record(tmp_path)["under_way"]
    with pytest.raises(MigrationFailed, match="All changes were rolled back"):
        run(tmp_path, failing(tmp_path))
    assert tree(tmp_path / "objects") == objects
    assert not list((tmp_path / ".prompt_objects" / "sessions").glob("????????-*.json"))
    assert sorted(histories(tmp_path)) == [("a", "Migrated"), ("b", "Migrated")]


def test_a_step_that_raises_is_rolled_back(tmp_path: Path) -> None:
    before = tree(make(tmp_path))
    steps = failing(tmp_path, '"""Wrong."""\ndef migrate(target):\n    return [1][target.nothing]\n')
    with pytest.raises(MigrationFailed, match=r"AttributeError.*Nothing was changed"):
        run(tmp_path, steps)
    assert {name: data for name, data in tree(tmp_path).items() if name in before} == before


def test_a_failure_is_reported_and_the_environment_still_opens(tmp_path: Path) -> None:
    make(tmp_path, 2)
    store = open_store(f"files:{tmp_path}/.prompt_objects")
    migrations = Migrations(tmp_path, tmp_path / ".prompt_objects", failing(tmp_path))
    (notice,) = migrations.run_at_opening(SessionManager(store))
    assert "b.yaml was changed by another program during the migration. All changes were rolled back." in notice
    assert migrations.is_due()
    store.close()


def test_an_environment_with_an_unwritable_data_folder_opens_unchanged(tmp_path: Path) -> None:
    plain, old = make(tmp_path / "plain", 0), make(tmp_path / "old")
    for folder in (plain, old):  # writing to a folder in target of a file fails for every user, even root
        (folder / ".prompt_objects" / "migrations.lock").mkdir(parents=True)
    assert open_(plain) == []
    before = tree(old / "objects")
    (notice,) = open_(old)
    assert notice.startswith("This environment could not be brought up to date.")
    assert tree(old / "objects") == before
    assert histories(old) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_environment_opens_unchanged(tmp_path: Path) -> None:
    plain, old = make(tmp_path / "plain", 0), make(tmp_path / "old")
    for folder in (plain, old):
        folder.chmod(0o555)
    assert open_(plain) == []
    (notice,) = open_(old)
    assert notice.startswith("This environment could not be brought up to date.")
    for folder in (plain, old):
        folder.chmod(0o755)


def test_a_preview_returns_the_changes_and_writes_nothing(tmp_path: Path) -> None:
    before = tree(make(tmp_path, 2))
    taken, _ = Migrations(tmp_path, tmp_path / ".prompt_objects").preview()
    assert [(row.object, row.messages, row.skipped, row.changed) for row in taken.changes] == [
        ("a", 2, 1, True),
        ("b", 2, 1, True),
    ]
    assert tree(tmp_path) == before
    assert taken.summary == "History kept inside prompt objects becomes sessions."


def test_an_old_file_added_later_is_invalid_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    open_(tmp_path)
    text = "name: a\nhistory: [{role: user, content: late}]\nprompt: p\n"
    (tmp_path / "objects" / "a.yaml").write_text(text)
    with Environment.open(tmp_path, environ={}) as environment:
        with pytest.raises(DefinitionError, match=r"a\.yaml:2:1: .*history") as caught:
            _ = environment["a"].definition
        assert caught.value.hint.startswith("Run: prompt-objects migrate")
    run(tmp_path)
    assert histories(tmp_path) == {("a", "Migrated"): ["late"]}
    assert [row["object"] for step in record(tmp_path)["applied"] for row in step["rows"]] == ["a"]


def test_the_same_history_again_creates_no_second_session(tmp_path: Path) -> None:
    make(tmp_path)
    old = (tmp_path / "objects" / "a.yaml").read_bytes()
    open_(tmp_path)
    with Environment.open(tmp_path, environ={}) as environment:
        environment.session_manager.get("Migrated").append({"role": "user", "content": "more"})
    (tmp_path / "objects" / "a.yaml").write_bytes(old)
    run(tmp_path)
    assert [(key, len(contents)) for key, contents in histories(tmp_path).items()] == [(("a", "Migrated"), 3)]


def test_an_incomplete_session_is_completed(tmp_path: Path) -> None:
    make(tmp_path)
    old = (tmp_path / "objects" / "a.yaml").read_bytes()
    open_(tmp_path)
    whole = histories(tmp_path)
    with Environment.open(tmp_path, environ={}) as environment:
        (info,) = environment.session_manager.list()
        environment.storage.store.truncate(info.id, 1)
    (tmp_path / "objects" / "a.yaml").write_bytes(old)
    run(tmp_path)
    assert histories(tmp_path) == whole


def test_a_history_that_differs_from_the_session_gets_a_new_session(tmp_path: Path) -> None:
    make(tmp_path)
    old = (tmp_path / "objects" / "a.yaml").read_bytes()
    open_(tmp_path)
    with Environment.open(tmp_path, environ={}) as environment:
        (info,) = environment.session_manager.list()
        environment.storage.store.truncate(info.id, 0)
        environment.session_manager.get(info.id).append({"role": "user", "content": "other"})
    (tmp_path / "objects" / "a.yaml").write_bytes(old)
    run(tmp_path)
    assert sorted(len(contents) for contents in histories(tmp_path).values()) == [1, 2]


def test_new_sessions_belong_to_the_user_of_the_environment(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "environment.yaml").write_text("user: ann\n")
    assert list(histories(tmp_path)) == [("a", "Migrated")]


def test_only_one_of_several_processes_migrates_and_the_others_wait(tmp_path: Path) -> None:
    make(tmp_path, 4, messages=50)
    workers = [ForkedProgram(MIGRATING, tmp_path) for _ in range(4)]
    results = [worker.wait() for worker in workers]
    assert [result.returncode for result in results] == [0] * 4
    assert sorted(b"200 messages in 4 sessions" in result.stdout for result in results) == [False, False, False, True]
    assert len(histories(tmp_path)) == 4


def test_after_a_kill_at_any_disk_operation_a_second_run_has_the_same_result(tmp_path: Path) -> None:
    def make_with_json(folder: Path) -> Path:
        (make(folder, 2) / "objects" / "history.json").write_text('{"a": [{"role": "user", "content": "j"}, 1]}')
        return folder

    expected = FinalState.of(make_with_json(tmp_path / "undisturbed"))
    for number in range(1, 200, 2):
        folder = make_with_json(tmp_path / str(number))
        worker = run_forked(MIGRATING, folder, str(number))
        assert FinalState.of(folder) == expected
        if worker.returncode == 0:
            break
        assert worker.returncode == -signal.SIGKILL
    assert 20 < number < 199


def test_after_kills_at_random_moments_a_last_run_has_the_same_result(tmp_path: Path) -> None:
    duration = 0.0
    for name in ("first", "undisturbed"):  # the first one may have to wait for the server of `run_forked`
        make(tmp_path / name, 8, messages=200)
        started_at = time.monotonic()
        assert run_forked(MIGRATING, tmp_path / name).returncode == 0
        duration = time.monotonic() - started_at
    expected = FinalState.of(tmp_path / "undisturbed")
    for number in range(4):
        folder = make(tmp_path / str(number), 8, messages=200)
        for _ in range(3):
            worker = ForkedProgram(MIGRATING, folder)
            time.sleep(random.uniform(0, duration))
            worker.kill()
            worker.wait()
        assert FinalState.of(folder) == expected


class FinalState(NamedTuple):
    """The relevant state of a migrated environment: sessions, objects, the record and the backup."""

    histories: dict[tuple[str, str], list[str]]
    objects: dict[str, bytes]
    rows: Any
    under_way: Any
    copies: dict[str, bytes]
    skipped: Any

    @classmethod
    def of(cls, folder: Path) -> "FinalState":
        """Finish the migration and return the state."""
        found = histories(folder)
        noted = record(folder)
        (backup,) = (folder / ".prompt_objects" / "backups").iterdir()
        skipped = json.loads((backup / "set-aside.json").read_bytes())
        objects, copies = tree(folder / "objects"), tree(backup / "files")
        return cls(found, objects, noted["applied"][0]["rows"], noted["under_way"], copies, skipped)
