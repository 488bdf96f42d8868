"""The graph of an environment: delegations, and the tools and MCP servers that objects use."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from prompt_objects.config.definition import Capability, Definition
from prompt_objects.config.limits import Limits, LimitsConfig
from prompt_objects.config.permissions import HasEffect
from prompt_objects.utils.text import did_you_mean

EdgePath: TypeAlias = tuple[str, ...]
"""Names from the caller to the last object called, both included."""


class Edge(Struct, frozen=True):
    """A resolved capability of `owner`: the prompt object, tool or MCP server that it names."""

    owner: str
    target: str
    kind: Literal["object", "tool", "server"]
    capability: Capability


class Unresolved(Struct, frozen=True):
    """A capability of `owner` that does not exist or is ambiguous; `hint` may be empty."""

    owner: str
    capability: Capability
    problem: str
    hint: str


def resolve(
    capability: Capability, owner: str, *, objects: Collection[str], tools: Collection[str], servers: Collection[str]
) -> Edge | Unresolved:
    """Resolve a capability of `owner` to one of the existing names."""
    name, kind = capability.name, capability.kind
    if kind == "any" and name in tools and name in objects:
        problem = f"Capability {name!r} is both a tool and a prompt object."
        return Unresolved(owner, capability, problem, f"Write 'tool: {name}' or 'po: {name}'.")
    if name == owner and (kind == "po" or (kind == "any" and name not in tools)):
        return Unresolved(owner, capability, f"{name!r} cannot be a capability of itself.", "")
    if kind in {"any", "tool"} and name in tools:
        return Edge(owner, name, "tool", capability)
    if kind in {"any", "po"} and name in objects:
        return Edge(owner, name, "object", capability)
    if kind == "mcp" and name in servers:
        return Edge(owner, name, "server", capability)
    what = {"any": "tool or prompt object", "tool": "tool", "po": "prompt object", "mcp": "MCP server"}[kind]
    known = {"any": [*tools, *objects], "tool": tools, "po": objects, "mcp": servers}[kind]
    hint = did_you_mean(name, (each for each in known if each != owner))
    return Unresolved(owner, capability, f"Capability {name!r}: there is no such {what}.", hint)


def resolve_or_raise(
    capability: Capability,
    owner: Definition,
    *,
    objects: Collection[str],
    tools: Collection[str],
    servers: Collection[str] = (),
) -> Edge:
    """Resolve a capability of `owner`; raises `DefinitionError`, with its position, if it cannot be resolved."""
    edge = resolve(capability, owner.name, objects=objects, tools=tools, servers=servers)
    if isinstance(edge, Unresolved):
        raise owner.error_at(edge.problem, capability.at, hint=edge.hint)
    return edge


class Graph:
    """Prompt objects, also invalid ones, with the edges of those that have a valid definition."""

    def __init__(
        self,
        definitions: Mapping[str, Definition],
        *,
        objects: Collection[str],
        tools: Mapping[str, HasEffect],
        servers: Collection[str] = (),
        bounds: LimitsConfig = LimitsConfig(),  # noqa: B008 (immutable)
    ) -> None:
        self.definitions = definitions
        self.objects = sorted(objects)
        self.tools = tools
        self.servers = sorted(servers)
        self.depth = Limits.resolve(LimitsConfig(), bounds).depth
        resolved = [
            resolve(capability, name, objects=objects, tools=tools, servers=servers)
            for name, definition in sorted(definitions.items())
            for capability in definition.capabilities
        ]
        self.edges = [each for each in resolved if isinstance(each, Edge)]
        self.unresolved = [each for each in resolved if isinstance(each, Unresolved)]
        self._delegations: dict[str, dict[str, Edge]] = {name: {} for name in objects}
        self._tools_and_servers: dict[str, list[Edge]] = {name: [] for name in objects}
        for edge in self.edges:
            if edge.kind == "object":
                self._delegations[edge.owner][edge.target] = edge
            else:
                self._tools_and_servers[edge.owner].append(edge)

    def delegations(self, name: str) -> Mapping[str, Edge]:
        """Return the edges to the prompt objects that an object may call, by name, in the order of its definition."""
        return self._delegations[name]

    def tools_and_servers(self, name: str) -> list[Edge]:
        return self._tools_and_servers[name]

    def remaining_depth(self, name: str, left: int) -> int:
        """Return how many levels an object may delegate if its caller may delegate `left` levels."""
        definition = self.definitions.get(name)
        return min(left, definition.limits.depth) if definition else 0

    def reachable_within_limits(self, start: str) -> dict[str, EdgePath]:
        """Return the objects that a message to `start` can reach within the limits, with their shortest paths."""
        paths: dict[str, EdgePath] = {}
        best = {start: self.remaining_depth(start, self.depth)}
        waiting: deque[tuple[EdgePath, int]] = deque([((start,), best[start])])
        while waiting:
            path, left = waiting.popleft()
            for target in self.delegations(path[-1]) if left > 0 else ():
                deeper = self.remaining_depth(target, left - 1)
                if deeper > best.get(target, -1):  # a longer path may lead further if it avoids narrow limits
                    best[target] = deeper
                    paths.setdefault(target, (*path, target))
                    waiting.append(((*path, target), deeper))
        return paths

    def shortest_path(self, start: str, end: str) -> EdgePath | None:
        """Return the shortest path from `start` to `end` regardless of limits, None if there is none."""
        return next((path for path in self._walk(start) if path[-1] == end), None)

    def reachable(self, start: str) -> frozenset[str]:
        """Return all objects reachable from `start` regardless of limits; itself only if it is part of a cycle."""
        return frozenset(path[-1] for path in self._walk(start))

    def cycles(self) -> list[EdgePath]:
        """Return the cycles of delegation: the shortest one through each edge that is part of one.

        Each starts with its alphabetically first name, which is not repeated at the end.
        """
        found: dict[EdgePath, None] = {}
        for owner in self.objects:
            for target in self.delegations(owner):
                back = self.shortest_path(target, owner)
                if back:
                    first = back.index(min(back))
                    found[(*back[first:], *back[:first])] = None
        return sorted(found, key=lambda cycle: (len(cycle), cycle))

    def _walk(self, start: str) -> Iterator[EdgePath]:
        seen: set[str] = set()
        waiting: deque[EdgePath] = deque([(start,)])
        while waiting:
            path = waiting.popleft()
            for target in self.delegations(path[-1]):
                if target not in seen:
                    seen.add(target)
                    yield (*path, target)
                    waiting.append((*path, target))
