"""`list_capabilities`: what a prompt object may use, and whom it gets to through others."""

from collections.abc import Iterator, Mapping

from prompt_objects.analysis.graph import Graph
from prompt_objects.config.permissions import ApprovalPolicy
from prompt_objects.runtime.context import CapabilityInfo, Context
from prompt_objects.tools.decorator import tool
from prompt_objects.utils.text import arrow_path

__all__ = [
    "list_capabilities",
]

_RULES: Mapping[ApprovalPolicy, str] = {
    "always": "",
    "ask": "; a person is asked first",
    "never": "; not allowed here",
}


@tool
def list_capabilities(*, context: Context) -> str:
    """List what you may use and whom you may ask, with what each is for, and whom these may ask in turn."""
    name = context.path[-1] if context.path else ""
    graph = context.services.take_snapshot().graph
    asked = set(graph.asks(name)) if name in graph.objects else set()
    lines = [_described(each, context, is_object=each.name in asked) for each in context.tools.values()]
    if name in graph.definitions:
        lines += _beyond(graph, name)
    return "\n".join(["You may use:", *lines])


def _described(each: CapabilityInfo, context: Context, *, is_object: bool) -> str:
    kind = "prompt object" if is_object else f"tool, {each.effect}"
    return f"- {each.name} ({kind}{_RULES[each.policy(context)]}): {' '.join(each.description.split())}"


def _beyond(graph: Graph, name: str) -> Iterator[str]:
    """Name those who are reached only through others; what they may use is their own affair."""
    beyond = {target: path for target, path in graph.reach(name).items() if len(path) > 2 and target != name}  # noqa: PLR2004 - the two ends
    if beyond:
        yield "Only through others:"
    for target, path in beyond.items():
        definition = graph.definitions.get(target)
        told = " ".join(definition.description.split()) if definition else "its file is faulty"
        yield f"- {target} (prompt object, through {arrow_path(path[1:-1])}): {told or 'says nothing of itself'}"
