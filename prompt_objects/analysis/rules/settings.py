"""Findings about settings that have no effect, or less than expected: limits, models, MCP servers."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import asdict

from prompt_objects.analysis.finding import Finding, Severity
from prompt_objects.analysis.snapshot import EnvironmentSnapshot
from prompt_objects.config.definition import Definition
from prompt_objects.config.limits import PRICES_HINT
from prompt_objects.config.yaml.document import Position, quoted
from prompt_objects.utils.text import did_you_mean

_BUILT_IN_MODELS = ("default", "rehearsal")


def ineffective_limits(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find limits that have no effect, or that disable a capability."""
    for definition in snapshot.graph.definitions.values():
        for key in snapshot.positions.keys(definition.file, "limits"):
            value = snapshot.positions.value(definition.file, "limits", key)
            remark = _about_limit(snapshot, definition, key, value) if value is not None else None
            if remark:
                yield Finding(
                    severity=remark[0],
                    kind="limit",
                    file=definition.file,
                    at=snapshot.positions.position(definition.file, "limits", key),
                    text=f"limits.{key} {remark[1]}",
                    path=(definition.name,),
                )


def _about_limit(
    snapshot: EnvironmentSnapshot, definition: Definition, key: str, value: float
) -> tuple[Severity, str] | None:
    name, delegates = definition.name, snapshot.graph.delegations(definition.name)
    bounds = {**asdict(snapshot.bounds), "depth": snapshot.graph.depth}  # the default
    if key in {"requests", "parallel"} and not definition.capabilities:
        return "note", f"has no effect: {name} has no capabilities, so it sends one request per message."
    if key == "depth" and not delegates:
        return "note", f"has no effect: {name} has no delegates."
    if key == "depth" and value == 0:
        return "warning", f"is 0, so {name} can never call its delegates: {', '.join(delegates)}."
    bound = bounds.get(key)
    if bound is not None and value > bound:
        return "note", f"is {value}, more than the environment's limit, which is {bound}."
    return None


def unknown_prices(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find cost limits that do not count some models, because their prices are unknown."""
    for name, definition in snapshot.graph.definitions.items():
        if snapshot.positions.value(definition.file, "limits", "cost") is not None:
            yield from _unpriced_findings(
                snapshot, definition.file, (name, *snapshot.graph.reachable_within_limits(name))
            )
    if snapshot.bounds.cost is not None:
        yield from _unpriced_findings(snapshot, snapshot.config_file, snapshot.graph.objects)


def _unpriced_findings(snapshot: EnvironmentSnapshot, file: Path, names: Sequence[str]) -> Iterator[Finding]:
    models = _unpriced(snapshot, names)
    if models:
        yield Finding(
            severity="warning",
            kind="limit",
            file=file,
            at=snapshot.positions.position(file, "limits", "cost"),
            text=f"limits.cost does not count responses of {' and '.join(models)}: prices are not known. "
            f"{PRICES_HINT}",
            path=() if file == snapshot.config_file else tuple(names[:1]),
        )


def _unpriced(snapshot: EnvironmentSnapshot, names: Iterable[str]) -> list[str]:
    models: dict[str | None, None] = {}
    for definition in (snapshot.graph.definitions[name] for name in names if name in snapshot.graph.definitions):
        models[definition.model.use if definition.model else None] = None
        models |= dict.fromkeys(definition.model.fallback if definition.model else ())
    return [
        quoted(model) if model else "the default model" for model in models if not snapshot.has_known_price(model)
    ]


def unknown_and_unused_models(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find unused models, and names that are not in `models` of environment.yaml although it has that key."""
    known = snapshot.positions.keys(snapshot.config_file, "models")
    used = {snapshot.positions.value(snapshot.config_file, "model"), *_BUILT_IN_MODELS}
    for definition in snapshot.graph.definitions.values() if known else ():
        for position, model in _selected_models(snapshot, definition):
            used.add(model)
            if model not in {*known, *_BUILT_IN_MODELS}:
                near = did_you_mean(model, known)
                problem = f"{quoted(model)} is not in `models` of environment.yaml, so the server gets this name."
                yield Finding(
                    severity="warning" if near else "note",
                    kind="model",
                    file=definition.file,
                    at=position,
                    text=f"{problem} {near}".rstrip(),
                    path=(definition.name,),
                )
    for model in known:
        if model not in used:
            text = f"No prompt object selects the model {quoted(model)}; it is used only if the user selects it."
            yield _unused(snapshot, ("models", model), text)


def _selected_models(snapshot: EnvironmentSnapshot, definition: Definition) -> Iterator[tuple[Position, str]]:
    if definition.model is None:
        return
    if definition.model.use:
        yield definition.model.at, definition.model.use
    for index, name in enumerate(definition.model.fallback):
        yield snapshot.positions.position(definition.file, "model", "fallback", index), name


def unused_servers(snapshot: EnvironmentSnapshot) -> Iterator[Finding]:
    """Find MCP servers whose tools no prompt object may use."""
    used = {edge.target for edge in snapshot.graph.edges if edge.kind == "server"}
    for name in snapshot.graph.servers:
        if name not in used:
            text = f"No prompt object may use the tools of the MCP server {quoted(name)}."
            yield _unused(snapshot, ("mcp_servers", name), text)


def _unused(snapshot: EnvironmentSnapshot, path: tuple[str, ...], text: str) -> Finding:
    position = snapshot.positions.position(snapshot.config_file, *path, key=True)
    return Finding(severity="note", kind="unused", file=snapshot.config_file, at=position, text=text)
