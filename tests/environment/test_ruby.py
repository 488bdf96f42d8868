"""Environments of the Ruby implementation open without changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.analysis.check import check
from prompt_objects.analysis.ruby import UNIVERSAL
from prompt_objects.config.manifest import Manifest, read_manifest
from prompt_objects.environment.environment import Environment
from prompt_objects.sessions.session import Session
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.builtin.notes import read_notes

MANIFEST = """\
---
version: 1
name: demo
description: Demo environment
created_at: '2026-02-14T09:30:02Z'
icon: "\\U0001F4E6"
default_po: reader
stats:
  total_messages: 0
"""
COORDINATOR = """\
---
name: coordinator
description: Coordinates between specialists
capabilities:
  - reader
  - list_files
  - create_capability
  - store_env_data
---

# Coordinator

You coordinate.
"""
READER = "---\nname: reader\ndescription: Reads\ncapabilities: []\n---\n\n# Reader\n\nYou read.\n"


@pytest.fixture
def ruby(tmp_path: Path) -> Path:
    (tmp_path / "objects").mkdir()
    (tmp_path / "manifest.yml").write_text(MANIFEST)
    (tmp_path / "objects" / "coordinator.md").write_text(COORDINATOR)
    (tmp_path / "objects" / "reader.md").write_text(READER)
    return tmp_path


def results(session: Session) -> list[str]:
    return [message["content"] for message in session.history if message["role"] == "tool"]


def test_the_manifest_gives_the_name_the_description_and_the_default_object(ruby: Path) -> None:
    with Environment.open(ruby, environ={}) as environment:
        assert environment.config.manifest == Manifest("demo", "Demo environment", "reader")
        assert environment.current_object.name == "reader"
    (ruby / "environment.yaml").write_text("default_object: coordinator\n")
    with Environment.open(ruby, environ={}) as environment:
        assert environment.current_object.name == "coordinator"


@pytest.mark.parametrize("text", ["", "name: 5\n", "name: ''\n", "- a\n", "{", "package: other\n", "\x00"])
def test_another_programs_manifest_changes_nothing(ruby: Path, text: str) -> None:
    (ruby / "manifest.yml").write_text(text)
    assert read_manifest(ruby) is None
    with Environment.open(ruby, environ={}) as environment:
        assert environment["coordinator"].definition_error is not None


def test_an_unknown_capability_is_reported_and_the_object_loads_without_it(ruby: Path) -> None:
    with Environment.open(ruby, environ={}) as environment:
        definition = environment["coordinator"].definition
        names = [capability.name for capability in definition.capabilities]
        notice = f"{ruby}/objects/coordinator.md: Left out, because they do not exist here: create_capability."
        assert environment.errors_and_notices() == [notice]
        assert names[:3] == ["reader", "list_files", "store_env_data"]
        assert {*names[3:]} == {*UNIVERSAL} - {"store_env_data"}
        finding = str(check(environment.snapshot())[0])
    assert finding == (
        f"{ruby}/objects/coordinator.md:7:5: warning: Capability 'create_capability': "
        "there is no such tool or prompt object. It is left out."
    )


async def test_shared_data_are_notes_of_the_conversation(ruby: Path) -> None:
    value: dict[str, Any] = {"ask": "overview", "files": ["notes.md"], "n": 1}
    stored = {"key": "topic", "short_description": "What the user wants", "value": value}
    llm = ScriptedLLM(
        [
            calls(("think", {"thought": "Files, then topic."}), ("list_env_data", {})),
            calls(("store_env_data", stored)),
            calls(("reader", {"message": "Look"})),
            calls(("list_env_data", {}), ("get_env_data", {"key": "topic"}), ("get_env_data", {"key": "tpic"})),
            calls(("update_env_data", {"key": "topic", "value": None})),
            calls(("get_env_data", {"key": "topic"})),
            "Read.",
            calls(("delete_env_data", {"key": "topic"})),
            calls(("delete_env_data", {"key": "topic"})),
            "Done.",
        ]
    )
    async with Environment.open(ruby, llm=llm, environ={}) as environment:
        reply = await environment["coordinator"].receive("Go")
        (child,) = environment["reader"].session_manager.list()
        helped = results(environment["reader"].session_manager.get(child.id))
        assert read_notes(environment.storage.workspace / reply.session.id) == []
    listed = [{"key": "topic", "short_description": "What the user wants", "stored_by": "coordinator"}]
    assert results(reply.session)[:3] == [
        "Thought recorded.",
        "There is no data in this conversation yet.",
        "Stored 'topic'.",
    ]
    assert json.loads(helped[0]) == listed
    assert json.loads(helped[1]) == value
    assert helped[2] == "Error: There is no data 'tpic'. Existing keys: topic."
    assert helped[3:] == ["Updated 'topic'.", "null"]
    assert results(reply.session)[4] == "Deleted 'topic'."
    assert results(reply.session)[5].startswith("Error: There is no note 'topic'.")


def test_other_environments_do_not_have_these_tools(ruby: Path) -> None:
    (ruby / "manifest.yml").unlink()
    with Environment.open(ruby, environ={}) as environment:
        assert "think" not in environment.capabilities.loaded_tools.tools
        assert environment["reader"].definition.capabilities == ()
