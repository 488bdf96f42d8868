"""Definitions of the Ruby implementation: capabilities that it gives to every object, and those unknown here."""

from collections.abc import Collection

from msgspec.structs import replace

from prompt_objects.analysis.graph import Unresolved, resolve
from prompt_objects.config.definition import Capability, Definition
from prompt_objects.config.yaml.document import TOP

UNIVERSAL = (
    "ask_human",
    "think",
    "list_capabilities",
    "store_env_data",
    "get_env_data",
    "list_env_data",
    "update_env_data",
    "delete_env_data",
)
"""Tools that every object may use under Ruby, as far as they exist here; prompts mention them."""


def with_universal(definition: Definition, tools: Collection[str]) -> Definition:
    """Return a definition with the universal capabilities that it does not list itself."""
    listed = {capability.name for capability in definition.capabilities}
    added = [Capability(kind="tool", name=name, at=TOP) for name in UNIVERSAL if name in tools and name not in listed]
    return replace(definition, capabilities=(*definition.capabilities, *added))


def adapted(
    definition: Definition, *, objects: Collection[str], tools: Collection[str], servers: Collection[str]
) -> Definition:
    """Return a definition with the universal capabilities, and without unknown ones, which a notice names."""
    edges = [
        resolve(capability, definition.name, objects=objects, tools=tools, servers=servers)
        for capability in definition.capabilities
    ]
    if unknown := [edge.capability.name for edge in edges if isinstance(edge, Unresolved)]:
        notice = f"{definition.file}: Left out, because they do not exist here: {', '.join(unknown)}."
        known = tuple(edge.capability for edge in edges if not isinstance(edge, Unresolved))
        definition = replace(definition, capabilities=known, notices=(*definition.notices, notice))
    return with_universal(definition, tools)
