"""Findings about authority: what an object has done that it may not do itself."""

from collections.abc import Iterable, Iterator

from prompt_objects.graph.finding import Finding
from prompt_objects.graph.links import Graph, Link, Way
from prompt_objects.graph.structure import arrows
from prompt_objects.graph.survey import Survey

__all__ = ["authority"]

_DEEDS = {"write": "changes files", "execute": "starts programs", "network": "sends over the network"}


def authority(survey: Survey) -> Iterator[Finding]:
    """Find tools with an effect on the world that an object reaches only through those whom it may ask.

    What an MCP server's tools do is not known before it runs, so they count as having one.
    """
    graph = survey.graph
    for owner, definition in graph.definitions.items():
        for path, link in _borrowed(graph, owner):
            way = (*path, link.target)
            unasked = ", without a person being asked" if link.capability.approval == "always" else ""
            yield Finding(
                severity="warning",
                kind="authority",
                file=definition.file,
                at=graph.asks(owner)[path[1]].capability.at,
                text=f"{owner} reaches {_named(graph, link)} only through others{unasked}: {arrows(way)}.",
                path=way,
            )


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
