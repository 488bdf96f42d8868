"""Delegations between prompt objects, and the objects that a message can reach."""

from pathlib import Path

import pytest

from prompt_objects.analysis.graph import Edge, Graph, Unresolved
from prompt_objects.config.limits import LimitsConfig
from prompt_objects.environment.environment import Environment
from prompt_objects.tools.builtin.files import list_files, read_file
from tests.support.environments import make_env
from tests.support.teams import graph_of


def delegates_to(*names: str) -> str:
    return f"capabilities: [{', '.join(names)}]"


def test_each_capability_is_resolved_to_an_object_a_tool_or_a_server(tmp_path: Path) -> None:
    text = "capabilities: [b, look, {tool: write}, {po: c}]"
    graph = graph_of(tmp_path, {"a": text, "b": "", "c": delegates_to("send")})
    assert list(graph.delegations("a")) == ["b", "c"]
    assert [(edge.target, edge.kind) for edge in graph.tools_and_servers("a")] == [
        ("look", "tool"),
        ("write", "tool"),
    ]
    assert [(edge.owner, edge.target) for edge in graph.edges] == [
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
        ("mee", "'mee': there is no such tool or prompt object."),  # not: Did you mean 'me'?
        ("me", "'me' cannot be a capability of itself."),
        ("{po: me}", "'me' cannot be a capability of itself."),
        (
            "list_files",
            "'list_files' is both a tool and a prompt object. Write 'tool: list_files' or 'po: list_files'.",
        ),
    ],
)
def test_an_unresolved_capability_has_the_same_error_as_in_the_environment(
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
    (unresolved,) = Graph(definitions, objects=objects, tools=tools).unresolved
    assert isinstance(unresolved, Unresolved)
    assert f"{unresolved.problem} {unresolved.hint}".rstrip().endswith(problem)
    assert unresolved.problem == error.problem
    assert (unresolved.capability.at.line, unresolved.capability.at.column) == (error.line, error.column)


def test_a_tool_and_an_object_may_have_the_same_name_if_the_kind_is_given(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, {"a": "capabilities: [{tool: look}]", "b": "capabilities: [{po: look}]", "look": ""})
    assert [(edge.owner, edge.kind) for edge in graph.edges] == [("a", "tool"), ("b", "object")]
    assert graph.unresolved == []


def test_depth_limits_which_objects_a_message_reaches(tmp_path: Path) -> None:
    chain = {
        "a": delegates_to("b"),
        "b": delegates_to("c"),
        "c": delegates_to("d"),
        "d": delegates_to("e"),
        "e": delegates_to("f"),
        "f": "",
    }
    graph = graph_of(tmp_path, chain)
    assert graph.reachable_within_limits("a")["e"] == ("a", "b", "c", "d", "e")
    assert "f" not in graph.reachable_within_limits("a")  # the default depth is 4
    assert set(graph_of(tmp_path, chain, LimitsConfig(depth=2)).reachable_within_limits("a")) == {"b", "c"}
    narrow = {**chain, "b": f"{delegates_to('c')}\nlimits: {{depth: 1}}"}
    assert set(graph_of(tmp_path, narrow).reachable_within_limits("a")) == {"b", "c"}
    assert graph.shortest_path("a", "f") == ("a", "b", "c", "d", "e", "f")


def test_a_longer_path_may_lead_further_than_a_limited_one(tmp_path: Path) -> None:
    narrow = f"{delegates_to('c')}\nlimits: {{depth: 1}}"
    graph = graph_of(
        tmp_path,
        {
            "a": delegates_to("n", "b"),
            "n": narrow,
            "b": delegates_to("b2"),
            "b2": delegates_to("c"),
            "c": delegates_to("d"),
            "d": "",
        },
    )
    assert graph.reachable_within_limits("a")["c"] == ("a", "n", "c")
    assert graph.reachable_within_limits("a")["d"] == ("a", "b", "b2", "c", "d")


def test_every_edge_of_a_cycle_is_in_a_reported_cycle(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        {"a": delegates_to("b"), "b": delegates_to("c"), "c": delegates_to("a", "b"), "d": delegates_to("a")},
    )
    assert graph.cycles() == [("b", "c"), ("a", "b", "c")]
    reported = {pair for cycle in graph.cycles() for pair in zip(cycle, (*cycle[1:], cycle[0]), strict=True)}
    assert reported == {("a", "b"), ("b", "c"), ("c", "a"), ("c", "b")}


def test_objects_that_all_call_each_other_are_reported_in_pairs(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(30)]
    graph = graph_of(tmp_path, {name: delegates_to(*(other for other in names if other != name)) for name in names})
    assert len(graph.cycles()) == 30 * 29 // 2


def test_an_edge_has_the_capability_that_it_resolves(tmp_path: Path) -> None:
    (edge,) = graph_of(tmp_path, {"a": delegates_to("b"), "b": ""}).edges
    assert isinstance(edge, Edge)
    assert edge.capability.at == (3, 16)
