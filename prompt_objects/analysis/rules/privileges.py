"""Findings about authority: effects that an object can only cause through others."""

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
    """How freely something may be used; `WITHIN` means without approval within patterns."""

    NEVER = 0
    ASKED = 1
    WITHIN = 2
    UNASKED = 3


_ACCESS_WORDS: Mapping[Access, str] = {
    Access.ASKED: "",
    Access.WITHIN: ", without approval within patterns",
    Access.UNASKED: ", without approval",
}
Key: TypeAlias = tuple[str, str]
"""The identity of a capability: whether it is a tool or a server, and its name."""


class _Privileges:
    """The effects that each object can cause itself and through others; every MCP server counts as having one."""

    def __init__(self, snapshot: EnvironmentSnapshot) -> None:
        self.graph = snapshot.graph
        self._snapshot = snapshot
        self._by_key: dict[Key, dict[str, tuple[Edge, Access]]] = {}
        for link in self.graph.edges:
            if link.kind == "server" or (link.kind == "tool" and self.graph.tools[link.target].effect in _EFFECTS):
                self._by_key.setdefault(_key(link), {})[link.owner] = (link, self._access(link))
        self._open: dict[frozenset[str], Graph] = {}
        self._reached: dict[tuple[frozenset[str], str], list[tuple[str, EdgePath]]] = {}

    def own(self, name: str) -> Iterator[tuple[Edge, Access]]:
        return (by[name] for by in self._by_key.values() if name in by and by[name][1])

    def borrowed(self, owner: str) -> list[tuple[EdgePath, Edge, Access]]:
        """Return what others can do for `owner` that it cannot itself, with the freest access, the nearest first."""
        found = [each for key in self._by_key for each in self._through_others(owner, key)]
        return sorted(found, key=lambda each: (len(each[0]), each[0], each[1].capability.at))

    def _through_others(self, owner: str, key: Key) -> Iterator[tuple[EdgePath, Edge, Access]]:
        by = self._by_key[key]
        held = [by[owner][0]] if owner in by else []
        for access in sorted({access for _, access in by.values() if access}, reverse=True):
            if any(not link.capability.tools for link in held):
                return
            excluded = frozenset(name for name, (_, least) in by.items() if least < access)
            for name, path in self._reach(owner, excluded):
                if name in by and by[name][1] >= access and not _covered(by[name][0], held):
                    held.append(by[name][0])
                    yield path, by[name][0], access

    def _reach(self, owner: str, excluded: frozenset[str]) -> list[tuple[str, EdgePath]]:
        """Return the objects that `owner` reaches, the nearest first, without passing those in `excluded`."""
        if excluded not in self._open:
            whole = self.graph
            self._open[excluded] = Graph(
                {name: each for name, each in whole.definitions.items() if name not in excluded},
                objects=whole.objects,
                tools=whole.tools,
                servers=whole.servers,
                bounds=self._snapshot.bounds,
            )
        if (excluded, owner) not in self._reached:
            reached = self._open[excluded].reach(owner)
            self._reached[excluded, owner] = sorted(reached.items(), key=lambda each: len(each[1]))
        return self._reached[excluded, owner]

    def _access(self, link: Edge) -> Access:
        places, settings = self._snapshot.positions, self._snapshot.settings
        if link.kind == "tool":
            effect = self.graph.tools[link.target].effect
        else:
            effect = effect_of_server(places.value(settings, "mcp_servers", link.target, "url"))
        holds = effective_policy(
            link.capability.approval, places.value(settings, "approval", effect) or DEFAULT_POLICIES[effect]
        )
        if holds == "never":
            return Access.NEVER
        if link.kind == "tool" and self.graph.tools[link.target].always_ask:
            return Access.ASKED
        if holds == "always":
            return Access.UNASKED
        return Access.WITHIN if link.capability.allow else Access.ASKED


def privilege_escalation(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find tools with an effect that an object reaches only through its delegates."""
    privileges, graph = _Privileges(snapshot), snapshot.graph
    for owner, definition in graph.definitions.items():
        for path, link, access in privileges.borrowed(owner):
            full_path = (*path, link.target)
            words = _ACCESS_WORDS[access]
            yield Finding(
                severity="note" if access is Access.ASKED else "warning",
                kind="authority",
                file=definition.file,
                at=graph.delegates(owner)[path[1]].capability.at,
                text=f"{owner} reaches {_named(graph, link)} only through others{words}: {arrow_path(full_path)}.",
                path=full_path,
            )


def gained_privileges(before: EnvironmentSnapshot, after: EnvironmentSnapshot, name: str) -> Iterator[str]:
    """Yield a sentence for each effect that `name` can cause itself after a change, but not (so freely) before."""
    known = list(_Privileges(before).own(name))
    for link, access in _Privileges(after).own(name):
        if not any(_includes(own, (link, access)) for own in known):
            yield f"{name} could use {_named(after.graph, link).rstrip(',')}{_ACCESS_WORDS[access]}."


def _includes(known: tuple[Edge, Access], wanted: tuple[Edge, Access]) -> bool:
    (own, own_access), (link, access) = known, wanted
    within = access == own_access == Access.WITHIN
    has_patterns = not within or own.capability.allow == link.capability.allow
    return _covered(link, [own]) and own_access >= access and has_patterns


def _key(link: Edge) -> Key:
    return link.kind, link.target


def _named(graph: Graph, link: Edge) -> str:
    if link.kind == "server":
        return f"the tools of the MCP server {link.target}"
    return f"{link.target}, which {_EFFECTS[graph.tools[link.target].effect]},"


def _covered(link: Edge, held: Iterable[Edge]) -> bool:
    """Return whether one of `held` gives what `link` does; without patterns it gives all of a server's tools."""
    wanted = set(link.capability.tools)
    return any(
        _key(own) == _key(link)
        and (not own.capability.tools or (bool(wanted) and wanted <= set(own.capability.tools)))
        for own in held
    )
