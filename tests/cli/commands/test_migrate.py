"""`prompt-objects migrate`, and the notices when opening an environment migrates it."""

import json
from pathlib import Path

from tests.support.program import run

OLD = "name: reader\nhistory:\n- {role: user, content: hi}\n- {content: '\x1b[31mred'}\nprompt: You read.\n"


def make(folder: Path) -> Path:
    (folder / "objects").mkdir()
    (folder / "objects" / "reader.yaml").write_text(OLD.replace("\x1b", "\\x1b").replace("'", '"'))
    return folder


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path: Path) -> None:
    before = (make(tmp_path) / "objects" / "reader.yaml").read_bytes()
    done = run("migrate", "--dry-run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "0001 History kept inside prompt objects becomes sessions.\n"
        "  objects/reader.yaml (reader): 1 message to 1 session, 1 skipped, file changed\n"
        "Nothing was changed. To migrate: prompt-objects migrate\n"
    )
    assert (tmp_path / "objects" / "reader.yaml").read_bytes() == before
    assert not (tmp_path / ".prompt_objects").exists()


def test_migrating_reports_and_finds_nothing_the_next_time(tmp_path: Path) -> None:
    done = run("migrate", "--json", cwd=make(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    step, _ = report["steps"]
    assert (report["dry_run"], step["number"], step["name"]) == (False, 1, "history_in_objects")
    assert step["changes"] == [
        {
            "object": "reader",
            "file": "objects/reader.yaml",
            "sessions": 1,
            "messages": 1,
            "set_aside": 1,
            "changed": True,
            "problem": "",
        }
    ]
    assert (Path(step["backup"]) / "files" / "objects" / "reader.yaml").is_file()
    assert run("migrate", cwd=tmp_path).stdout == "Nothing to do: the environment is up to date.\n"
    assert json.loads(run("sessions", "list", "--json", cwd=tmp_path).stdout)[0]["name"] == "Migrated"


def test_the_first_command_that_writes_says_on_standard_error_what_was_done(tmp_path: Path) -> None:
    done = run("sessions", "new", "Plans", "--object", "reader", cwd=make(tmp_path))
    assert done.returncode == 0
    assert done.stderr.startswith(
        "This environment was brought up to date (history_in_objects): 1 message in 1 session"
    )
    listed = run("sessions", "list", cwd=tmp_path)
    assert ("Migrated" in listed.stdout, listed.stderr) == (True, "")


def test_a_skipped_object_makes_the_exit_code_1(tmp_path: Path) -> None:
    (make(tmp_path) / "objects" / "reader.yaml").write_text("name: reader\nhistory: words\nprompt: p\n")
    done = run("migrate", cwd=tmp_path)
    assert done.returncode == 1
    assert "objects/reader.yaml (reader): not changed. `history` is not a list." in done.stdout


def test_an_environment_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (make(tmp_path) / ".prompt_objects").mkdir()
    record = {"applied": [{"number": 77, "name": "later", "version": "9", "at": ""}]}
    (tmp_path / ".prompt_objects" / "migrations.json").write_text(json.dumps(record))
    for command in (["migrate"], ["migrate", "--dry-run"], ["sessions", "list"]):
        done = run(*command, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "comes from a newer version: it has step 0077" in done.stderr
    assert [path.name for path in (tmp_path / ".prompt_objects").iterdir()] == ["migrations.json"]


def test_a_missing_environment_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    done = run("migrate", cwd=tmp_path, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data"))
    assert done.returncode == 2
    assert "is not an environment" in done.stderr
    assert list(tmp_path.iterdir()) == []
