"""Finding, creating and opening an environment, and its prompt objects."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.environment.starter import make_environment
from prompt_objects.errors import (
    ConfigError,
    DefinitionError,
    NoEnvironment,
    NotFound,
    OutOfResources,
    StoreError,
    UsageError,
)
from prompt_objects.llm.base import Request
from prompt_objects.message import Message
from prompt_objects.testing import ScriptedLLM, calls
from tests.support.descriptors import no_file_descriptors
from tests.support.environments import make_env, open_env


def test_a_made_environment_opens_without_faults(tmp_path: Path) -> None:
    written = make_environment(tmp_path / "new")
    assert {file.name for file in written} >= {"coordinator.yaml", "reader.yaml", "environment.yaml"}
    with Environment.open(tmp_path / "new", environ={}) as env:
        assert env.catalog.errors() == []
        assert list(env.objects) == ["coordinator", "critic", "greeter", "reader", "writer"]
        assert env.current_object.name == "coordinator"


def test_an_environment_is_not_made_over_another(tmp_path: Path) -> None:
    make_environment(tmp_path)
    with pytest.raises(UsageError, match="already an environment"):
        make_environment(tmp_path)


def test_only_one_of_many_simultaneous_creators_succeeds(tmp_path: Path) -> None:
    outcomes: list[str] = []

    def make() -> None:
        try:
            make_environment(tmp_path / "home")
        except UsageError:
            outcomes.append("late")
        else:
            outcomes.append("made")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("made") == 1
    assert sorted(entry.name for entry in (tmp_path / "home").iterdir()) == ["environment.yaml", "objects"]


def test_a_folder_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="The environment cannot be created"):
        make_environment(tmp_path / "file" / "below")


def test_opening_a_folder_that_is_no_environment_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoEnvironment):
        Environment.open(tmp_path)


def test_opening_reads_no_definition(tmp_path: Path) -> None:
    env_dir = make_env(tmp_path, {"broken": "name: ["})
    with Environment.open(env_dir, environ={}) as env:
        assert list(env.objects) == ["broken"]
        with pytest.raises(DefinitionError):
            _ = env["broken"].definition


def test_a_faulty_environment_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    env_dir = make_env(tmp_path)
    (env_dir / "environment.yaml").write_text("user: ann\ndefault_objekt: boss\n")
    with pytest.raises(ConfigError, match=r"environment\.yaml:2:1"):
        Environment.open(env_dir, environ={})


def test_an_unknown_object_names_the_nearest(tmp_path: Path) -> None:
    with open_env(tmp_path, ScriptedLLM()) as env, pytest.raises(NotFound) as caught:
        _ = env["scuot"]
    assert "scout" in caught.value.hint


@pytest.mark.parametrize(
    ("capability", "problem", "hint"),
    [
        ("raeder", "no such tool or prompt object", "reader"),
        ("{tool: lst_files}", "no such tool", "list_files"),
        ("{po: red_file}", "no such prompt object", ""),
        ("me", "capability of itself", ""),
        ("list_files", "both a tool and a prompt object", "tool: list_files"),
    ],
)
def test_a_capability_that_is_not_there_is_an_error_at_its_place(
    tmp_path: Path, capability: str, problem: str, hint: str
) -> None:
    objects = {
        "me": f"name: me\ncapabilities:\n  - {capability}\nprompt: Me.\n",
        "reader": "name: reader\nprompt: R.\n",
        "list_files": "name: list_files\nprompt: L.\n",
    }
    with open_env(tmp_path, ScriptedLLM(), objects) as env:
        error = env["me"].definition_error
        assert error is not None
        assert problem in str(error)
        assert (error.line, error.file.name) == (3, "me.yaml")
        assert hint in error.hint
        assert env["reader"].definition_error is None
        assert [*map(str, env.catalog.errors())] == [str(error)]


async def test_a_changed_file_counts_from_the_next_turn_on(tmp_path: Path) -> None:
    llm = ScriptedLLM(["one", "two"])
    async with open_env(tmp_path, llm) as env:
        await env["scout"].receive("Go")
        (tmp_path / "objects" / "scout.yaml").write_text("name: scout\nprompt: You listen.\n")
        await env["scout"].receive("Go")
        assert [r.messages[0]["content"] for r in llm.requests] == ["You look.", "You listen."]
        assert llm.requests[1].tools == []


async def test_a_change_that_keeps_time_and_size_counts_too(tmp_path: Path) -> None:
    llm = ScriptedLLM(["First", "Second"])
    async with open_env(tmp_path, llm) as env:
        file = env.folder / "objects" / "helper.yaml"
        before, text = file.stat(), file.read_text()
        await env["helper"].receive("Go")
        file.write_text(text.replace("You help", "You hepl"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        await env["helper"].receive("Go")
    first, second = (request.messages[0]["content"] for request in llm.requests)
    assert second == first.replace("help", "hepl") != first


async def test_a_running_turn_keeps_its_definition(tmp_path: Path) -> None:
    def change(request: Request) -> Message:
        (tmp_path / "objects" / "scout.yaml").write_text("name: scout\nprompt: Changed.\n")
        return calls(("list_files", {}))

    llm = ScriptedLLM([change, "done"])
    async with open_env(tmp_path, llm) as env:
        await env["scout"].receive("Go")
        assert llm.requests[1].messages[0]["content"] == "You look."


async def test_a_faulty_capability_does_not_stop_its_user(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("scout", {"message": "go"})), "The scout is ill"])
    async with open_env(tmp_path, llm) as env:
        (tmp_path / "objects" / "scout.yaml").write_text("name: scout\nprompt: 7: 8\n")
        reply = await env["boss"].receive("Go")
        assert reply.text == "The scout is ill"
        assert "scout.yaml" in reply.session.history[2]["content"]


def test_the_last_used_object_and_session_are_current_at_the_next_start(tmp_path: Path) -> None:
    with open_env(tmp_path, ScriptedLLM()) as env:
        session = env["helper"].session_manager.create("Notes")
        env.storage.last_used.use_object("helper")
        env["helper"].session_manager.switch(session.id)
    with Environment.open(tmp_path, environ={}) as env:
        assert env.current_object.name == "helper"
        assert env.current_object.session_manager.current().name == "Notes"


def test_an_object_that_is_gone_is_not_current(tmp_path: Path) -> None:
    with open_env(tmp_path, ScriptedLLM()) as env:
        env.storage.last_used.use_object("scout")
        (tmp_path / "objects" / "scout.yaml").unlink()
        assert env.current_object.name == "boss"


def test_an_environment_without_objects_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    with Environment.open(tmp_path, environ={}) as env, pytest.raises(NotFound) as caught:
        _ = env.current_object
    assert "docs/objects.md" in caught.value.hint


async def test_the_environment_bounds_the_limits_of_all(tmp_path: Path) -> None:
    objects = {"a": "name: a\nlimits: {requests: 9}\ncapabilities: [list_files]\nprompt: A.\n"}
    make_env(tmp_path, objects)
    (tmp_path / "environment.yaml").write_text("limits: {requests: 1}\n")
    llm = ScriptedLLM([calls(("list_files", {})), "enough"])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        assert (await env["a"].receive("Go")).text == "enough"


def test_sessions_use_the_templates_of_the_current_definition(tmp_path: Path) -> None:
    template = "templates: {review: [{role: user, content: Review this}]}\n"
    with open_env(tmp_path, ScriptedLLM(), {"a": f"name: a\nprompt: A.\n{template}"}) as env:
        created = env["a"].session_manager.create("From a template", template="review")
        assert [message["content"] for message in created.history] == ["Review this"]
        (tmp_path / "objects" / "a.yaml").write_text("name: a\nprompt: A.\n")
        with pytest.raises(UsageError, match="no template"):
            env["a"].session_manager.create("Again", template="review")


def test_sessions_belong_to_the_user_of_the_environment(tmp_path: Path) -> None:
    make_env(tmp_path)
    (tmp_path / "environment.yaml").write_text("user: ann\n")
    with Environment.open(tmp_path, environ={}) as env:
        assert env["scout"].session_manager.current().user_id == "ann"
        assert [info.user_id for info in env.session_manager.list()] == ["ann"]


def test_problems_and_settings_without_effect_are_reported(tmp_path: Path) -> None:
    (tmp_path / "environment.yaml").write_text("logs: {}\n")
    with open_env(tmp_path, ScriptedLLM(), {"a": "name: a\nprompt: A.\n", "b": "name: b\n"}) as env:
        invalid, heedless = env.errors_and_notices()
        assert "b.yaml" in invalid
        assert "environment.yaml:1:1: `logs` has no effect" in heedless


def test_the_first_valid_object_is_the_default_whatever_else_is_in_the_folder(tmp_path: Path) -> None:
    env_dir = make_env(tmp_path, {"reader": "name: reader\nprompt: p\n", "broken": "name: broken\nprompt: [\n"})
    (env_dir / "objects" / "README.md").write_text("# Our objects\n")
    with Environment.open(env_dir, environ={}) as env:
        assert env.catalog.names() == ["broken", "reader"]
        assert env.current_object.name == "reader"
        (env_dir / "objects" / "reader.yaml").write_text("name: [")
        assert env.current_object.name == "broken"  # its error is shown


def test_links_in_the_data_folder_are_refused(tmp_path: Path) -> None:
    foreign, env_dir = make_env(tmp_path / "foreign"), make_env(tmp_path / "env")
    with Environment.open(foreign, environ={}) as env:
        env["scout"].session_manager.create("Private")
    private, data_dir = foreign / ".prompt_objects", env_dir / ".prompt_objects"
    (data_dir / "sessions").mkdir(parents=True)
    for name in ("trash", "index.json.lock"):
        (data_dir / "sessions" / name).symlink_to(private / "sessions")
        with pytest.raises(StoreError, match=rf"{name} is a symbolic link"):
            Environment.open(env_dir, environ={})
        (data_dir / "sessions" / name).unlink()
    shutil.rmtree(data_dir / "sessions")
    for name in ("sessions", "state.json", "history", "migrations.json", "traces"):
        (data_dir / name).symlink_to(private / name)
        with pytest.raises(StoreError, match=rf"{name} .*symbolic link"):
            Environment.open(env_dir, environ={})
        (data_dir / name).unlink()
    os.mkfifo(data_dir / "state.json")  # reading it would wait for a writer
    with Environment.open(env_dir, environ={}) as env:
        assert env.current_object.name


def test_running_out_of_file_descriptors_is_not_a_missing_object(tmp_path: Path) -> None:
    env_dir = make_env(tmp_path)
    with Environment.open(env_dir, environ={}) as env:
        env["scout"].session_manager.current()
    with Environment.open(env_dir, environ={}) as env:
        for use in (lambda: env["scout"], lambda: env.current_object, env.catalog.errors):
            with no_file_descriptors(), pytest.raises(OutOfResources, match="too many files are open"):
                use()
        with no_file_descriptors(), pytest.raises(StoreError, match="Too many open files") as caught:
            env.session_manager.get("Default")
        assert "ulimit -n" in caught.value.hint
        assert env["scout"].definition.name == "scout"  # the failure was not kept
