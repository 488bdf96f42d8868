"""Commands that only read leave every file as it is, whatever state the environment is in."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_objects.sessions.info import new_id
from tests.support.environments import make_env
from tests.support.program import run

COMMANDS = (
    (),
    ("sessions", "list"),
    ("sessions", "list", "--limit", "1", "--json"),
    ("sessions", "trash"),
    ("sessions", "show", "Notes"),
    ("sessions", "show", "Notes", "--json"),
    ("sessions", "export", "Notes"),
    ("sessions", "backups"),
    ("sessions", "prune", "--dry-run"),
    ("trace", "Notes"),
    ("objects", "list"),
    ("check",),
    ("doctor",),
    ("settings",),
    ("schema",),
    ("trust", "--show"),
    ("completion", "bash"),
    ("help",),
)


TOOL = """from prompt_objects import tool


@tool
async def own() -> str:
    return ""
"""


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return everything about the files in a folder that a write would change."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_ino, status.st_mtime_ns, content)
    return found


def sessions_of(folder: Path) -> list[Path]:
    return sorted((folder / ".prompt_objects" / "sessions").glob("????????-*.json"))


def healthy(_: Path) -> None:
    pass


def torn(folder: Path) -> None:
    for path in sessions_of(folder):
        data = path.read_bytes().rstrip(b"\t\n")
        path.write_bytes(data[:-60])


def damaged_inside(folder: Path) -> None:
    for path in sessions_of(folder):
        path.write_bytes(path.read_bytes().replace(b'"content":"Hello', b'"content:"Hello'))


def without_index(folder: Path) -> None:
    for name in ("index.json", "index.json.lock"):
        (folder / ".prompt_objects" / "sessions" / name).unlink()


def broken_index(folder: Path) -> None:
    (folder / ".prompt_objects" / "sessions" / "index.json").write_text("{")


def index_of_other_sessions(folder: Path) -> None:
    index = folder / ".prompt_objects" / "sessions" / "index.json"
    document = json.loads(index.read_text())
    document["sessions"] = [{**entry, "id": new_id(), "message_count": 9} for entry in document["sessions"]]
    index.write_text(json.dumps(document))


def open_to_others(folder: Path) -> None:
    for path in (folder / ".prompt_objects").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def with_leftovers(folder: Path) -> None:
    store = folder / ".prompt_objects" / "sessions"
    first = sessions_of(folder)[0]
    (store / f".{first.name}.0123abcd.tmp").write_bytes(b"left")
    (store / "leases").mkdir(exist_ok=True)
    (store / "leases" / first.name).write_text('{"user":"ann","host":"x","pid":1,"since":"2026-01-01T00:00:00Z"}')
    shutil.copy(first, store / f"{first.name}.gz")


def of_an_older_version(folder: Path) -> None:
    (folder / "objects" / "old.yaml").write_text(
        "name: old\nprompt: Old.\nhistory:\n- role: user\n  content: Hello\n"
    )
    (folder / ".prompt_objects" / "migrations.json").unlink(missing_ok=True)


TREES: dict[str, Callable[[Path], None]] = {
    each.__name__: each
    for each in (
        healthy,
        torn,
        damaged_inside,
        without_index,
        broken_index,
        index_of_other_sessions,
        open_to_others,
        with_leftovers,
        of_an_older_version,
    )
}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a session of two messages, one in the trash, and a tool of its own."""
    folder = make_env(tmp_path_factory.mktemp("used") / "notes")
    (folder / "tools").mkdir()
    (folder / "tools" / "own.py").write_text(TOOL)
    (folder / ".prompt_objects").mkdir()
    for name in ("Notes", "Other"):
        run("sessions", "new", name, "--object", "scout", cwd=folder)
        run("-p", "Hello there", "--session", name, cwd=folder)
    run("sessions", "delete", "Other", cwd=folder)
    return folder


@pytest.mark.parametrize("tree", TREES)
def test_nothing_is_written(used: Path, tmp_path: Path, tree: str) -> None:
    folder = tmp_path / "notes"
    shutil.copytree(used, folder, copy_function=shutil.copy2)
    TREES[tree](folder)
    (tmp_path / "home").mkdir()
    before = snapshot(tmp_path)
    for command in COMMANDS:
        done = run(*command, cwd=folder, HOME=str(tmp_path / "home"), PROMPT_OBJECTS_TRUST=str(folder))
        assert snapshot(tmp_path) == before, command
        assert done.returncode in {0, 1}, (command, done.stderr)
        if command[:2] == ("sessions", "show"):
            assert "Hello there" in done.stdout or tree == "damaged_inside"


def test_nothing_is_written_where_there_is_no_environment(tmp_path: Path) -> None:
    for command in COMMANDS:
        run(*command, cwd=tmp_path, HOME=str(tmp_path))
    assert snapshot(tmp_path) == {}


def test_nothing_is_written_beside_a_database(tmp_path: Path) -> None:
    folder = make_env(tmp_path / "notes")
    (folder / "environment.yaml").write_text("store: sqlite:///.prompt_objects/sessions.db\n")
    (tmp_path / "home").mkdir()
    before = snapshot(tmp_path)
    environ = {"HOME": str(tmp_path / "home"), "PROMPT_OBJECTS_TRUST": str(folder)}
    assert run("sessions", "list", cwd=folder, **environ).returncode == 0
    assert snapshot(tmp_path) == before
    run("-p", "Hello there", "--object", "scout", cwd=folder, **environ)
    run("sessions", "rename", "Default", "Notes", cwd=folder, **environ)
    before = snapshot(tmp_path)
    for command in COMMANDS:
        done = run(*command, cwd=folder, **environ)
        assert snapshot(tmp_path) == before, command
        assert done.returncode in {0, 1}, (command, done.stderr)
    assert "Hello there" in run("sessions", "show", "Notes", cwd=folder, **environ).stdout
    with sqlite3.connect(folder / ".prompt_objects" / "sessions.db") as open_elsewhere:
        open_elsewhere.execute("UPDATE sessions SET name = 'Ideas', live_name = 'Ideas'")
        open_elsewhere.commit()
        assert "Ideas" in run("sessions", "list", cwd=folder, **environ).stdout
