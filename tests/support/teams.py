"""Small teams of prompt objects, one line each, for the tests of the analysis."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prompt_objects.analysis.graph import Graph
from prompt_objects.analysis.snapshot import EnvironmentSnapshot, take_snapshot
from prompt_objects.config.limits import LimitsConfig
from prompt_objects.config.permissions import Effect
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool

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
    name: Tool(name, "", {}, _nothing, effect=effect, always_ask=name == "propose")
    for name, effect in _EFFECTS.items()
}


def snapshot_of(  # noqa: PLR0913 - all but the first two are given by their own names
    folder: Path,
    objects: Mapping[str, str],
    *,
    settings: str = "",
    bounds: LimitsConfig = LimitsConfig(),  # noqa: B008 (immutable)
    default_object: str | None = None,
    unpriced: Collection[str | None] = (),
) -> EnvironmentSnapshot:
    """Write each object with its name and the given YAML (`capabilities: [b, look]`), and take a snapshot of all.

    `unpriced` are models without known prices, None for the default model.
    """
    files = {}
    for name, text in objects.items():
        files[name] = folder / f"{name}.yaml"
        files[name].write_text(f"name: {name}\nprompt: P.\n{text}\n")
    (folder / "environment.yaml").write_text(settings)
    return take_snapshot(
        files,
        folder / "environment.yaml",
        tools=TOOLS,
        bounds=bounds,
        has_known_price=lambda model: model not in unpriced,
        default_object=default_object,
    )


def graph_of(folder: Path, objects: Mapping[str, str], bounds: LimitsConfig = LimitsConfig()) -> Graph:  # noqa: B008
    return snapshot_of(folder, objects, bounds=bounds).graph
