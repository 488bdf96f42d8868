"""Findings about the graph: invalid definitions, missing capabilities, cycles, unreachable objects."""

from collections.abc import Iterator

from prompt_objects.analysis.finding import Finding
from prompt_objects.analysis.snapshot import EnvironmentSnapshot
from prompt_objects.config.yaml.document import Position, quoted
from prompt_objects.utils.text import arrow_path, did_you_mean


def invalid_definitions(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find invalid definitions; such an object cannot be used."""
    for error in snapshot.errors:
        yield Finding(
            severity="error",
            kind="broken",
            file=error.file,
            at=Position(error.line or 1, error.column or 1),
            text=f"{error.problem} {error.hint}".rstrip(),
            path=(error.file.stem,),
        )


def missing_capabilities(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find capabilities that do not exist or are ambiguous, and a default object that does not exist."""
    for missing in snapshot.graph.unresolved:
        yield Finding(
            severity="warning" if snapshot.is_ruby else "error",
            kind="missing",
            file=snapshot.file(missing.owner),
            at=missing.capability.at,
            text=f"{missing.problem} {'It is left out.' if snapshot.is_ruby else missing.hint}".rstrip(),
            path=(missing.owner, missing.capability.name),
        )
    named = snapshot.default_object
    if named is not None and named not in snapshot.graph.objects:
        hint = did_you_mean(named, snapshot.graph.objects)
        yield Finding(
            severity="error",
            kind="missing",
            file=snapshot.config_file,
            at=snapshot.positions.position(snapshot.config_file, "default_object"),
            text=f"`default_object` is {quoted(named)}, but there is no such prompt object. {hint}".rstrip(),
        )


def delegation_cycles(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find paths on which a message could return to an object that waits for its reply."""
    for cycle in snapshot.graph.cycles():
        first, last = cycle[0], cycle[-1]
        closed = (*cycle, first)
        yield Finding(
            severity="note",
            kind="cycle",
            file=snapshot.file(last),
            at=snapshot.graph.delegations(last)[first].capability.at,
            text=f"{arrow_path(closed)} is a cycle: the call that closes it is refused, and the caller continues.",
            path=closed,
        )


def unreachable_objects(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find objects that a message to the root cannot reach."""
    root, graph = snapshot.root, snapshot.graph
    if root is None or root not in graph.definitions:
        return
    reached = graph.reachable_within_limits(root)
    for name in graph.objects:
        if name == root or name in reached or name not in graph.definitions:
            continue
        path = graph.shortest_path(root, name)
        if path:
            text = f"{root} cannot reach {name}: the `depth` limits do not allow {arrow_path(path)}."
        else:
            text = f"{root} cannot reach {name}, directly or through others; only the user can chat with it."
        yield Finding(
            severity="note",
            kind="unreachable",
            file=snapshot.file(name),
            at=snapshot.positions.position(snapshot.file(name), "name"),
            text=text,
            path=path or (name,),
        )
