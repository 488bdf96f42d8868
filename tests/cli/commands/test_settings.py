"""The user's own settings apply in every environment, below those of the environment itself."""

import json
from pathlib import Path

import pytest

from tests.support.environments import make_env
from tests.support.openai_server import OpenAIServer, text
from tests.support.program import run


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "prompt_objects").mkdir(parents=True)
    return tmp_path / "config" / "prompt_objects" / "settings.yaml"


def test_each_setting_is_shown_with_the_place_that_it_comes_from(tmp_path: Path, settings: Path) -> None:
    settings.write_text("model: mine\nediting_mode: vi\nmodels: {mine: {model: m}, theirs: {model: x}}\n")
    folder = make_env(tmp_path / "env")
    (folder / "environment.yaml").write_text("model: theirs\nmodels: {theirs: {model: y}}\nuser: ann\n")
    shown = run("settings", "--json", cwd=folder, PROMPT_OBJECTS_MODEL="")
    theirs, mine = str(folder / "environment.yaml"), str(settings)
    assert [(each["name"], each["value"], each["source"]) for each in json.loads(shown.stdout)] == [
        ("editing_mode", "vi", mine),
        ("model", "theirs", theirs),
        ("models.mine", {"model": "m"}, mine),
        ("models.theirs", {"model": "y"}, theirs),
        ("user", "ann", theirs),
    ]
    assert str(settings) in shown.stderr
    lines = [line.split() for line in run("settings", cwd=folder).stdout.splitlines()]
    assert ["model", "rehearsal", "PROMPT_OBJECTS_MODEL"] in lines


@pytest.mark.usefixtures("no_trusted_folders")
def test_a_restricted_environment_uses_the_users_own_model(
    tmp_path: Path, settings: Path, openai_server: OpenAIServer
) -> None:
    settings.write_text(f"models: {{default: {{model: m, base_url: '{openai_server.base_url}'}}}}\n")
    folder = make_env(tmp_path / "env")
    (folder / "environment.yaml").write_text("models: {default: {model: n, base_url: 'http://127.0.0.1:1'}}\n")
    openai_server.script(text("Hello"))
    done = run("-p", "Hi", cwd=folder, PROMPT_OBJECTS_MODEL="")
    assert done.stdout == "Hello\n"
    assert [request.body["model"] for request in openai_server.received] == ["m"]


@pytest.mark.usefixtures("no_trusted_folders")
def test_what_a_restricted_environment_leaves_out_is_not_shown(tmp_path: Path, settings: Path) -> None:
    settings.write_text("editing_mode: vi\n")
    folder = make_env(tmp_path / "env")
    (folder / "environment.yaml").write_text("mcp_servers: {a: {command: x}}\nhttp_allow: [10.0.0.1]\nuser: ann\n")
    shown = run("settings", "--json", cwd=folder, PROMPT_OBJECTS_MODEL="")
    assert [each["name"] for each in json.loads(shown.stdout)] == ["editing_mode", "user"]


def test_an_invalid_setting_is_an_error_at_its_position(tmp_path: Path, settings: Path) -> None:
    settings.write_text("modle: x\n")
    done = run("sessions", "list", cwd=make_env(tmp_path / "env"))
    assert done.returncode == 1
    assert f"{settings}:1:1" in done.stderr
    assert "Did you mean 'model'?" in done.stderr


def test_the_schema_lists_the_settings(tmp_path: Path) -> None:
    schema = json.loads(run("settings", "--schema", cwd=tmp_path).stdout)
    assert set(schema["$defs"]["SettingsSchema"]["properties"]) == {
        "model",
        "models",
        "pin",
        "editing_mode",
        "prose_width",
    }


def test_settings_that_are_all_at_their_defaults_are_reported_as_such(tmp_path: Path, settings: Path) -> None:
    shown = run("settings", cwd=make_env(tmp_path / "env"), PROMPT_OBJECTS_MODEL="")
    assert shown.stdout == ""
    assert shown.stderr.startswith("Nothing is set here: the defaults apply.\n")
    assert str(settings) in shown.stderr
