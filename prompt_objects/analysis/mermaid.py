"""The graph as a Mermaid flowchart."""

from collections.abc import Iterator

from prompt_objects.analysis.graph import Graph

_SHAPES = {"object": ("([", "])"), "tool": ("[", "]"), "server": ("[(", ")]"), "missing": ("{{", "}}")}
_ARROWS = {"object": "-->", "tool": "-.->", "server": "-.->", "missing": "-.-x"}
_STYLES = """\
  classDef root stroke-width:3px
  classDef broken stroke:#c00,stroke-dasharray:4
  classDef effect stroke:#c60"""
_UNESCAPED = frozenset(" _-./:")


def mermaid(graph: Graph, root: str | None) -> str:
    """Return the flowchart: objects rounded, tools square, servers as cylinders, missing ones as hexagons."""
    return "\n".join(["flowchart TD", *_Drawing(graph, root).lines(), _STYLES])


class _Drawing:
    """Draws the nodes and edges; names that users chose appear in labels only."""

    def __init__(self, graph: Graph, root: str | None) -> None:
        self._graph = graph
        self._root = root
        self._nodes: dict[tuple[str, str], str] = {}

    def lines(self) -> Iterator[str]:
        for name in self._graph.objects:
            yield self._node("object", name)
        for edge in self._graph.edges:
            yield from self._edge(edge.owner, edge.kind, edge.target)
        for missing in self._graph.unresolved:
            yield from self._edge(missing.owner, "missing", missing.capability.name)

    def _edge(self, owner: str, kind: str, target: str) -> Iterator[str]:
        if (kind, target) not in self._nodes:
            yield self._node(kind, target)
        yield f"  {self._nodes['object', owner]} {_ARROWS[kind]} {self._nodes[kind, target]}"

    def _node(self, kind: str, name: str) -> str:
        node = self._nodes[kind, name] = f"n{len(self._nodes)}"
        opening, closing = _SHAPES[kind]
        effect = self._graph.tools[name].effect if kind == "tool" else "read"
        label = "".join(map(_escaped, name if effect == "read" else f"{name}: {effect}"))
        return f'  {node}{opening}"{label}"{closing}{self._class(kind, name, effect)}'

    def _class(self, kind: str, name: str, effect: str) -> str:
        if kind == "missing" or (kind == "object" and name not in self._graph.definitions):
            return ":::broken"
        if kind == "server" or effect != "read":
            return ":::effect"
        return ":::root" if kind == "object" and name == self._root else ""


def _escaped(character: str) -> str:
    if character.isalnum() or character in _UNESCAPED:
        return character
    return f"#{ord(character)};" if character.isprintable() else "\ufffd"
