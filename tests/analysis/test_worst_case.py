"""Worst cases, compared with all possible sequences of events and with a real run."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_objects.analysis.graph import Graph
from prompt_objects.analysis.worst_case import WorstCase, worst_cases
from prompt_objects.config.limits import LimitsConfig
from prompt_objects.llm.base import Completion, Request, TextChunk
from prompt_objects.message import Message
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.builtin.files import list_files, read_file
from tests.support.environments import open_env
from tests.support.teams import graph_of

State = tuple[int, int]  # requests, running turns


def states(graph: Graph, name: str, depth: int, path: tuple[str, ...] = ()) -> set[State]:
    """Return all possible states while `name` runs, before its last request."""
    definition = graph.definitions[name]
    if not definition.capabilities:
        return {(1, 1)}
    limits = definition.limits
    path = (*path, name)
    delegates = [target for target in graph.delegations(name) if target not in path] if depth > 0 else []
    children = {(0, 0)}.union(
        *(states(graph, target, graph.remaining_depth(target, depth - 1), path) for target in delegates)
    )
    found: set[State] = set()
    for chosen in itertools.combinations_with_replacement(sorted(children), limits.parallel):
        requests, turns = (sum(each) for each in zip(*chosen, strict=True))
        found.update((used, turns + 1) for used in range(requests + 1, limits.requests + 1))
    return found


@st.composite
def teams(draw: st.DrawFn) -> dict[str, str]:
    names = "abcd"[: draw(st.integers(1, 4))]
    team = {}
    for name in names:
        others = [other for other in names if other != name]
        asked = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
        tools = draw(st.sampled_from([[], ["look"]]))
        limits = [f"{key}: {draw(st.integers(*ends))}" for key, *ends in LIMITS]
        team[name] = f"capabilities: [{', '.join([*asked, *tools])}]\nlimits: {{{', '.join(limits)}}}"
    return team


LIMITS = [("requests", 1, 5), ("depth", 0, 3), ("parallel", 1, 2)]


@given(team=teams())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_worst_case_is_the_maximum_of_all_possible_states(tmp_path: Path, team: dict[str, str]) -> None:
    graph = graph_of(tmp_path, team)
    for name, worst in worst_cases(graph).items():
        possible = states(graph, name, graph.remaining_depth(name, graph.depth))
        last = 1 if graph.definitions[name].capabilities else 0
        assert worst == WorstCase(
            max(requests for requests, _ in possible) + last, max(turns for _, turns in possible)
        )


def insatiable(request: Request) -> Message:
    """Call every available tool twice; reply if there is none."""
    wanted = [tool["function"]["name"] for tool in request.tools]
    return calls(*((name, {"message": "Go on"}) for name in wanted * 2)) if wanted else {"content": "Enough."}


class ParallelHelpers(ScriptedLLM):
    """Calls every tool in each response; the first request of a helper waits for the second."""

    def __init__(self) -> None:
        super().__init__([insatiable] * 50)
        self._helpers = 0
        self._both = asyncio.Event()

    async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        if request.messages[0]["content"] == "H.":
            self._helpers += 1
            if self._helpers > 1:
                self._both.set()
            await self._both.wait()
        async with aclosing(super().stream(request)) as parts:
            async for part in parts:
                yield part


@pytest.mark.parametrize(
    ("boss", "helper", "expected"),
    [
        ("requests: 7, parallel: 2", "requests: 25", 8),  # every request counts for the limit of the boss
        (
            "requests: 3, parallel: 2",
            "requests: 1",
            4,
        ),  # helpers have no last request once the boss's limit is used up
        ("requests: 1, parallel: 2", "requests: 1", 2),
    ],
)
async def test_a_real_run_reaches_the_worst_case_and_no_more(
    tmp_path: Path, boss: str, helper: str, expected: int
) -> None:
    objects = {
        "boss": f"name: boss\nprompt: B.\ncapabilities: [helper]\nlimits: {{{boss}}}\n",
        "helper": f"name: helper\nprompt: H.\ncapabilities: [list_files]\nlimits: {{{helper}}}\n",
    }
    llm = ParallelHelpers()
    async with open_env(tmp_path, llm, objects) as environment:
        definitions = {name: environment.catalog[name] for name in objects}
        graph = Graph(definitions, objects=objects, tools={tool.name: tool for tool in (read_file, list_files)})
        assert worst_cases(graph)["boss"].requests == expected
        await environment["boss"].receive("Go")
    assert len(llm.requests) == expected


def test_an_object_without_capabilities_needs_one_request(tmp_path: Path) -> None:
    assert worst_cases(graph_of(tmp_path, {"a": ""})) == {"a": WorstCase(1, 1)}


def test_a_large_team_in_which_all_call_all_is_searched_quickly(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(40)]
    team = {name: f"capabilities: [{', '.join(other for other in names if other != name)}]" for name in names}
    assert set(worst_cases(graph_of(tmp_path, team)).values()) == {WorstCase(26, 25)}


def test_with_too_many_paths_the_figure_is_never_too_low(tmp_path: Path) -> None:
    """Few objects and many others, which call each other in turn until every one of the few is on the path."""
    few, many = [f"f{number}" for number in range(5)], [f"m{number}" for number in range(18)]
    team = {
        name: f"capabilities: [{', '.join(asked)}]\nlimits: {{requests: 1000, parallel: 1, depth: 12}}"
        for names, asked in ((few, many), (many, few))
        for name in names
    }
    worst = worst_cases(graph_of(tmp_path, team, LimitsConfig(depth=12)))["m0"]
    assert not worst.exact
    assert worst.requests == 1001
    assert 2 * len(few) + 1 <= worst.parallel_turns <= 13
