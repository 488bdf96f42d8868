"""`prompt-objects check`: text, JSON and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import make_env
from tests.support.program import run

SOUND = {
    "boss": "name: boss\ncapabilities: [helper, scout]\nprompt: B.\n",
    "helper": "name: helper\ncapabilities: [scout]\nlimits: {requests: 3}\nprompt: H.\n",
    "scout": "name: scout\ncapabilities: [list_files]\nprompt: S.\n",
    "crier": "name: crier\nprompt: C.\n",
}
FAULTY = {"lost": "name: lost\ncapabilities: [bos]\nprompt: L.\n", "torn": "name: torn\n"}


def test_a_team_in_order_is_shown_with_what_a_message_may_cost(tmp_path: Path) -> None:
    done = run("check", cwd=make_env(tmp_path, SOUND))
    assert (done.returncode, done.stderr) == (0, "")
    place = tmp_path / "objects" / "crier.yaml"
    assert done.stdout == (
        "boss    asks helper, scout; at most 26 requests per message, 13 turns at the same time\n"
        "crier   at most 1 request per message, 1 turn at the same time\n"
        "helper  asks scout; at most 4 requests per message, 3 turns at the same time\n"
        "scout   uses list_files; at most 26 requests per message, 1 turn at the same time\n"
        f"{place}:1:7: note: boss cannot reach crier, directly or through others; only the user can chat with it.\n"
        "Checked 4 prompt objects: 1 note.\n"
    )


def test_check_reports_only_indirect_file_access_for_the_starter_objects(tmp_path: Path) -> None:
    run("init", str(tmp_path / "new"), cwd=tmp_path)
    done = run("check", cwd=tmp_path / "new")
    place = tmp_path / "new" / "objects" / "coordinator.yaml"
    assert done.returncode == 0
    assert done.stdout.endswith(
        f"{place}:5:9: note: coordinator can use write_file, which changes files, only through others: "
        "coordinator → writer → write_file.\n"
        "Checked 5 prompt objects: 1 note.\n"
    )
    assert done.stdout.count("\n") == 7


@pytest.mark.parametrize("form", [[], ["--json"], ["--mermaid"]])
def test_an_error_is_exit_code_1_in_every_form(tmp_path: Path, form: list[str]) -> None:
    make_env(tmp_path, {**SOUND, **FAULTY})
    done = run("check", *form, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    if not form:
        assert "lost.yaml:2:16: error: Capability 'bos': there is no such" in done.stdout
        assert "torn.yaml:1:1: error: There is no `prompt`." in done.stdout
        assert "\ntorn    broken\n" in done.stdout
        assert done.stdout.endswith("Checked 6 prompt objects: 2 errors, 2 notes.\n")


def test_all_of_it_is_there_for_programs(tmp_path: Path) -> None:
    make_env(tmp_path, {**SOUND, "torn": FAULTY["torn"]})
    found = json.loads(run("check", "--json", cwd=tmp_path).stdout)
    assert found["root"] == "boss"
    assert [each["name"] for each in found["objects"]] == ["boss", "crier", "helper", "scout", "torn"]
    assert found["objects"][0] == {
        "name": "boss",
        "file": str(tmp_path / "objects" / "boss.yaml"),
        "asks": ["helper", "scout"],
        "tools": [],
        "servers": [],
        "requests": 26,
        "at_once": 13,
        "exact": True,
    }
    assert (found["objects"][4]["file"], found["objects"][4]["requests"]) == (None, None)
    assert {"name": "list_files", "effect": "read", "used_by": ["scout"]} in found["tools"]
    error, note = found["findings"]
    assert (error["severity"], error["kind"], error["line"]) == ("error", "broken", 1)
    assert note == {
        "severity": "note",
        "kind": "unreachable",
        "file": str(tmp_path / "objects" / "crier.yaml"),
        "line": 1,
        "column": 7,
        "text": "boss cannot reach crier, directly or through others; only the user can chat with it.",
        "path": ["crier"],
    }


def test_it_can_be_drawn(tmp_path: Path) -> None:
    done = run("check", "--mermaid", cwd=make_env(tmp_path, SOUND))
    assert done.stdout.startswith('flowchart TD\n  n0(["boss"]):::root\n')
    assert '  n4["list_files"]\n' in done.stdout


def test_a_hostile_name_is_shown_as_what_it_is(tmp_path: Path) -> None:
    make_env(tmp_path, SOUND)
    (tmp_path / "objects" / "\x1b[31mred\nline.yaml").write_text("name: red\n")
    (tmp_path / "environment.yaml").write_text("default_object: boss\n")
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert done.stdout.startswith("red line  broken\nboss      asks")
    assert "objects/red line.yaml:1:1: error: There is no `prompt`.\n" in done.stdout
    assert "\x1b" not in run("check", "--mermaid", cwd=tmp_path).stdout


def test_two_files_for_one_name_are_an_error(tmp_path: Path) -> None:
    make_env(tmp_path, SOUND)
    (tmp_path / "objects" / "boss.md").write_text("---\nname: boss\n---\nB.\n")
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "boss.md:1:1: error: boss.yaml already defines 'boss'. Rename or remove one of the two.\n" in done.stdout


def test_a_missing_environment_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    done = run("check", cwd=tmp_path, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data"))
    assert done.returncode == 2
    assert "is not an environment" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_takes_one_form_at_a_time(tmp_path: Path) -> None:
    done = run("check", "--json", "--mermaid", cwd=make_env(tmp_path, SOUND))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--json and --mermaid cannot be used together" in done.stderr


def test_nothing_is_written_by_looking(tmp_path: Path) -> None:
    make_env(tmp_path, SOUND)
    run("check", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["objects"]


def test_check_loads_no_model_and_no_screen(tmp_path: Path) -> None:
    make_env(tmp_path, SOUND)
    code = (
        "import sys; from prompt_objects.cli import main; main(['check', '--json']); "
        "print([name for name in ('openai', 'rich', 'prompt_toolkit') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
