"""Who may ask whom, and how far a message gets."""

from pathlib import Path

import pytest

from prompt_objects.analysis.graph import Edge, Graph, Unresolved
from prompt_objects.config.limits import LimitsConfig
from prompt_objects.environment.environment import Environment
from prompt_objects.tools.builtin.files import list_files, read_file
from tests.support.environments import make_env
from tests.support.teams import graph_of


def asks(*names: str) -> str:
    return f"capabilities: [{', '.join(names)}]"


def test_each_capability_comes_to_an_object_a_tool_or_a_server(tmp_path: Path) -> None:
    text = "capabilities: [b, look, {tool: write}, {po: c}]"
    graph = graph_of(tmp_path, {"a": text, "b": "", "c": asks("send")})
    assert list(graph.delegates("a")) == ["b", "c"]
    assert [(link.target, link.kind) for link in graph.uses("a")] == [("look", "tool"), ("write", "tool")]
    assert [(link.owner, link.target) for link in graph.edges] == [
        ("a", "b"),
        ("a", "look"),
        ("a", "write"),
        ("a", "c"),
        ("c", "send"),
    ]
    assert graph.unresolved == []


@pytest.mark.parametrize(
    ("capability", "problem"),
    [
        ("scuot", "'scuot': there is no such tool or prompt object. Did you mean 'scout'?"),
        ("{tool: red_file}", "'red_file': there is no such tool. Did you mean 'read_file'?"),
        ("{po: read_file}", "'read_file': there is no such prompt object."),
        ("me", "'me' cannot be a capability of itself."),
        ("{po: me}", "'me' cannot be a capability of itself."),
        (
            "list_files",
            "'list_files' is both a tool and a prompt object. Write 'tool: list_files' or 'po: list_files'.",
        ),
    ],
)
def test_what_comes_to_nothing_is_told_as_the_environment_tells_it(
    tmp_path: Path, capability: str, problem: str
) -> None:
    objects = {name: f"name: {name}\nprompt: P.\n" for name in ("scout", "list_files")}
    objects["me"] = f"name: me\nprompt: P.\ncapabilities:\n  - {capability}\n"
    make_env(tmp_path, objects)
    with Environment.open(tmp_path, environ={}) as environment:
        error = environment["me"].definition_error
        assert error is not None
        definitions = {"me": environment.catalog._load(tmp_path / "objects" / "me.yaml")}
    tools = {tool.name: tool for tool in (read_file, list_files)}
    (gap,) = Graph(definitions, objects=objects, tools=tools).unresolved
    assert isinstance(gap, Unresolved)
    assert f"{gap.problem} {gap.hint}".rstrip().endswith(problem)
    assert gap.problem == error.problem
    assert (gap.capability.at.line, gap.capability.at.column) == (error.line, error.column)


def test_a_tool_may_share_a_name_with_an_object_that_is_spelled_out(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, {"a": "capabilities: [{tool: look}]", "b": "capabilities: [{po: look}]", "look": ""})
    assert [(link.owner, link.kind) for link in graph.edges] == [("a", "tool"), ("b", "object")]
    assert graph.unresolved == []


def test_a_message_gets_as_far_as_depth_allows(tmp_path: Path) -> None:
    chain = {"a": asks("b"), "b": asks("c"), "c": asks("d"), "d": asks("e"), "e": asks("f"), "f": ""}
    graph = graph_of(tmp_path, chain)
    assert graph.reach("a")["e"] == ("a", "b", "c", "d", "e")
    assert "f" not in graph.reach("a")  # four deep, where nothing is said
    assert set(graph_of(tmp_path, chain, LimitsConfig(depth=2)).reach("a")) == {"b", "c"}
    narrow = {**chain, "b": f"{asks('c')}\nlimits: {{depth: 1}}"}
    assert set(graph_of(tmp_path, narrow).reach("a")) == {"b", "c"}
    assert graph.path("a", "f") == ("a", "b", "c", "d", "e", "f")


def test_a_longer_way_may_go_further_than_a_narrow_one(tmp_path: Path) -> None:
    narrow = f"{asks('c')}\nlimits: {{depth: 1}}"
    graph = graph_of(
        tmp_path, {"a": asks("n", "b"), "n": narrow, "b": asks("b2"), "b2": asks("c"), "c": asks("d"), "d": ""}
    )
    assert graph.reach("a")["c"] == ("a", "n", "c")
    assert graph.reach("a")["d"] == ("a", "b", "b2", "c", "d")


def test_every_link_that_is_part_of_a_circle_is_in_one_of_those_told(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, {"a": asks("b"), "b": asks("c"), "c": asks("a", "b"), "d": asks("a")})
    assert graph.cycles() == [("b", "c"), ("a", "b", "c")]
    told = {pair for circle in graph.cycles() for pair in zip(circle, (*circle[1:], circle[0]), strict=True)}
    assert told == {("a", "b"), ("b", "c"), ("c", "a"), ("c", "b")}


def test_many_who_all_ask_each_other_are_told_in_pairs(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(30)]
    graph = graph_of(tmp_path, {name: asks(*(other for other in names if other != name)) for name in names})
    assert len(graph.cycles()) == 30 * 29 // 2


def test_a_link_is_what_a_capability_comes_to(tmp_path: Path) -> None:
    (link,) = graph_of(tmp_path, {"a": asks("b"), "b": ""}).edges
    assert isinstance(link, Edge)
    assert link.capability.at == (3, 16)
