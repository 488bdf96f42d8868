"""Searching the environment's folder: `search_files`, bounded in time, and in what it returns."""

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

__all__ = [
    "search_files",
]

MOST_MATCHES = 200
MOST_SECONDS = 10.0
_SCRIPT = Path(__file__).with_name("search_script.py")
_MOST_OUTPUT = 4_000_000


@tool
async def search_files(  # noqa: PLR0913 - a model gives them by name
    pattern: Annotated[str, Meta(min_length=1, max_length=1_000, description="What to look for in each line")],
    path: Annotated[str, Meta(min_length=1, description="Folder or file to look in; all by default")] = ".",
    glob: Annotated[str, Meta(max_length=1_000, description="Only files like this: '*.py', 'docs/**/*.md'")] = "",
    regex: Annotated[bool, Meta(description="The pattern is a regular expression of Python")] = False,  # noqa: FBT002
    ignore_case: Annotated[bool, Meta(description="Capital and small letters are the same")] = False,  # noqa: FBT002
    *,
    context: Context,
) -> str:
    """Search the text files of the environment's folder line by line; returns path, number and text of lines."""
    within = PathGuard.of(context)
    start = within.resolve(path)
    if not start.exists():
        raise ToolError(f"There is no file or folder {path!r}. list_files shows what there is.")
    request = {
        "root": str(within.folder.resolve()),
        "start": start.relative_to(within.folder.resolve()).parts,
        "private": within.identities(),
        "pattern": pattern,
        "glob": glob,
        "regex": regex,
        "ignore_case": ignore_case,
        "most": MOST_MATCHES,
    }
    return await found(request, MOST_SECONDS)


async def found(request: dict[str, Any], seconds: float) -> str:
    """Carry out a search, for so many seconds; of one that takes longer, return what was found until then."""
    written, ended = await run_isolated(
        _SCRIPT, json.dumps(request).encode(), seconds=seconds, most_bytes=_MOST_OUTPUT
    )
    *lines, _ = written.decode().split("\n")  # the last is empty, or was cut off
    answers: list[dict[str, Any]] = [json.loads(line) for line in lines]
    matches = [f"{answer['path']}:{answer['line']}: {answer['text']}" for answer in answers if "path" in answer]
    end = answers[-1] if ended and answers else {}
    if "problem" in end:
        raise ToolError(end["problem"])
    if "more" in end:
        matches.append(f"[more than {MOST_MATCHES} lines match; look for something rarer, or in a folder or glob]")
    elif not ended:
        matches.append(f"[not finished: it takes over {seconds:.0f} seconds, or too much memory; search for less]")
    return "\n".join(matches) or f"Nothing found in {pluralize(end['files'], 'text file')}."
