import pytest

from prompt_objects.config.definition import load_definition
from prompt_objects.environment.catalog import find_definitions
from prompt_objects.tools.loader import builtin_tools
from tests.support.paths import ROOT

OBJECTS = ROOT / "objects"
DEFINITIONS, FAULTS = find_definitions(OBJECTS)
EFFECTS = {tool.name: tool.effect for tool in builtin_tools().values()}


def test_the_starter_environment_has_its_five_objects() -> None:
    assert sorted(DEFINITIONS) == ["coordinator", "critic", "greeter", "reader", "writer"]
    assert FAULTS == []


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_a_starter_object_loads_and_says_what_it_is_for(name: str) -> None:
    definition = load_definition(DEFINITIONS[name])
    assert len(definition.description) > 20
    assert len(definition.prompt) > 200


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_every_capability_of_a_starter_object_is_there(name: str) -> None:
    known = {"po": set(DEFINITIONS) - {name}, "tool": set(EFFECTS), "any": set(EFFECTS) | set(DEFINITIONS)}
    for capability in load_definition(DEFINITIONS[name]).capabilities:
        assert capability.name in known[capability.kind]


def test_coordinator_reaches_all_objects_without_cycles() -> None:
    asks = {
        name: {c.name for c in load_definition(file).capabilities if c.kind == "po"}
        for name, file in DEFINITIONS.items()
    }
    assert asks["coordinator"] == set(DEFINITIONS) - {"coordinator"}
    reached: set[str] = set()
    while free := {name for name in asks if name not in reached and asks[name] <= reached}:
        reached |= free
    assert reached == set(DEFINITIONS)


def test_only_the_writer_may_change_files_with_the_usual_approval() -> None:
    able = [
        (name, capability.name, capability.approval, capability.allow)
        for name, file in DEFINITIONS.items()
        for capability in load_definition(file).capabilities
        if EFFECTS.get(capability.name, "read") != "read"
    ]
    assert able == [("writer", "write_file", None, {})]
