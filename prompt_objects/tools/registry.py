"""The tools of an environment: built in, its own in `tools/*.py`, of installed packages, and a program's own."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from prompt_objects.tools.base import Tool
from prompt_objects.tools.builtin.ask_human import ask_human
from prompt_objects.tools.builtin.edit import EDIT_TOOLS
from prompt_objects.tools.builtin.files import FILE_TOOLS
from prompt_objects.tools.builtin.http import http_get
from prompt_objects.tools.builtin.list_capabilities import list_capabilities
from prompt_objects.tools.builtin.notes import notes
from prompt_objects.tools.builtin.propose import PROPOSAL_TOOLS
from prompt_objects.tools.builtin.search import search_files
from prompt_objects.tools.loader import LoadResult, entry_point_tools, load_tools, read_tool_files, without_clashes
from prompt_objects.tools.trust import Trust, digest_of

__all__ = [
    "ToolRegistry",
    "load_registry",
]


class ToolRegistry(Struct, frozen=True):
    """Tools by name, and sentences about those that could not be had."""

    tools: dict[str, Tool]
    notices: tuple[str, ...] = ()


def load_registry(
    folder: Path, *, given: Iterable[Tool] = (), http_allow: Collection[str] = (), trust: Trust | None = None
) -> ToolRegistry:
    """Collect the tools of the environment in `folder`; of two with one name the first counts: what is built in.

    `given` are a program's own, which come next. `http_allow` are hosts that http_get may ask although they are not
    public. What stands in `tools/*.py` is loaded if the person trusts it as it is; `trust` is by default that of the
    user.
    """
    files, conversation = (*FILE_TOOLS, search_files, *EDIT_TOOLS), (ask_human, notes, list_capabilities)
    built_in = (*files, http_get(http_allow), *conversation, *PROPOSAL_TOOLS)
    tools = {tool.name: tool for tool in built_in}
    notices: list[str] = []
    for found in (without_clashes(given, tools, "that of the program"), *_found(folder, tools, trust)):
        tools.update(found.tools)
        notices += found.notices
    return ToolRegistry(tools, tuple(notices))


def _found(folder: Path, taken: Collection[str], trust: Trust | None) -> Iterator[LoadResult]:
    files, faults = read_tool_files(folder)
    if not files:
        yield LoadResult({}, faults)
    elif (trust or Trust.of_user()).holds(folder, digest_of(files)):
        yield LoadResult({}, faults)
        yield load_tools(files, taken)
    else:
        names = ", ".join(f"tools/{file.name}" for file in files)
        notice = f"Not loaded, as you have not trusted it as it is now: {names}. Read it, then: prompt-objects trust"
        yield LoadResult({}, (*faults, notice))
    yield entry_point_tools(taken)
