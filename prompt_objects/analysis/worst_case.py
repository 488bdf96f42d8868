"""Upper bounds of what one message can cause: requests to models, and turns running at the same time."""

from collections.abc import Mapping

from msgspec import Struct

from prompt_objects.analysis.graph import Graph

MAX_STEPS = 20_000


class WorstCase(Struct, frozen=True):
    """The most that one message causes: `requests` to models, and `at_once` turns running at the same time.

    `requests` is the limit of the object, for it and its delegates together, plus the last request when the limit
    is used up. If `exact` is false, there were too many paths: `at_once` includes calls that close a cycle, which
    are refused at runtime, so it may be less.
    """

    requests: int
    at_once: int
    exact: bool = True


def worst_cases(graph: Graph) -> dict[str, WorstCase]:
    """Return the worst case of a message to each object with a valid definition."""
    below = {name: graph.below(name) for name in graph.objects}
    lenient = _Search(graph, below)
    strict = _Search(graph, below, bounds=lenient)
    worst = {}
    for name in graph.objects:
        if name in graph.definitions:
            depth = graph.depth_at(name, graph.depth)
            definition = graph.definitions[name]
            requests = definition.limits.requests + 1 if definition.capabilities else 1
            try:
                worst[name] = WorstCase(requests, strict.at_once(name, depth))
            except _TooManySteps:
                worst[name] = WorstCase(requests, lenient.at_once(name, depth), exact=False)
    return worst


class _TooManySteps(Exception):
    """The graph has too many paths to search."""


class _Search:
    """Searches for the most turns at the same time among all paths that a message can take.

    With `bounds`, a search that ignores cycles, it excludes cycles, and skips paths that cannot be worse.
    """

    def __init__(self, graph: Graph, below: Mapping[str, frozenset[str]], *, bounds: "_Search | None" = None) -> None:
        self._graph = graph
        self._below = below
        self._bounds = bounds
        self._known: dict[tuple[str, int, frozenset[str]], int] = {}

    def at_once(self, name: str, depth: int, path: frozenset[str] = frozenset()) -> int:
        """Return the most turns of `name` and its delegates, called by those on `path`, with `depth` levels left."""
        path &= self._below[name]  # only objects that can be reached again matter
        key = (name, depth, path)
        if key not in self._known:
            if self._bounds and len(self._known) >= MAX_STEPS:
                raise _TooManySteps
            limits = self._graph.definitions[name].limits
            self._known[key] = min(limits.requests, 1 + limits.parallel * self._most_below(name, depth, path))
        return self._known[key]

    def _most_below(self, name: str, depth: int, path: frozenset[str]) -> int:
        most = 0
        path = path | {name} if self._bounds else path
        for target in self._graph.delegates(name) if depth > 0 else ():
            if target not in self._graph.definitions or target in path:
                continue
            left = self._graph.depth_at(target, depth - 1)
            if not self._bounds or self._bounds.at_once(target, left) > most:
                most = max(most, self.at_once(target, left, path))
        return most
