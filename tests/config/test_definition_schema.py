"""The JSON Schema of definitions accepts what the program accepts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from prompt_objects.config.definition import definition_schema, parse_definition
from prompt_objects.errors import DefinitionError

SCHEMA = Draft202012Validator(definition_schema())
BASE = {"name": "scout", "prompt": "Look."}
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 33, 65, 1001, 0.5, 2.0, 3.5, -0.1),
    *("", " ", "text", "two words", "a-b_9", "9a", "x" * 65, "a\n", "fresh", "continue", "always", "user", "default"),
    *([], [None], [""], ["a"], ["a", "b"], ["a", "a"], [1], [["a"]], [{}]),
    *({}, {"a": None}, {"a": 1}, {"a": "b"}, {"a": ["b"]}, {"a": [""]}, {"a`b": "c"}, {"a`b": []}),
]
PATHS = [
    *([key] for key in ("name", "prompt", "description", "model", "capabilities", "limits", "templates", "other")),
    *(["model", key] for key in ("use", "temperature", "fallback", "other")),
    *(["limits", key] for key in ("requests", "turns", "tokens", "cost", "seconds", "depth", "parallel", "other")),
    *(["capabilities", key] for key in ("po", "tool", "mcp", "other")),
    *(["templates", "role"], ["templates", "content"], ["templates", "other"]),
]
OTHERS = ["context", "approval", "allow", "tools"]
MODES: dict[str, list[Any]] = {
    "context": [None, "fresh", "continue", "other", ""],
    "approval": [None, "always", "ask", "never", "other"],
    "allow": [None, {}, {"path": "a*"}, {"path": ["a", "b"]}, {"path": ""}, {"path": None}, [], {"a`": "b"}],
    "tools": [None, [], ["a*"], [""], "a"],
}


def variants() -> Iterator[dict[str, Any]]:
    yield {}
    yield {"prompt": "Look."}
    yield {"name": "scout"}
    for path in PATHS:
        for value in VALUES:
            yield {**BASE, path[0]: value if len(path) == 1 else inner(path[0], path[1], value)}
    for kinds in [["po"], ["tool"], ["mcp"], ["po", "tool"], ["po", "mcp"], ["tool", "mcp"], []]:
        for key in OTHERS:
            for value in MODES[key]:
                yield {**BASE, "capabilities": [{**dict.fromkeys(kinds, "a"), key: value}]}
    yield {**BASE, "capabilities": [{"po": "a", "tool": None}, "b"]}
    yield {**BASE, "limits": {"requests": 1, "turns": 1}}
    yield {**BASE, "limits": {"requests": None, "turns": 1}}


def inner(key: str, name: str, value: Any) -> Any:
    match key:
        case "capabilities":
            return [{"tool": "a", name: value}]
        case "templates":
            return {"greeting": [{"role": "user", "content": "Hello", name: value}]}
    return {name: value}


def is_accepted(variant: dict[str, Any]) -> bool:
    try:
        parse_definition(json.dumps(variant), Path(f"{variant.get('name')}.yaml"))
    except DefinitionError:
        return False
    return True


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(definition_schema())


def test_the_schema_accepts_exactly_what_the_program_accepts() -> None:
    table = [(variant, is_accepted(variant)) for variant in variants()]
    assert {accepted for _, accepted in table} == {True, False}
    differing = [variant for variant, accepted in table if SCHEMA.is_valid(variant) is not accepted]
    assert differing == []


@pytest.mark.parametrize("capabilities", [["a", {"tool": "a"}], [{"po": "a"}, {"po": "a", "context": "fresh"}]])
def test_only_the_program_finds_one_capability_in_two_forms(capabilities: list[Any]) -> None:
    variant = {**BASE, "capabilities": capabilities}
    assert SCHEMA.is_valid(variant)
    assert not is_accepted(variant)
