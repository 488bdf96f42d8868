"""The tools of an environment: built in, its own in `tools/*.py`, of installed packages, and a program's own."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from prompt_objects.tools.base import Tool
from prompt_objects.tools.loader import (
    LoadResult,
    builtin_tools,
    entry_point_tools,
    load_tools,
    read_tool_files,
    without_clashes,
)
from prompt_objects.tools.trust import Trust, digest_of

__all__ = [
    "load_registry",
]


def load_registry(folder: Path, *, given: Iterable[Tool] = (), trust: Trust | None = None) -> LoadResult:
    """Collect the tools of the environment in `folder`; built-in names cannot be replaced.

    `given` are a program's own; they take precedence over those of files and packages. `tools/*.py` is loaded only if
    the user trusts it in its present state; `trust` is the user's own by default.
    """
    tools = builtin_tools()
    notices: list[str] = []
    for result in (without_clashes(given, tools, "that of the program"), *_external_tools(folder, tools, trust)):
        tools.update(result.tools)
        notices += result.notices
    return LoadResult(tools, tuple(notices))


def _external_tools(folder: Path, taken: Collection[str], trust: Trust | None) -> Iterator[LoadResult]:
    files, notices = read_tool_files(folder)
    yield LoadResult({}, notices)
    if files and (trust or Trust.of_user()).holds(folder, digest_of(files)):
        yield load_tools(files, taken)
    elif files:
        names = ", ".join(f"tools/{file.name}" for file in files)
        notice = f"Not loaded, as you have not trusted it as it is now: {names}. Read it, then: prompt-objects trust"
        yield LoadResult({}, (notice,))
    yield entry_point_tools(taken)
