"""Step 0002 renames `limits.turns` to `limits.requests` and changes no other byte."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.migrations.progress import ChangeSummary
from prompt_objects.migrations.runner import Migrations
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.registry import open_store
from tests.support.forked import run_forked
from tests.support.paths import worker_path

FIXTURES = Path(__file__).parent / "0002"


def migrate(folder: Path, *, again: bool = False) -> list[ChangeSummary]:
    """Apply the steps, all of them with `again`; return the rows of step 0002."""
    store = open_store(f"files:{folder}/.prompt_objects")
    try:
        results = Migrations(folder, folder / ".prompt_objects").run(SessionManager(store), repeat=again)
        return [row for result in results if result.step.number == 2 for row in result.changes]
    finally:
        store.close()


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the files of an environment, without its data folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if not name.startswith(".prompt_objects")}


@pytest.mark.parametrize("case", sorted(path.name for path in FIXTURES.iterdir()))
def test_the_key_is_renamed_and_the_backup_has_the_original_files(case: str, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / case / "before", tmp_path, dirs_exist_ok=True)
    before = files_in(tmp_path)
    expected = json.loads((FIXTURES / case / "expected.json").read_text(encoding="utf-8"))
    rows = migrate(tmp_path)
    after = files_in(tmp_path)
    assert {row.file: row.problem for row in rows} == expected["files"]
    assert after == files_in(FIXTURES / case / "after")
    backup = next((tmp_path / ".prompt_objects" / "backups").glob("*/files"), None)
    changed = {name: data for name, data in before.items() if after[name] != data}
    assert (files_in(backup) if backup else {}) == changed
    assert [row for row in migrate(tmp_path, again=True) if not row.problem] == []
    assert files_in(tmp_path) == after


def test_a_migrated_environment_has_the_limits_and_no_notice_about_the_old_key(tmp_path: Path) -> None:
    for case in ("definitions", "environment"):
        shutil.copytree(FIXTURES / case / "before", tmp_path, dirs_exist_ok=True)
    with Environment.open(tmp_path, environ={"HOME": "x"}) as environment:
        (notice,) = environment.notices
        assert notice.startswith("This environment was brought up to date (limits_requests): 4 files changed.")
        assert environment.config.limits.requests == 40
        assert environment["plain"].definition.limits.requests == 30
        assert not [problem for problem in environment.errors_and_notices() if "turns" in problem]


def test_a_file_added_later_is_read_with_a_notice_until_it_is_migrated(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    migrate(tmp_path)
    shutil.copytree(FIXTURES / "definitions" / "before", tmp_path, dirs_exist_ok=True)
    with Environment.open(tmp_path, environ={}) as environment:
        assert environment.notices == []
        assert environment["plain"].definition.limits.requests == 30
        assert sum("`limits.turns` is called" in problem for problem in environment.errors_and_notices()) == 3
    migrate(tmp_path, again=True)
    with Environment.open(tmp_path, environ={}) as environment:
        assert not [problem for problem in environment.errors_and_notices() if "turns" in problem]


def test_a_migration_killed_at_any_disk_operation_is_finished_at_the_next_opening(tmp_path: Path) -> None:
    expected = files_in(FIXTURES / "definitions" / "after")
    for number in range(1, 200, 4):
        folder = tmp_path / str(number)
        shutil.copytree(FIXTURES / "definitions" / "before", folder)
        killed = run_forked(worker_path("migrating"), folder, str(number))
        migrate(folder)
        assert files_in(folder) == expected
        (backup,) = (folder / ".prompt_objects" / "backups").iterdir()
        changed = json.loads((FIXTURES / "definitions" / "expected.json").read_bytes())["files"]
        before = files_in(FIXTURES / "definitions" / "before")
        assert files_in(backup / "files") == {name: before[name] for name in changed}
        assert json.loads((folder / ".prompt_objects" / "migrations.json").read_bytes())["under_way"] is None
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
    assert 20 < number < 199


def test_a_link_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "plain.yaml").symlink_to(FIXTURES / "definitions" / "before" / "objects" / "plain.yaml")
    (row,) = migrate(tmp_path)
    assert row.problem == "It cannot be read: it is a link or not a regular file."
