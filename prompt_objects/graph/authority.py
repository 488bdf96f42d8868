"""Findings about authority: what an object has done that it may not do itself."""

from collections.abc import Iterable, Iterator

from prompt_objects.graph.finding import Finding
from prompt_objects.graph.links import Graph, Link, Way
from prompt_objects.graph.structure import arrows
from prompt_objects.graph.survey import Survey

__all__ = ["authority", "gained"]

_DEEDS = {"write": "changes files", "execute": "starts programs", "network": "sends over the network"}
_UNASKED = " without a person being asked"


def authority(survey: Survey) -> Iterator[Finding]:
    """Find tools with an effect on the world that an object reaches only through those whom it may ask.

    What an MCP server's tools do is not known before it runs, so they count as having one.
    """
    graph = survey.graph
    for owner, definition in graph.definitions.items():
        for path, link in _borrowed(graph, owner):
            way = (*path, link.target)
            unasked = f",{_UNASKED}" if link.capability.approval == "always" else ""
            yield Finding(
                severity="warning",
                kind="authority",
                file=definition.file,
                at=graph.asks(owner)[path[1]].capability.at,
                text=f"{owner} reaches {_named(graph, link)} only through others{unasked}: {arrows(way)}.",
                path=way,
            )


def gained(before: Graph, after: Graph, name: str) -> Iterator[str]:
    """Say what `name` could do to the world after a change that it could not do itself before, or had to ask for."""
    known = {_power(link) for link in (_powers(before, name) if name in before.definitions else ())}
    for link in _powers(after, name):
        if _power(link) not in known:
            capability = link.capability
            unasked = _UNASKED if capability.approval == "always" else ""
            partly = ", within its patterns without a person being asked" if capability.allow and not unasked else ""
            yield f"{name} could use {_named(after, link).rstrip(',')}{unasked}{partly}."


def _power(link: Link) -> tuple[object, ...]:
    """Return what makes one power another: what it is, and how far a person is asked about it."""
    capability = link.capability
    allowed = tuple(sorted(capability.allow.items()))
    return (link.kind, link.target, capability.approval, allowed, tuple(sorted(capability.tools)))


def _named(graph: Graph, link: Link) -> str:
    if link.kind == "server":
        return f"the tools of the MCP server {link.target}"
    return f"{link.target}, which {_DEEDS[graph.tools[link.target]]},"


def _borrowed(graph: Graph, owner: str) -> Iterator[tuple[Way, Link]]:
    """Yield what others can do for `owner` that it cannot do itself, each thing once, by the shortest path."""
    held = list(_powers(graph, owner))
    for name, path in sorted(graph.reach(owner).items(), key=lambda reached: len(reached[1])):
        for link in _powers(graph, name):
            if not _covered(link, held):
                held.append(link)
                yield path, link


def _powers(graph: Graph, name: str) -> Iterator[Link]:
    for link in graph.uses(name):
        is_power = link.kind == "server" or graph.tools[link.target] in _DEEDS
        if is_power and link.capability.approval != "never":
            yield link


def _covered(link: Link, held: Iterable[Link]) -> bool:
    """Tell whether one of `held` gives what `link` does; without patterns it gives all of a server's tools."""
    wanted = set(link.capability.tools)
    return any(
        (own.kind, own.target) == (link.kind, link.target)
        and (not own.capability.tools or (bool(wanted) and wanted <= set(own.capability.tools)))
        for own in held
    )
