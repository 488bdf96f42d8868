"""`list_capabilities`: lists what a prompt object may use, and the objects that it reaches through others."""

from collections.abc import Iterator, Mapping

from prompt_objects.analysis.graph import Graph
from prompt_objects.config.permissions import ApprovalPolicy
from prompt_objects.runtime.context import CapabilityInfo, Context
from prompt_objects.tools.decorator import tool
from prompt_objects.utils.text import arrow_path

_POLICIES: Mapping[ApprovalPolicy, str] = {
    "always": "",
    "ask": "; needs the user's approval",
    "never": "; not allowed here",
}


@tool
def list_capabilities(*, context: Context) -> str:
    """List the tools and prompt objects that you may use, and the prompt objects that these may ask."""
    name = context.path[-1] if context.path else ""
    graph = context.services.take_snapshot().graph
    objects = set(graph.delegations(name)) if name in graph.objects else set()
    lines = [_describe(each, context, is_object=each.name in objects) for each in context.tools.values()]
    if name in graph.definitions:
        lines += _indirect(graph, name)
    return "\n".join(["You may use:", *lines])


def _describe(each: CapabilityInfo, context: Context, *, is_object: bool) -> str:
    kind = "prompt object" if is_object else f"tool, {each.effect}"
    return f"- {each.name} ({kind}{_POLICIES[each.policy(context)]}): {' '.join(each.description.split())}"


def _indirect(graph: Graph, name: str) -> Iterator[str]:
    """Yield a line for each object that is reached only through others, but nothing about what these may use."""
    paths = graph.reachable_within_limits(name)
    indirect = {target: path for target, path in paths.items() if len(path) > 2 and target != name}  # noqa: PLR2004 - the two ends
    if indirect:
        yield "Only through others:"
    for target, path in indirect.items():
        definition = graph.definitions.get(target)
        text = " ".join(definition.description.split()) if definition else "its definition is invalid"
        yield f"- {target} (prompt object, through {arrow_path(path[1:-1])}): {text or 'no description'}"
