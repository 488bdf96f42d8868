"""Results that are longer than a model should read at once: cut for the model, and kept whole to be read on."""

import asyncio
import re
import secrets
from pathlib import Path

from prompt_objects.errors import StoreError, ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.sessions.workspace import workspace_of
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.utils import filesystem as disk

__all__ = [
    "FOLDER",
    "MOST_CHARACTERS",
    "is_saved_result",
    "saved_results",
    "truncate",
]

MOST_CHARACTERS = 60_000  # more than read_file returns, so that what is read on is not cut once more
HEAD, TAIL = 40_000, 10_000
FOLDER = ".results"
"""By what name models know the folder of whole results; it is hidden, so that no folder of a person's is meant."""
_NO_LETTERS = re.compile(r"[^A-Za-z0-9_-]")


async def truncate(result: str, tool: str, context: Context) -> str:
    """Return a tool's result, or its beginning and end with a word on what is missing and where the whole is."""
    if len(result) <= MOST_CHARACTERS:
        return result
    missing = f"{len(result) - HEAD - TAIL:,} of {len(result):,} characters are left out here"
    try:
        name = await asyncio.to_thread(_keep, result, tool, context)
    except (StoreError, ToolError) as error:
        told = f"{missing}; they could not be kept: {error}"
    else:
        line = result.count("\n", 0, HEAD) + 1
        column = HEAD - (result.rfind("\n", 0, HEAD) + 1) + 1
        where = f"start_line {line}" + (f", start_column {column}" if column > 1 else "")
        reader = "read_file" if "read_file" in context.tools else "whoever has read_file"
        told = f"{missing}. The whole is in {FOLDER}/{name}, where {reader} reads on with {where}"
    return f"{result[:HEAD]}\n[… {told} …]\n{result[-TAIL:]}"


def is_saved_result(path: str) -> bool:
    """Say whether a path that a model names means a whole result."""
    return path.startswith(f"{FOLDER}/")


def saved_results(context: Context) -> PathGuard:
    """Return where whole results of this conversation are, with all its delegations, and of no other one.

    Raises `ToolError` outside of a turn.
    """
    return PathGuard(_folder(context))


def _folder(context: Context) -> Path:
    if context.session is None:
        raise ToolError("There are whole results only where a turn is going on.")
    return workspace_of(context.session.info, context.services.store, context.services.workspace) / "results"


def _keep(result: str, tool: str, context: Context) -> str:
    folder = _folder(context)
    file = folder / f"{_NO_LETTERS.sub('_', tool)[:64]}-{secrets.token_hex(4)}.txt"
    try:
        disk.make_folder(folder)
        disk.replace_file(file, [result.encode(errors="replace")])
    except OSError as error:
        raise disk.store_error("written", file, error) from error
    return file.name
