"""What one message may lead to at the worst: how many requests to models, and how many turns at once."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from prompt_objects.definition import Definition
from prompt_objects.graph.links import Graph

__all__ = ["WorstCase", "worst_cases"]

MOST_STEPS = 20_000


class WorstCase(Struct, frozen=True):
    """The most that one message leads to: `requests` to models, and `at_once` turns that go on at the same time.

    `requests` are the turns that limits allow, here and below together, and one last request of each turn that is at
    its own limit just then. Where `exact` is false, there were too many paths to look at: calls that close a circle,
    which the run refuses, were counted, so it may be less.
    """

    requests: int
    at_once: int
    exact: bool = True


class _Tree(Struct, frozen=True):
    """What may follow from asking an object: the turns at once, and the price of last requests.

    `prices[n]` is the fewest requests after which n turns are at their own limits, each with a last request to come.
    """

    at_once: int
    prices: tuple[int, ...]


_UNMET = _Tree(0, (0,))


def worst_cases(graph: Graph) -> dict[str, WorstCase]:
    """Work out the worst case of a message to each object whose definition can be read."""
    below = {name: graph.below(name) for name in graph.objects}
    lenient = _Search(graph, below)
    strict = _Search(graph, below, bounds=lenient)
    worst = {}
    for name in graph.objects:
        if name in graph.definitions:
            depth = graph.depth_at(name, graph.depth)
            try:
                worst[name] = _worst_case(graph.definitions[name], strict.tree(name, depth), exact=True)
            except _TooManySteps:
                worst[name] = _worst_case(graph.definitions[name], lenient.tree(name, depth), exact=False)
    return worst


def _worst_case(definition: Definition, tree: _Tree, *, exact: bool) -> WorstCase:
    turns = definition.limits.turns if definition.capabilities else 1
    return WorstCase(turns + len(tree.prices) - 1, tree.at_once, exact)


class _TooManySteps(Exception):
    """The graph has more paths than can be looked at in a moment."""


class _Search:
    """Looks at the ways that a message may take, each part of them once.

    With `bounds`, a search that does not mind circles, it leaves out those, and what could not be worse anyway.
    """

    def __init__(self, graph: Graph, below: Mapping[str, frozenset[str]], *, bounds: "_Search | None" = None) -> None:
        self._graph = graph
        self._below = below
        self._bounds = bounds
        self._known: dict[tuple[str, int, frozenset[str]], _Tree] = {}

    def tree(self, name: str, depth: int, path: frozenset[str] = frozenset()) -> _Tree:
        """Return what follows from asking `name`, by those on `path`, with so much depth left."""
        path &= self._below[name]  # those who cannot be met again make no difference
        key = (name, depth, path)
        if key not in self._known:
            if self._bounds and len(self._known) >= MOST_STEPS:
                raise _TooManySteps
            self._known[key] = self._look(self._graph.definitions[name], depth, path)
        return self._known[key]

    def _look(self, definition: Definition, depth: int, path: frozenset[str]) -> _Tree:
        if not definition.capabilities:  # it answers with its first request
            return _Tree(1, (1,))
        limits = definition.limits
        child = self._any_child(definition, depth, path)
        children = _side_by_side(child.prices, limits.parallel, limits.turns - 1)
        # Its own request comes first; and whatever its children do, by more of them it comes to its own limit.
        prices = (*(1 + price for price in children), limits.turns)
        return _Tree(min(limits.turns, 1 + limits.parallel * child.at_once), prices)

    def _any_child(self, definition: Definition, depth: int, path: frozenset[str]) -> _Tree:
        """Return the worst of all that may be asked: in each respect that of the one which is worst in it."""
        most = _UNMET
        path = path | {definition.name} if self._bounds else path
        for target in self._graph.asks(definition.name) if depth > 0 else ():
            if target not in self._graph.definitions or target in path:
                continue
            left = self._graph.depth_at(target, depth - 1)
            if not self._bounds or _worse(most, self._bounds.tree(target, left)) != most:
                most = _worse(most, self.tree(target, left, path))
        return most


def _worse(one: _Tree, other: _Tree) -> _Tree:
    longer, shorter = sorted((one.prices, other.prices), key=len, reverse=True)
    prices = (*map(min, longer, shorter), *longer[len(shorter) :])
    return _Tree(max(one.at_once, other.at_once), prices)


def _side_by_side(prices: Sequence[int], number: int, most: int) -> Sequence[int]:
    """Return the prices where as many as `number` are asked at once, up to the price `most`."""
    total: Sequence[int] = (0,)
    once: Sequence[int] = (0, *prices[1:])  # not to be asked costs nothing
    while number:
        if number % 2:
            total = _sum(total, once, most)
        once = _sum(once, once, most)
        number //= 2
    return total


def _sum(one: Sequence[int], other: Sequence[int], most: int) -> Sequence[int]:
    """Return the lowest prices of what two offer together."""
    lowest: dict[int, int] = {}
    for n, price in enumerate(one):
        for more, added in enumerate(other):
            if price + added > most:
                break
            lowest[n + more] = min(price + added, lowest.get(n + more, most))
    return [lowest[n] for n in range(len(lowest))]
