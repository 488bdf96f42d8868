"""Findings about `allow`: what each pattern permits, in words."""

from collections.abc import Iterator

from prompt_objects.analysis.finding import Finding, Severity
from prompt_objects.analysis.graph import Edge
from prompt_objects.analysis.snapshot import EnvironmentSnapshot
from prompt_objects.config.argument_kind import kind_of
from prompt_objects.config.patterns import Pattern, parse_pattern


def allowed_calls(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Describe the calls that `allow` permits without approval; warn about patterns that match nothing."""
    for edge in snapshot.graph.edges:
        if edge.capability.allow and edge.capability.approval in {None, "ask"}:
            yield from _findings(snapshot, edge)


def _findings(snapshot: EnvironmentSnapshot, edge: Edge) -> Iterator[Finding]:
    # The tools of a server are known only when it runs.
    parameters = {} if edge.kind == "server" else snapshot.graph.tools[edge.target].parameters
    parsed = {
        name: [parse_pattern(pattern, kind_of(name, parameters)) for pattern in patterns]
        for name, patterns in edge.capability.allow.items()
    }
    for name, patterns in parsed.items():
        for text, pattern in zip(edge.capability.allow[name], patterns, strict=True):
            if pattern.problem:
                problem = f"The pattern {text!r} for {name} matches nothing: {pattern.problem}."
                yield _finding(snapshot, edge, "warning", problem)
    if all(any(not pattern.problem for pattern in patterns) for patterns in parsed.values()):
        target = f"tools of the MCP server {edge.target}" if edge.kind == "server" else edge.target
        conditions = " and ".join(_condition(name, patterns) for name, patterns in parsed.items())
        yield _finding(snapshot, edge, "note", f"{edge.owner} may use {target} without approval if {conditions}.")


def _condition(name: str, patterns: list[Pattern]) -> str:
    return f"{name} is {', or '.join(pattern.describe() for pattern in patterns if not pattern.problem)}"


def _finding(snapshot: EnvironmentSnapshot, edge: Edge, severity: Severity, text: str) -> Finding:
    definition = snapshot.graph.definitions[edge.owner]
    index = definition.capabilities.index(edge.capability)
    at = snapshot.positions.position(definition.file, "capabilities", index, "allow")
    return Finding(
        severity=severity, kind="allow", file=definition.file, at=at, text=text, path=(edge.owner, edge.target)
    )
