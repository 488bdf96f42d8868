"""`prompt-objects check`: print the graph of an environment's prompt objects, and the problems in it."""

import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from prompt_objects.cli.command import argument, shell_command
from prompt_objects.cli.json_output import as_json, format_table, print_result
from prompt_objects.cli.streams import print_out
from prompt_objects.cli.targets import environment_folder
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import pluralize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prompt_objects.analysis.finding import Finding
    from prompt_objects.analysis.graph import Graph
    from prompt_objects.analysis.snapshot import EnvironmentSnapshot
    from prompt_objects.analysis.worst_case import WorstCase


class CheckedObjectJson(Struct):
    """A checked prompt object."""

    name: str
    file: Annotated[Path | None, Meta(description="its definition; null if it cannot be read")]
    asks: Annotated[tuple[str, ...], Meta(description="prompt objects")]
    tools: tuple[str, ...]
    servers: tuple[str, ...]
    requests: Annotated[int | None, Meta(description="the most requests to models that one message can cause")]
    at_once: Annotated[int | None, Meta(description="the most turns at the same time")]
    exact: Annotated[bool, Meta(description="whether `at_once` is exact; otherwise it is an upper bound")]


class CheckedToolJson(Struct):
    """A tool."""

    name: str
    effect: Literal["read", "write", "execute", "network"]
    used_by: Annotated[tuple[str, ...], Meta(description="prompt objects")]


class FindingJson(Struct):
    """A finding."""

    severity: Literal["error", "warning", "note"]
    kind: Annotated[str, Meta(description="one of the kinds in [check.md](check.md)")]
    file: Path
    line: int
    column: int
    text: str
    path: Annotated[tuple[str, ...], Meta(description="prompt objects, from the first caller to the last delegate")]


class CheckJson(Struct):
    """The result of `check`."""

    root: Annotated[str | None, Meta(description="the prompt object that opens if none was used before")]
    objects: list[CheckedObjectJson]
    tools: list[CheckedToolJson]
    findings: Annotated[list[FindingJson], Meta(description="the most severe first")]


@shell_command(
    "check",
    argument("--mermaid", action="store_true", help="print a Mermaid diagram"),
    output=CheckJson,
    examples=("check --mermaid > objects.mmd",),
)
def check(options: Namespace) -> int:
    """Show the delegates and tools of each prompt object, what is missing, and how many requests a message can cause.

    The exit code is 1 if there is an error.
    """
    from prompt_objects.analysis.check import check as find_problems
    from prompt_objects.analysis.mermaid import mermaid
    from prompt_objects.analysis.worst_case import worst_cases
    from prompt_objects.environment.locate import require_environment

    if options.json and options.mermaid:
        raise UsageError("--json and --mermaid cannot be used together.", hint="Give one of them.")
    snapshot = _take_snapshot(require_environment(environment_folder(options)))
    graph, findings = snapshot.graph, find_problems(snapshot)
    if options.mermaid:
        print_out(mermaid(graph, snapshot.root))
    else:
        worst = worst_cases(graph)
        listed = [as_json(FindingJson, each, line=each.at.line, column=each.at.column) for each in findings]
        data = CheckJson(snapshot.root, *_as_json(graph, worst), listed)
        lines = (*format_table(_rows(graph, worst)), *map(str, findings), _summary(graph, findings))
        print_result(options, data, lines)
    return int(any(finding.severity == "error" for finding in findings))


def _take_snapshot(folder: Path) -> "EnvironmentSnapshot":
    """Read an environment without opening it: no store is connected, and nothing is written."""
    from prompt_objects.analysis.snapshot import take_snapshot
    from prompt_objects.config.environment import CONFIG_FILE
    from prompt_objects.environment.authority import load_accepted_config
    from prompt_objects.environment.catalog import find_definitions
    from prompt_objects.llm.connect import has_known_price
    from prompt_objects.tools.loader import load_tools

    config, authority = load_accepted_config(folder, os.environ)
    files, errors = find_definitions(folder / "objects")
    return take_snapshot(
        files,
        folder / CONFIG_FILE,
        tools=load_tools(folder, is_trusted=authority.allows_tools).tools,
        bounds=config.limits,
        has_known_price=lambda model: has_known_price(model, config, os.environ),
        default_object=config.default_object,
        is_ruby=config.manifest is not None,
        errors=errors,
    )


def _as_json(
    graph: "Graph", worst_cases: "Mapping[str, WorstCase]"
) -> tuple[list[CheckedObjectJson], list[CheckedToolJson]]:
    objects = [
        CheckedObjectJson(
            name=name,
            file=graph.definitions[name].file if name in graph.definitions else None,
            asks=tuple(graph.delegations(name)),
            tools=tuple(edge.target for edge in graph.tools_and_servers(name) if edge.kind == "tool"),
            servers=tuple(edge.target for edge in graph.tools_and_servers(name) if edge.kind == "server"),
            requests=worst_cases[name].requests if name in worst_cases else None,
            at_once=worst_cases[name].parallel_turns if name in worst_cases else None,
            exact=name in worst_cases and worst_cases[name].exact,
        )
        for name in graph.objects
    ]
    tools = [
        CheckedToolJson(
            name=name,
            effect=graph.tools[name].effect,
            used_by=tuple(edge.owner for edge in graph.edges if (edge.kind, edge.target) == ("tool", name)),
        )
        for name in sorted(graph.tools)
    ]
    return objects, tools


def _rows(graph: "Graph", worst_cases: "Mapping[str, WorstCase]") -> Iterator[tuple[str, str]]:
    for name in graph.objects:
        delegates, used = list(graph.delegations(name)), [edge.target for edge in graph.tools_and_servers(name)]
        parts = [f"asks {', '.join(delegates)}"] if delegates else []
        parts += [f"uses {', '.join(used)}"] if used else []
        parts += [_describe_worst_case(worst_cases[name])] if name in worst_cases else ["broken"]
        yield name, "; ".join(parts)


def _describe_worst_case(worst_case: "WorstCase") -> str:
    bound = "" if worst_case.exact else "no more than "
    requests, turns = pluralize(worst_case.requests, "request"), pluralize(worst_case.parallel_turns, "turn")
    return f"at most {requests} per message, {bound}{turns} at the same time"


def _summary(graph: "Graph", findings: "Sequence[Finding]") -> str:
    checked = f"Checked {pluralize(len(graph.objects), 'prompt object')}"
    severities = Counter(finding.severity for finding in findings)
    counts = [pluralize(number, severity) for severity, number in severities.items()]
    return f"{checked}: {', '.join(counts) or 'no problems found'}."
