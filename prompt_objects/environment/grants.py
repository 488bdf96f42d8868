"""Grants: what takes effect only in an environment that the user trusts.

An environment may come from another user. A grant is something that it would do without asking, beyond the
defaults: send messages or variables to a server, keep data elsewhere, run code, or run tools without approval.
"""

import hashlib
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from prompt_objects.config.definition import Capability, Definition


class Grant(Struct, frozen=True):
    """A sentence for the user, and a digest of exactly what it grants.

    `path` is the setting in environment.yaml that is left out without trust.
    """

    text: str
    digest: str
    path: tuple[Any, ...] = ()


def make_grant(text: str, content: object, path: tuple[Any, ...] = ()) -> Grant:
    """Return a grant of `content`: bytes, or a value that JSON can hold."""
    encoded = content if isinstance(content, bytes) else msgspec.json.encode(content, order="deterministic")
    return Grant(text, hashlib.sha256(encoded).hexdigest(), path)


def may_have_grants(text: str) -> bool:
    """Return whether a definition may have grants, without parsing it; a key may be written with escapes."""
    return any(part in text for part in ("approval", "allow", "\\"))


def definition_grants(definition: "Definition") -> Iterator[Grant]:
    """Yield a grant for each capability that may run without approval although its default is to ask."""
    for capability in definition.capabilities:
        if capability.approval == "always" or capability.allow:
            where = "".join(
                f", if {argument} matches {' or '.join(patterns)}" for argument, patterns in capability.allow.items()
            )
            runs = (
                f"the tools of the MCP server {capability.name} run"
                if capability.kind == "mcp"
                else f"{capability.name} runs"
            )
            text = f"{definition.file.parent.name}/{definition.file.name}: {runs} without asking you"
            limits = "" if capability.approval == "always" else where
            yield make_grant(text + limits, [capability.key, capability.approval, capability.allow])


def restrict(definition: "Definition", own_models: Container[str] | None) -> "Definition":
    """Return a definition without its grants and, if `own_models` are given, without any other model."""
    capabilities = tuple(_restricted(capability) for capability in definition.capabilities)
    model = definition.model
    if model and own_models is not None:
        fallback = tuple(name for name in model.fallback if name in own_models)
        model = replace(model, use=model.use if model.use in own_models else None, fallback=fallback)
    return replace(definition, capabilities=capabilities, model=model)


def _restricted(capability: "Capability") -> "Capability":
    approval = None if capability.approval == "always" else capability.approval
    return replace(capability, approval=approval, allow={})
