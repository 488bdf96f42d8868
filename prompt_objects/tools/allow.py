"""Compares the arguments of a call with the `allow` patterns of a capability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prompt_objects.config.argument_kind import ArgumentKind, kind_of
from prompt_objects.config.definition import Capability
from prompt_objects.config.patterns import parse_pattern
from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.tools.truncation import is_saved_result


def is_allowed(tool: Tool, capability: Capability, arguments: Mapping[str, Any], context: Context) -> bool:
    """Return whether every argument that `allow` names matches one of its patterns, all items of a list included."""
    return bool(capability.allow) and all(
        _matches(arguments.get(name), kind_of(name, tool.parameters), patterns, context)
        for name, patterns in capability.allow.items()
    )


def _matches(value: Any, kind: ArgumentKind, patterns: Sequence[str], context: Context) -> bool:
    if isinstance(value, list):
        if kind == "command" and all(isinstance(word, str) and " " not in word for word in value):
            return _matches(" ".join(value), kind, patterns, context)
        return bool(value) and all(
            isinstance(each, str) and _matches(each, kind, patterns, context) for each in value
        )
    if not isinstance(value, str) or is_saved_result(value):
        return False
    if kind == "path":
        target = _resolved(value, context)
        return target is not None and any(_matches_path(target, pattern, context) for pattern in patterns)
    return any(parse_pattern(pattern, kind).matches(value) for pattern in patterns)


def _matches_path(target: Path, pattern: str, context: Context) -> bool:
    """Compare a path with a pattern: an absolute pattern with the whole path, another one within the environment."""
    root = context.folder.resolve()
    if pattern.startswith("/"):
        return parse_pattern(pattern, "path").matches(target.as_posix())
    return target.is_relative_to(root) and parse_pattern(pattern, "path").matches(target.relative_to(root).as_posix())


def _resolved(value: str, context: Context) -> Path | None:
    """Return the path with its links resolved; None if it is private, or programs may read it differently."""
    if not value or value.startswith("~") or not value.isprintable() or "\\" in value:
        return None
    root = context.folder.resolve()
    try:
        target = (root / value).resolve()
        if target.is_relative_to(root):
            PathGuard.of(context).resolve(target.relative_to(root).as_posix())
    except (OSError, RuntimeError, ToolError):  # too long, a loop of links, or private
        return None
    return target
