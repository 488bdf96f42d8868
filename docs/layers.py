"""Draw the layers of the package, from its imports, into docs/architecture.md.

    python docs/layers.py           # rewrite the drawing
    python docs/layers.py --check   # exit with 1 if it is out of date

A layer is a package or module at the top of prompt_objects/. It is drawn above everything that it imports. Only the
imports that no other import implies are listed.
"""

import argparse
import ast
import sys
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "prompt_objects"
PAGE = ROOT / "docs" / "architecture.md"
START, END = "<!-- layers: made by docs/layers.py -->\n```text\n", "```\n<!-- end of layers -->"


def layer_of(path: Path) -> str:
    """Return the layer of a file: its folder at the top of the package, or its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path: Path) -> Iterable[str]:
    """Yield the modules that a file imports, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imports() -> dict[str, set[str]]:
    """Return the layers that each layer imports."""
    graph: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        layer = layer_of(path)
        if layer.startswith("_"):
            continue
        found = {name.split(".")[1] for name in imported_names(path) if name.startswith("prompt_objects.")}
        graph.setdefault(layer, set()).update(name for name in found if name != layer and not name.startswith("_"))
    return graph


def reduced(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that no other import implies."""
    reach: dict[str, set[str]] = {}
    for layer in TopologicalSorter(graph).static_order():
        reach[layer] = set(graph[layer]).union(*(reach[below] for below in graph[layer]))
    return {
        layer: {name for name in below if not any(name in reach[other] for other in below - {name})}
        for layer, below in graph.items()
    }


def levels(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the layers from top to bottom; those that do not import each other may share a level."""
    height: dict[str, int] = {}
    for layer in TopologicalSorter(graph).static_order():
        height[layer] = 1 + max((height[below] for below in graph[layer]), default=-1)
    return [
        sorted(layer for layer in graph if height[layer] == level) for level in range(max(height.values()), -1, -1)
    ]


def drawing() -> str:
    """Return the drawing: a box for each level, with the direct imports of its layers beside it."""
    graph = imports()
    edges = reduced(graph)
    rows = levels(graph)
    width = max(len("  ".join(row)) for row in rows) + 2
    border = "+" + "-" * width + "+\n"
    text = ""
    for row in rows:
        notes = "; ".join(f"{layer} imports {', '.join(sorted(edges[layer]))}" for layer in row if edges[layer])
        text += border + f"|{'  '.join(row).center(width)}|  {notes}".rstrip() + "\n"
    return text + border


def with_drawing(page: str) -> str:
    """Return the page with the drawing as it should be."""
    before, _, rest = page.partition(START)
    return before + START + drawing() + END + rest.partition(END)[2]


def main() -> int:
    """Rewrite the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the drawing is up to date")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    if options.check:
        return int(page != with_drawing(page))
    PAGE.write_text(with_drawing(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
