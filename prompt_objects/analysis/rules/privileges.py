"""Findings about authority: capabilities that an object can use only through others."""

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import TypeAlias

from prompt_objects.analysis.finding import Finding
from prompt_objects.analysis.graph import Edge, EdgePath, Graph
from prompt_objects.analysis.snapshot import EnvironmentSnapshot
from prompt_objects.config.permissions import DEFAULT_POLICIES, effect_of_server, effective_policy
from prompt_objects.utils.text import arrow_path

_EFFECTS = {"write": "changes files", "execute": "starts programs", "network": "sends over the network"}


class Access(IntEnum):
    """How freely a capability may be used; patterns are those of `allow`."""

    FORBIDDEN = 0
    NEEDS_APPROVAL = 1
    ALLOWED_FOR_PATTERNS = 2
    ALLOWED = 3


_ACCESS_WORDS: Mapping[Access, str] = {
    Access.NEEDS_APPROVAL: "",
    Access.ALLOWED_FOR_PATTERNS: ", without approval within patterns",
    Access.ALLOWED: ", without approval",
}
CapabilityKey: TypeAlias = tuple[str, str]
"""The identity of a capability: whether it is a tool or a server, and its name."""


class _Privileges:
    """The capabilities that do more than read, and the objects that may use them, directly or through others.

    Every MCP server counts as such a capability.
    """

    def __init__(self, snapshot: EnvironmentSnapshot) -> None:
        self.graph = snapshot.graph
        self._snapshot = snapshot
        self._by_key: dict[CapabilityKey, dict[str, tuple[Edge, Access]]] = {}
        for edge in self.graph.edges:
            if edge.kind == "server" or (edge.kind == "tool" and self.graph.tools[edge.target].effect in _EFFECTS):
                self._by_key.setdefault(_key(edge), {})[edge.owner] = (edge, self._access(edge))
        self._restricted: dict[frozenset[str], Graph] = {}
        self._reached: dict[tuple[frozenset[str], str], list[tuple[str, EdgePath]]] = {}

    def direct(self, name: str) -> Iterator[tuple[Edge, Access]]:
        return (by_owner[name] for by_owner in self._by_key.values() if name in by_owner and by_owner[name][1])

    def indirect(self, owner: str) -> list[tuple[EdgePath, Edge, Access]]:
        """Return the capabilities that `owner` can use only through others, shortest paths first.

        Each has its least restricted access.
        """
        found = [each for key in self._by_key for each in self._through_others(owner, key)]
        return sorted(found, key=lambda each: (len(each[0]), each[0], each[1].capability.at))

    def _through_others(self, owner: str, key: CapabilityKey) -> Iterator[tuple[EdgePath, Edge, Access]]:
        by_owner = self._by_key[key]
        held = [by_owner[owner][0]] if owner in by_owner else []
        for access in sorted({access for _, access in by_owner.values() if access}, reverse=True):
            if any(not edge.capability.tools for edge in held):
                return
            excluded = frozenset(name for name, (_, least) in by_owner.items() if least < access)
            for name, path in self._reachable(owner, excluded):
                if name in by_owner and by_owner[name][1] >= access and not _is_included(by_owner[name][0], held):
                    held.append(by_owner[name][0])
                    yield path, by_owner[name][0], access

    def _reachable(self, owner: str, excluded: frozenset[str]) -> list[tuple[str, EdgePath]]:
        """Return the objects that `owner` reaches on paths without those in `excluded`, shortest paths first."""
        if excluded not in self._restricted:
            self._restricted[excluded] = Graph(
                {name: each for name, each in self.graph.definitions.items() if name not in excluded},
                objects=self.graph.objects,
                tools=self.graph.tools,
                servers=self.graph.servers,
                bounds=self._snapshot.bounds,
            )
        if (excluded, owner) not in self._reached:
            reached = self._restricted[excluded].reachable_within_limits(owner)
            self._reached[excluded, owner] = sorted(reached.items(), key=lambda each: len(each[1]))
        return self._reached[excluded, owner]

    def _access(self, edge: Edge) -> Access:
        positions, config_file = self._snapshot.positions, self._snapshot.config_file
        if edge.kind == "tool":
            effect = self.graph.tools[edge.target].effect
        else:
            effect = effect_of_server(positions.value(config_file, "mcp_servers", edge.target, "url"))
        policy = effective_policy(
            edge.capability.approval, positions.value(config_file, "approval", effect) or DEFAULT_POLICIES[effect]
        )
        if policy == "never":
            return Access.FORBIDDEN
        if edge.kind == "tool" and self.graph.tools[edge.target].always_ask:
            return Access.NEEDS_APPROVAL
        if policy == "always":
            return Access.ALLOWED
        return Access.ALLOWED_FOR_PATTERNS if edge.capability.allow else Access.NEEDS_APPROVAL


def privilege_escalation(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find tools that do more than read and that an object can use only through its delegates."""
    privileges, graph = _Privileges(snapshot), snapshot.graph
    for owner, definition in graph.definitions.items():
        for path, edge, access in privileges.indirect(owner):
            full_path = (*path, edge.target)
            words = _ACCESS_WORDS[access]
            yield Finding(
                severity="note" if access is Access.NEEDS_APPROVAL else "warning",
                kind="authority",
                file=definition.file,
                at=graph.delegations(owner)[path[1]].capability.at,
                text=f"{owner} can use {_describe(graph, edge)} only through others{words}: {arrow_path(full_path)}.",
                path=full_path,
            )


def gained_privileges(before: EnvironmentSnapshot, after: EnvironmentSnapshot, name: str) -> Iterator[str]:
    """Yield a sentence for each capability that `name` gains by a change, or may use with less approval."""
    known = list(_Privileges(before).direct(name))
    for edge, access in _Privileges(after).direct(name):
        if not any(_is_already_allowed(own, (edge, access)) for own in known):
            yield f"{name} could use {_describe(after.graph, edge).rstrip(',')}{_ACCESS_WORDS[access]}."


def _is_already_allowed(known: tuple[Edge, Access], wanted: tuple[Edge, Access]) -> bool:
    (own, own_access), (edge, access) = known, wanted
    within = access == own_access == Access.ALLOWED_FOR_PATTERNS
    has_patterns = not within or own.capability.allow == edge.capability.allow
    return _is_included(edge, [own]) and own_access >= access and has_patterns


def _key(edge: Edge) -> CapabilityKey:
    return edge.kind, edge.target


def _describe(graph: Graph, edge: Edge) -> str:
    if edge.kind == "server":
        return f"the tools of the MCP server {edge.target}"
    return f"{edge.target}, which {_EFFECTS[graph.tools[edge.target].effect]},"


def _is_included(edge: Edge, held: Iterable[Edge]) -> bool:
    """Return whether an edge in `held` includes `edge`; without patterns, it includes all of a server's tools."""
    wanted = set(edge.capability.tools)
    return any(
        _key(own) == _key(edge)
        and (not own.capability.tools or (bool(wanted) and wanted <= set(own.capability.tools)))
        for own in held
    )
