"""Protected files: with them, a folder becomes an environment or a git repository that does something."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from prompt_objects.config.argument_kind import kind_of
from prompt_objects.config.environment import CONFIG_FILE
from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.path_guard import PathGuard

_NAMES = frozenset(
    {
        CONFIG_FILE,
        *("objects", "tools"),  # of an environment
        *("head", "refs", "packed-refs", "hooks", "commondir"),  # of a git repository, with a folder `objects`
    }
)


def writes_protected_file(tool: Tool, arguments: Mapping[str, Any], context: Context) -> bool:
    """Return whether a call may write a protected file, at any depth, also through links."""
    if tool.effect == "read":
        return False
    given = [value for name, value in arguments.items() if kind_of(name, tool.parameters) == "path"]
    paths = [path for value in given for path in (value if isinstance(value, list) else [value])]
    return any(_is_protected(path, context) for path in paths if isinstance(path, str))


def _is_protected(path: str, context: Context) -> bool:
    parts = {*PurePosixPath(path.replace("\\", "/")).parts}
    with suppress(ToolError):  # it is outside of the environment, or hidden
        parts |= {*PurePosixPath(PathGuard.of(context).relative(path)).parts}
    return any(part.casefold() in _NAMES or (part.startswith(".") and part not in {".", ".."}) for part in parts)
