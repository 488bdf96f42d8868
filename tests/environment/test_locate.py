"""The environment to use is the named one, else the nearest one above; folders of other programs are none."""

import os
import subprocess
from pathlib import Path

import pytest

from prompt_objects.environment.locate import is_environment, locate, personal_folder
from prompt_objects.errors import NoEnvironment
from tests.support.environments import make_env


def test_the_named_folder_wins_over_the_variable_and_that_over_the_current_one(tmp_path: Path) -> None:
    a, b, c = (make_env(tmp_path / name) for name in "abc")
    variable = {"PROMPT_OBJECTS_ENV": str(b)}
    assert locate(str(a), variable, c) == a
    assert locate(None, variable, c) == b
    assert locate(None, {}, c) == c


def test_the_nearest_parent_is_found(tmp_path: Path) -> None:
    env_dir = make_env(tmp_path / "home")
    (env_dir / "deep" / "down").mkdir(parents=True)
    assert locate(None, {}, env_dir / "deep" / "down") == env_dir
    (env_dir / "deep" / "environment.yaml").write_text("user: ann\n")
    assert locate(None, {}, env_dir / "deep" / "down") == env_dir / "deep"


def test_without_an_environment_only_the_personal_one_is_left(tmp_path: Path) -> None:
    assert locate(None, {}, tmp_path) is None
    assert str(personal_folder()).startswith(os.environ["XDG_DATA_HOME"])


@pytest.mark.parametrize("how", ["--env", "PROMPT_OBJECTS_ENV"])
def test_named_folder_that_is_no_environment_is_an_error_with_a_hint(tmp_path: Path, how: str) -> None:
    explicit = str(tmp_path) if how == "--env" else None
    with pytest.raises(NoEnvironment, match=how) as caught:
        locate(explicit, {"PROMPT_OBJECTS_ENV": str(tmp_path)}, tmp_path)
    assert f"prompt-objects init {tmp_path}" in caught.value.hint


FOREIGN = {
    "conda": {"environment.yaml": "name: sci\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n"},
    "a game": {"objects/cube.yaml": "name: cube\nvertices: [1]\n", "objects/readme.md": "# prompt: none\n"},
    "comments": {"environment.yaml": "# model: x\n"},
    "a file": {"objects": "name: a\nprompt: b\n"},
    "nothing": {},
}
OWN = {
    "a data folder": {".prompt_objects/state.json": "{}"},
    "a definition": {"objects/a.yml": "prompt: b\nname: a\n"},
    "a definition in JSON": {"objects/a.yaml": '{"name": "a", "prompt": "b"}'},
    "an invalid definition": {"objects/a.yaml": "name: a\nprompt: [\n"},
    "a Markdown definition": {"objects/a.md": "---\nname: a\n---\nYou help.\n"},
    "a setting": {"environment.yaml": "name: x\nmodel: gpt\n"},
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [*((files, False) for files in FOREIGN.values()), *((files, True) for files in OWN.values())],
    ids=[*FOREIGN, *OWN],
)
def test_an_environment_has_a_mark_of_its_own(tmp_path: Path, files: dict[str, str], expected: bool) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert is_environment(tmp_path) == expected


def test_a_bare_git_repository_is_no_environment(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
    assert not is_environment(tmp_path)


@pytest.mark.parametrize("end", ["home", "repository"])
def test_the_search_ends_at_the_home_folder_or_the_root_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    make_env(tmp_path)
    inner = tmp_path / "inner"
    (inner / "deep").mkdir(parents=True)
    assert locate(None, {}, inner / "deep") == tmp_path
    if end == "home":
        monkeypatch.setenv("HOME", str(inner))
    else:
        (inner / ".git").mkdir()
    assert locate(None, {}, inner / "deep") is None
    make_env(inner)
    assert locate(None, {}, inner / "deep") == inner


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_the_folder_of_another_user_is_left_out_with_a_notice(tmp_path: Path) -> None:
    make_env(tmp_path)
    make_env(tmp_path / "other")
    os.chown(tmp_path / "other", 12345, 12345)
    notices: list[str] = []
    assert locate(None, {}, tmp_path / "other", notices) == tmp_path
    assert notices == [f"The environment {tmp_path}/other belongs to another user. To use it: --env {tmp_path}/other"]
    assert locate(str(tmp_path / "other"), {}, tmp_path) == tmp_path / "other"
