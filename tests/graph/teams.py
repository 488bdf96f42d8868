"""Small teams of prompt objects, written in a line each, for the tests of the graph."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prompt_objects.context import Context
from prompt_objects.effect import Effect
from prompt_objects.graph.links import Graph
from prompt_objects.graph.survey import Survey, survey
from prompt_objects.limits import GivenLimits
from prompt_objects.tools import Tool

_EFFECTS: Mapping[str, Effect] = {
    "look": "read",
    "write": "write",
    "start": "execute",
    "send": "network",
    "propose": "write",
}


async def _nothing(_arguments: dict[str, Any], _context: Context) -> str:
    return ""


TOOLS = {
    name: Tool(name, "", {}, _nothing, effect=effect, each_time=name == "propose")
    for name, effect in _EFFECTS.items()
}


def look_at(  # noqa: PLR0913 - all but the first two are given by their own names
    folder: Path,
    objects: Mapping[str, str],
    *,
    settings: str = "",
    bounds: GivenLimits = GivenLimits(),  # noqa: B008 (immutable)
    default_object: str | None = None,
    unpriced: Collection[str | None] = (),
) -> Survey:
    """Write each object as what follows its name in YAML, `capabilities: [b, look]`, and look at all of them.

    `unpriced` are models whose prices nobody knows, None the default.
    """
    files = {}
    for name, text in objects.items():
        files[name] = folder / f"{name}.yaml"
        files[name].write_text(f"name: {name}\nprompt: P.\n{text}\n")
    (folder / "environment.yaml").write_text(settings)
    return survey(
        files,
        folder / "environment.yaml",
        tools=TOOLS,
        bounds=bounds,
        may_be_priced=lambda model: model not in unpriced,
        default_object=default_object,
    )


def graph_of(folder: Path, objects: Mapping[str, str], bounds: GivenLimits = GivenLimits()) -> Graph:  # noqa: B008
    return look_at(folder, objects, bounds=bounds).graph
