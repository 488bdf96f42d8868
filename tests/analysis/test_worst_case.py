"""The most that a message may lead to: against every way there is, and against the real run."""

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

State = tuple[int, int]  # requests, turns that go on


def states(graph: Graph, name: str, depth: int, path: tuple[str, ...] = ()) -> set[State]:
    """Return all that may be so at some moment while `name` goes on, before its last request: every way is gone."""
    definition = graph.definitions[name]
    if not definition.capabilities:
        return {(1, 1)}
    limits = definition.limits
    path = (*path, name)
    asked = [target for target in graph.delegates(name) if target not in path] if depth > 0 else []
    children = {(0, 0)}.union(*(states(graph, target, graph.depth_at(target, depth - 1), path) for target in asked))
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
def test_it_is_the_most_of_all_ways_that_there_are(tmp_path: Path, team: dict[str, str]) -> None:
    graph = graph_of(tmp_path, team)
    for name, worst in worst_cases(graph).items():
        possible = states(graph, name, graph.depth_at(name, graph.depth))
        last = 1 if graph.definitions[name].capabilities else 0
        assert worst == WorstCase(
            max(requests for requests, _ in possible) + last, max(turns for _, turns in possible)
        )


def insatiable(request: Request) -> Message:
    """Call everything there is, twice each, as long as something can be called."""
    wanted = [tool["function"]["name"] for tool in request.tools]
    return calls(*((name, {"message": "Go on"}) for name in wanted * 2)) if wanted else {"content": "Enough."}


class Together(ScriptedLLM):
    """Always wants to call something; of the helpers' requests, the first waits for the second."""

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
        ("requests: 7, parallel: 2", "requests: 25", 8),  # all come to the boss's limit
        (
            "requests: 3, parallel: 2",
            "requests: 1",
            4,
        ),  # the helpers, at their own limits, have no last word beyond the boss's
        ("requests: 1, parallel: 2", "requests: 1", 2),
    ],
)
async def test_the_real_run_comes_so_far_and_no_further(
    tmp_path: Path, boss: str, helper: str, expected: int
) -> None:
    objects = {
        "boss": f"name: boss\nprompt: B.\ncapabilities: [helper]\nlimits: {{{boss}}}\n",
        "helper": f"name: helper\nprompt: H.\ncapabilities: [list_files]\nlimits: {{{helper}}}\n",
    }
    llm = Together()
    async with open_env(tmp_path, llm, objects) as environment:
        definitions = {name: environment.catalog[name] for name in objects}
        graph = Graph(definitions, objects=objects, tools={tool.name: tool for tool in (read_file, list_files)})
        assert worst_cases(graph)["boss"].requests == expected
        await environment["boss"].receive("Go")
    assert len(llm.requests) == expected


def test_who_has_no_capabilities_answers_with_one_request(tmp_path: Path) -> None:
    assert worst_cases(graph_of(tmp_path, {"a": ""})) == {"a": WorstCase(1, 1)}


def test_a_large_team_where_everybody_asks_everybody_is_looked_at_in_a_moment(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(40)]
    team = {name: f"capabilities: [{', '.join(other for other in names if other != name)}]" for name in names}
    assert set(worst_cases(graph_of(tmp_path, team)).values()) == {WorstCase(26, 25)}


def test_where_there_are_too_many_ways_the_figure_is_never_too_low(tmp_path: Path) -> None:
    """Few in the middle, many around them: what is asked next is on the other side, until the few are all met."""
    few, many = [f"f{number}" for number in range(5)], [f"m{number}" for number in range(18)]
    team = {
        name: f"capabilities: [{', '.join(asked)}]\nlimits: {{requests: 1000, parallel: 1, depth: 12}}"
        for names, asked in ((few, many), (many, few))
        for name in names
    }
    worst = worst_cases(graph_of(tmp_path, team, LimitsConfig(depth=12)))["m0"]
    assert not worst.exact
    assert worst.requests == 1001
    assert 2 * len(few) + 1 <= worst.at_once <= 13
