"""The shell interface, as real processes with real standard streams."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import make_env
from tests.support.program import list_sessions, run


def test_version_and_help(env_dir: Path) -> None:
    assert run("--version", cwd=env_dir).stdout == "prompt-objects 0.1.0\n"
    assert "sessions" in run("--help", cwd=env_dir).stdout


def test_names_may_look_like_paths_and_a_missing_file_is_reported(env_dir: Path) -> None:
    for name in ("API/notes", "data.json"):
        run("sessions", "new", name, "--object", "scout", cwd=env_dir)
        assert (
            json.loads(run("-p", "Hello", "--session", name, "--json", cwd=env_dir).stdout)["session"]["name"] == name
        )
    result = run("sessions", "show", "missing.json", cwd=env_dir)
    assert result.returncode == 2
    assert "neither a file nor a session 'missing.json'" in result.stderr
    assert str(env_dir / ".prompt_objects" / "sessions") in result.stderr
    assert (
        "is not a session file"
        in run("sessions", "show", str(env_dir / "objects" / "scout.yaml"), cwd=env_dir).stderr
    )


def test_a_key_of_several_sessions_names_ten_of_them_at_most(env_dir: Path) -> None:
    make = "import sys; from prompt_objects import Environment\nwith Environment.open(sys.argv[1]) as env:\n"
    make += " for n in range(12): env['scout'].session_manager.create(f'plan {n}')"
    subprocess.run([sys.executable, "-c", make, str(env_dir)], check=True)
    prefix = list_sessions(env_dir)[0]["id"][:8]  # the time, to some 17 minutes
    result = run("sessions", "show", prefix, cwd=env_dir)
    assert result.returncode == 2
    first, *candidates, more = result.stderr.splitlines()
    assert first == f"error: {prefix!r} matches 12 sessions."
    assert len(candidates) == 10
    assert all("plan" in candidate and "scout" in candidate for candidate in candidates)
    assert more == "  and 2 more"


def test_without_arguments_the_last_used_session_of_the_last_used_object_is_continued(env_dir: Path) -> None:
    run("sessions", "new", "Plans", "--object", "helper", cwd=env_dir)
    run("-p", "Hello", "--session", "Plans", cwd=env_dir)
    answer = json.loads(run("-p", "And?", "--json", cwd=env_dir).stdout)
    assert (answer["object"], answer["session"]["name"]) == ("helper", "Plans")


def test_without_terminal_and_message_it_describes_what_would_be_opened(env_dir: Path) -> None:
    result = run(cwd=env_dir)
    assert result.returncode == 0
    opened = "boss, session Default, new"
    for words in (str(env_dir), "boss, helper, scout", opened, "rehearsal", "prompt-objects -p"):
        assert words in result.stdout


def test_the_overview_creates_nothing(env_dir: Path, tmp_path: Path) -> None:
    run(cwd=env_dir)
    assert list_sessions(env_dir) == []
    assert not (env_dir / ".prompt_objects" / "state.json").exists()
    personal = tmp_path / "data"
    (tmp_path / "elsewhere").mkdir()
    result = run(cwd=tmp_path / "elsewhere", XDG_DATA_HOME=str(personal))
    assert f"{personal}/prompt_objects, new" in result.stdout
    assert not personal.exists()


def test_the_overview_names_the_session_that_is_opened_next(env_dir: Path) -> None:
    run("sessions", "new", "Plans", "--object", "helper", cwd=env_dir)
    run("sessions", "new", "Older", "--object", "scout", cwd=env_dir)
    run("sessions", "new", "Newer", "--object", "scout", cwd=env_dir)
    run("-p", "Hello", "--session", "Older", cwd=env_dir)
    state = (env_dir / ".prompt_objects" / "state.json").read_bytes()
    assert "scout, session Older, 2 messages" in run(cwd=env_dir).stdout
    assert "helper, session Plans, 0 messages" in run("--object", "helper", cwd=env_dir).stdout
    assert "scout, session Newer, 0 messages" in run("--session", "Newer", cwd=env_dir).stdout
    assert (env_dir / ".prompt_objects" / "state.json").read_bytes() == state
    assert json.loads(run("-p", "And?", "--json", cwd=env_dir).stdout)["session"]["name"] == "Older"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-p", "x", "--object", "scuot"], 2, "Did you mean 'scout'?"),
        (["-p", "x", "--session", "Nope"], 2, "no session 'Nope'"),
        (["--env", "/nowhere", "-p", "x"], 2, "prompt-objects init /nowhere"),
        (["sessions", "show", "Nope"], 2, "no session"),
        (["sessions", "rename", "Default", "a\nb"], 2, ""),
        (["frobnicate"], 2, "no command 'frobnicate'"),
        (["--object", "scout", "-p", "x", "chat", "boss"], 2, "Two prompt objects"),
    ],
)
def test_wrong_usage_is_three_lines_at_most_and_code_2(
    env_dir: Path, arguments: list[str], code: int, words: str
) -> None:
    run("sessions", "new", "Default", "--object", "scout", cwd=env_dir)
    result = run(*arguments, cwd=env_dir)
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) <= 3


def test_tracebacks_are_shown_only_with_debug(env_dir: Path) -> None:
    assert "Traceback" not in run("-p", "x", "--object", "nope", cwd=env_dir).stderr
    assert "Traceback" in run("-p", "x", "--object", "nope", "--debug", cwd=env_dir).stderr


def test_a_traceback_shows_no_secrets_and_cannot_control_the_terminal(env_dir: Path) -> None:
    url = "postgresql:u:SECRET@h\x1b[2J"
    for debug in ([], ["--debug"]):
        result = run("sessions", "list", "--store", url, *debug, cwd=env_dir)
        assert result.returncode == 2
        assert "SECRET" not in result.stderr
        assert "postgresql:u:***@h" in result.stderr
        assert "\x1b" not in result.stderr


def test_init_cannot_control_the_terminal(tmp_path: Path) -> None:
    result = run("init", "team\x1b]0;owned\x07", cwd=tmp_path)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout


def test_the_error_of_a_faulty_definition_has_its_position(env_dir: Path) -> None:
    (env_dir / "objects" / "scout.yaml").write_text("name: scout\nprompt: Hi\ncapabilties: []\n")
    result = run("-p", "Hello", "--object", "scout", cwd=env_dir)
    assert result.returncode == 1
    assert "scout.yaml:3:1" in result.stderr
    assert "capabilities" in result.stderr
    assert run("-p", "Hello", "--object", "helper", cwd=env_dir).returncode == 0
    listing = run("objects", "list", cwd=env_dir)
    assert listing.returncode == 1
    assert "invalid" in listing.stdout


def test_sessions_are_managed_from_the_shell(env_dir: Path) -> None:
    run("sessions", "new", "One", "--object", "scout", cwd=env_dir)
    run("-p", "Hello there", "--session", "One", cwd=env_dir)
    run("sessions", "rename", "One", "Two", cwd=env_dir)
    run("sessions", "duplicate", "Two", "Three", cwd=env_dir)
    run("sessions", "delete", "Two", cwd=env_dir)
    assert [s["name"] for s in list_sessions(env_dir)] == ["Three"]
    run("sessions", "restore", cwd=env_dir)
    assert sorted(s["name"] for s in list_sessions(env_dir)) == ["Three", "Two"]
    assert "Hello there" in run("sessions", "show", "Two", cwd=env_dir).stdout
    exported = run("sessions", "export", "Three", "--format", "json", cwd=env_dir)
    assert json.loads(exported.stdout)["history"][0]["content"] == "Hello there"
    written = run("sessions", "export", "Three", "--output", "three.md", cwd=env_dir)
    assert written.stdout == ""
    assert "Hello there" in (env_dir / "three.md").read_text()
    assert run("sessions", "export", "Three", "--output", "three.md", cwd=env_dir).returncode == 2


def test_lists_can_be_filtered(env_dir: Path) -> None:
    run("sessions", "new", "One", "--object", "scout", cwd=env_dir)
    run("sessions", "new", "Two", "--object", "helper", cwd=env_dir)
    assert "Two" not in run("sessions", "list", "--object", "scout", cwd=env_dir).stdout
    assert len(run("sessions", "list", "--limit", "1", cwd=env_dir).stdout.splitlines()) == 1
    assert run("sessions", "list", "--object", "boss", cwd=env_dir).stdout == ""


def test_objects_are_listed_and_shown(env_dir: Path) -> None:
    listed = json.loads(run("objects", "list", "--json", cwd=env_dir).stdout)
    assert [o["name"] for o in listed] == ["boss", "helper", "scout"]
    assert listed[0]["capabilities"] == ["helper", "scout", "read_file"]
    assert "You look." in run("objects", "show", "scout", cwd=env_dir).stdout
    assert json.loads(run("objects", "show", "scout", "--json", cwd=env_dir).stdout)["prompt"] == "You look."


def test_the_schema_is_json(env_dir: Path) -> None:
    assert json.loads(run("schema", cwd=env_dir).stdout)["title"] == "Prompt object"


def test_init_creates_an_environment_found_from_its_subfolders(tmp_path: Path) -> None:
    assert run("init", "new", cwd=tmp_path).returncode == 0
    (tmp_path / "new" / "deep").mkdir()
    assert "coordinator" in run("objects", "list", cwd=tmp_path / "new" / "deep").stdout
    assert run("init", "new", cwd=tmp_path).returncode == 2


def test_the_personal_environment_is_created_at_first_use_with_one_notice(tmp_path: Path) -> None:
    data = {"XDG_DATA_HOME": str(tmp_path / "data")}
    first = run("-p", "Hello", cwd=tmp_path, **data)
    assert first.returncode == 0
    assert "Created your environment" in first.stderr
    assert "Created your environment" not in run("-p", "Hello", cwd=tmp_path, **data).stderr


def test_written_files_are_private(env_dir: Path) -> None:
    run("-p", "Hello", "--object", "scout", cwd=env_dir)
    data = env_dir / ".prompt_objects"
    assert data.stat().st_mode & 0o777 == 0o700
    for path in data.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_repair_is_reported_on_standard_error(env_dir: Path) -> None:
    run("-p", "Hello", "--object", "scout", cwd=env_dir)
    (session,) = list_sessions(env_dir)
    path = env_dir / ".prompt_objects" / "sessions" / f"{session['id']}.json"
    path.write_bytes(path.read_bytes().rstrip()[:-20])  # a torn tail
    result = run("-p", "Still there?", "--object", "scout", cwd=env_dir)
    assert result.returncode == 0
    notice = "The file of the session 'Default' was cut off or damaged; all its 2 whole messages were kept."
    assert notice in result.stderr
    assert list_sessions(env_dir)[0]["message_count"] == 4


def test_opening_a_conversation_loads_no_tools(env_dir: Path) -> None:
    code = (
        "import sys; from argparse import Namespace; from prompt_objects.cli.targets import open_environment; "
        "open_environment(Namespace(env=None, store=None, model='rehearsal', allow=None, trust=False)); "
        "print(*{'prompt_objects.tools.loader', 'prompt_objects.analysis.check'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=env_dir, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["sessions", "show", "Default"], "is cut off or damaged; 1 of its 2 messages can be read"),
        (["sessions", "show", "Default", "--json"], "is cut off or damaged; 1 of its 2 messages can be read"),
        (["-p", "again"], "was cut off or damaged; 1 of its 2 messages were kept"),
    ],
)
def test_every_command_says_what_is_damaged_or_was_repaired(env_dir: Path, command: list[str], text: str) -> None:
    run("-p", "Hello", "--object", "scout", cwd=env_dir)
    (file,) = (env_dir / ".prompt_objects" / "sessions").glob("0*.json")
    file.write_bytes(file.read_bytes()[:400])
    result = run(*command, cwd=env_dir)
    assert result.returncode == 0
    assert text in result.stderr


def test_an_empty_store_is_said_to_be_empty(env_dir: Path) -> None:
    assert run("sessions", "list", "--json", cwd=env_dir).stderr == "There are no sessions.\n"


def test_python_m_imports_no_module_of_the_current_folder(tmp_path: Path) -> None:
    make_env(tmp_path)
    for name in ("yaml", "msgspec", "platformdirs", "json"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    done = subprocess.run(
        [sys.executable, "-m", "prompt_objects", "objects", "list"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "scout" in done.stdout
    assert not (tmp_path / "ran").exists()
