"""The limits of model servers for the tools in one request."""

from collections.abc import Mapping
from itertools import islice

from msgspec.structs import replace

from prompt_objects.tools.base import Tool
from prompt_objects.utils.text import pluralize

MAX_TOOLS = 128
"""OpenAI's limit for one request, which most other servers share."""
MAX_DESCRIPTION = 1024
"""OpenAI's limit for the description of a function, in characters."""
_MAX_NAMED = 5


def within_server_limits(po_name: str, tools: Mapping[str, Tool]) -> tuple[Mapping[str, Tool], list[str]]:
    """Return the tools that a request may have, with shortened descriptions, and notices of what was changed."""
    accepted, notices = dict(islice(tools.items(), MAX_TOOLS)), []
    if left_out := [*tools][MAX_TOOLS:]:
        problem = f"{po_name} has {pluralize(len(tools), 'tool')}, but model servers accept {MAX_TOOLS} at most."
        notices.append(f"{problem} Left out: {_listed(left_out)}. Select fewer in its definition.")
    if long := [name for name, tool in accepted.items() if len(tool.description) > MAX_DESCRIPTION]:
        notices.append(f"Descriptions are shortened to {MAX_DESCRIPTION:,} characters: {_listed(long)}.")
        for name in long:
            shortened = accepted[name].description[: MAX_DESCRIPTION - 1] + "…"
            accepted[name] = replace(accepted[name], description=shortened)
    return accepted, notices


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
