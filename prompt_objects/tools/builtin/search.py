"""`search_files`: searches the environment's folder in a separate process, with limits on time and output."""

import json
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.decorator import tool
from prompt_objects.tools.isolation import run_isolated
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.utils.text import pluralize

MAX_MATCHES = 200
MAX_SECONDS = 10.0
_SCRIPT = Path(__file__).with_name("_search_script.py")
_MAX_OUTPUT = 4_000_000


@tool
async def search_files(  # noqa: PLR0913 - a model gives them by name
    pattern: Annotated[str, Meta(min_length=1, max_length=1_000, description="Text to look for in each line")],
    path: Annotated[str, Meta(min_length=1, description="Folder or file to search; everything by default")] = ".",
    glob: Annotated[str, Meta(max_length=1_000, description="Search only these files: '*.py', 'docs/**/*.md'")] = "",
    regex: Annotated[bool, Meta(description="The pattern is a Python regular expression")] = False,  # noqa: FBT002
    ignore_case: Annotated[bool, Meta(description="Ignore upper and lower case")] = False,  # noqa: FBT002
    *,
    context: Context,
) -> str:
    """Search the text files in the environment's folder; returns the path, number and text of each matching line."""
    guard = PathGuard.of(context)
    start, root = guard.resolve(path), guard.folder.resolve()
    if not start.exists():
        raise ToolError(f"There is no file or folder {path!r}. Use list_files to see what exists.")
    request = {
        "root": str(root),
        "start": start.relative_to(root).parts,
        "private": guard.identities(),
        "pattern": pattern,
        "glob": glob,
        "regex": regex,
        "ignore_case": ignore_case,
        "max_matches": MAX_MATCHES,
    }
    return await run_search(request, MAX_SECONDS)


async def run_search(request: dict[str, Any], seconds: float) -> str:
    """Run a search for at most `seconds`; return what it found, even if it did not finish."""
    output, is_finished = await run_isolated(
        _SCRIPT, json.dumps(request).encode(), seconds=seconds, max_bytes=_MAX_OUTPUT
    )
    *lines, _ = output.decode().split("\n")  # the last is empty or incomplete
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    matches = [f"{record['path']}:{record['line']}: {record['text']}" for record in records if "path" in record]
    last = records[-1] if is_finished and records else {}
    if "problem" in last:
        raise ToolError(last["problem"])
    if "more" in last:
        matches.append(f"[more than {MAX_MATCHES} lines match; use a rarer pattern, a subfolder or a glob]")
    elif not is_finished:
        matches.append(f"[incomplete: stopped after {seconds:.0f} seconds, or out of memory; narrow the search]")
    return "\n".join(matches) or f"No matches in {pluralize(last['files'], 'text file')}."
