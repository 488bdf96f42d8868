"""`prompt-objects check`: who may ask whom and use what, and what there is to say about it."""

import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from prompt_objects.analysis.check import check
from prompt_objects.analysis.finding import Finding
from prompt_objects.analysis.graph import Graph
from prompt_objects.analysis.mermaid import mermaid
from prompt_objects.analysis.snapshot import EnvironmentSnapshot, take_snapshot
from prompt_objects.analysis.worst_case import WorstCase, worst_cases
from prompt_objects.cli.json_output import check_fields
from prompt_objects.cli.streams import print_out, put_as_json
from prompt_objects.cli.targets import environment_folder
from prompt_objects.config.environment import CONFIG_FILE, load_config
from prompt_objects.environment.locate import require_environment
from prompt_objects.environment.resources import find_definitions
from prompt_objects.errors import UsageError
from prompt_objects.llm.connect import has_known_price
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.utils.text import pluralize

__all__ = [
    "run",
]


def run(options: Namespace) -> int:
    """Print the graph and what was found in it; 1 where there is an error among that."""
    if options.json and options.mermaid:
        raise UsageError("Either --json or --mermaid: both do not fit into one output.")
    seen = _look(require_environment(environment_folder(options)))
    found = check(seen)
    if options.json:
        put_as_json(check_fields(seen, found, worst_cases(seen.graph)))
    elif options.mermaid:
        print_out(mermaid(seen.graph, seen.root))
    else:
        for line in (*_lines(seen.graph, worst_cases(seen.graph)), *map(str, found), _verdict(seen.graph, found)):
            print_out(clean_line(line))
    return int(any(finding.severity == "error" for finding in found))


def _look(folder: Path) -> EnvironmentSnapshot:
    """Look at an environment without opening it: no store is connected to, nothing is written."""
    from prompt_objects.tools.registry import load_registry

    config = load_config(folder, os.environ)
    tools = load_registry(folder).tools
    files, clashes = find_definitions(folder / "objects")
    return take_snapshot(
        files,
        folder / CONFIG_FILE,
        tools=tools,
        bounds=config.limits,
        may_be_priced=lambda model: has_known_price(model, config, os.environ),
        default_object=config.default_object,
        faults=clashes,
    )


def _lines(graph: Graph, costs: Mapping[str, WorstCase]) -> Iterator[str]:
    """Say of every object whom it asks, what it uses, and what a message to it may lead to."""
    shown = {name: clean_line(name) for name in graph.objects}
    width = max(map(len, shown.values()), default=0)
    for name in graph.objects:
        parts = [f"asks {', '.join(graph.delegates(name))}"] if graph.delegates(name) else []
        parts += [f"uses {', '.join(link.target for link in graph.uses(name))}"] if graph.uses(name) else []
        parts += [_cost(costs[name])] if name in costs else ["broken"]
        yield f"{shown[name]:{width}}  {'; '.join(parts)}"


def _cost(cost: WorstCase) -> str:
    bound = "" if cost.exact else "no more than "
    return (
        f"at most {pluralize(cost.requests, 'request')} a message, {bound}{pluralize(cost.at_once, 'turn')} at once"
    )


def _verdict(graph: Graph, found: Sequence[Finding]) -> str:
    looked = f"Looked at {pluralize(len(graph.objects), 'prompt object')}"
    if not found:
        return f"{looked}: all is well."
    severities = Counter(finding.severity for finding in found)
    return f"{looked}: {', '.join(pluralize(number, severity) for severity, number in severities.items())}."
