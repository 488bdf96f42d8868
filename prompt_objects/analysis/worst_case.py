"""Upper bounds of what one message can cause: requests to models, and turns running at the same time."""

from collections.abc import Mapping

from msgspec import Struct

from prompt_objects.analysis.graph import Graph

MAX_SEARCH_STATES = 20_000


class WorstCase(Struct, frozen=True):
    """The most that one message causes: `requests` to models, and `parallel_turns` running at the same time.

    `requests` is the limit of the object, for it and its delegates together, plus the final request when the limit
    is used up. If `exact` is false, there were too many paths to search: `parallel_turns` includes calls that close
    a cycle, which are refused at runtime, so it may be too high.
    """

    requests: int
    parallel_turns: int
    exact: bool = True


def worst_cases(graph: Graph) -> dict[str, WorstCase]:
    """Return the worst case of a message to each object with a valid definition."""
    reachable = {name: graph.reachable(name) for name in graph.objects}
    with_cycles = _Search(graph, reachable)
    without_cycles = _Search(graph, reachable, bounds=with_cycles)
    worst = {}
    for name in graph.objects:
        if name in graph.definitions:
            depth = graph.remaining_depth(name, graph.depth)
            definition = graph.definitions[name]
            requests = definition.limits.requests + 1 if definition.capabilities else 1
            try:
                worst[name] = WorstCase(requests, without_cycles.parallel_turns(name, depth))
            except _TooManyStates:
                worst[name] = WorstCase(requests, with_cycles.parallel_turns(name, depth), exact=False)
    return worst


class _TooManyStates(Exception):
    """The graph has too many paths to search."""


class _Search:
    """Searches for the most turns at the same time among all paths that a message can take.

    A search without `bounds` includes cycles. Given such a search as `bounds`, another one excludes cycles, and skips
    paths that cannot be worse.
    """

    def __init__(
        self, graph: Graph, reachable: Mapping[str, frozenset[str]], *, bounds: "_Search | None" = None
    ) -> None:
        self._graph = graph
        self._reachable = reachable
        self._bounds = bounds
        self._known: dict[tuple[str, int, frozenset[str]], int] = {}

    def parallel_turns(self, name: str, depth: int, path: frozenset[str] = frozenset()) -> int:
        """Return the most turns of `name` and its delegates, called by those on `path`, with `depth` levels left."""
        path &= self._reachable[name]  # only objects that can be reached again matter
        key = (name, depth, path)
        if key not in self._known:
            if self._bounds and len(self._known) >= MAX_SEARCH_STATES:
                raise _TooManyStates
            limits = self._graph.definitions[name].limits
            self._known[key] = min(limits.requests, 1 + limits.parallel * self._max_delegate_turns(name, depth, path))
        return self._known[key]

    def _max_delegate_turns(self, name: str, depth: int, path: frozenset[str]) -> int:
        most = 0
        path = path | {name} if self._bounds else path
        for target in self._graph.delegations(name) if depth > 0 else ():
            if target not in self._graph.definitions or target in path:
                continue
            left = self._graph.remaining_depth(target, depth - 1)
            if not self._bounds or self._bounds.parallel_turns(target, left) > most:
                most = max(most, self.parallel_turns(target, left, path))
        return most
