"""Protected files: with them, a folder becomes an environment or a git repository that does something."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from prompt_objects.config.argument_kind import kind_of
from prompt_objects.config.environment import CONFIG_FILE
from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.path_guard import PathGuard

_MAX_PATH = 4096
_WORD = re.compile(r"[A-Z]?[a-z]+")
_CONTENTS = frozenset(("content", "contents", "text", "body", "message"))
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
    return any(_is_protected(path, context) for path in _paths("", arguments, tool.parameters))


def _paths(name: str, value: Any, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield what may be a path in an argument, at any depth.

    That is every argument for a path, and every other short line of text, except under a name for contents.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(str(key), inner, parameters)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(name, inner, parameters)
    elif isinstance(value, str):
        is_content = any(word.lower() in _CONTENTS for word in _WORD.findall(name))
        may_be_path = not is_content and "\n" not in value and len(value) <= _MAX_PATH
        if may_be_path or kind_of(name, parameters) == "path":
            yield value


def _is_protected(path: str, context: Context) -> bool:
    if path.lower().startswith("file:"):
        path = unquote(urlsplit(path).path)
    parts = {*PurePosixPath(path.replace("\\", "/")).parts}
    with suppress(ToolError):  # it is outside of the environment, or hidden
        parts |= {*PurePosixPath(PathGuard.of(context).relative(path)).parts}
    return any(part.casefold() in _NAMES or (part.startswith(".") and part not in {".", ".."}) for part in parts)
