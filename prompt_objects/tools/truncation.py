"""Truncates long tool results for the model, and saves the whole results so that `read_file` can read them."""

import asyncio
import re
import secrets

from prompt_objects.errors import StoreError, ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.sessions.workspace import workspace_of
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.utils import filesystem as disk

MAX_CHARACTERS = 60_000  # more than read_file returns, so that its results are never truncated
HEAD_CHARACTERS, TAIL_CHARACTERS = 40_000, 10_000
RESULTS_FOLDER = ".results"
"""The folder name that models use for saved results; hidden, so it cannot be one of the user's folders."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


async def truncate(result: str, tool: str, context: Context) -> str:
    """Return a tool's result; if it is too long, only its start and end, and how to read the rest."""
    if len(result) <= MAX_CHARACTERS:
        return result
    missing = f"{len(result) - HEAD_CHARACTERS - TAIL_CHARACTERS:,} of {len(result):,} characters are omitted here"
    try:
        name = await asyncio.to_thread(_save, result, tool, context)
    except (StoreError, ToolError) as error:
        note = f"{missing}; they could not be saved: {error}"
    else:
        line = result.count("\n", 0, HEAD_CHARACTERS) + 1
        column = HEAD_CHARACTERS - (result.rfind("\n", 0, HEAD_CHARACTERS) + 1) + 1
        position = f"start_line {line}" + (f", start_column {column}" if column > 1 else "")
        reader = "read_file" if "read_file" in context.tools else "a prompt object that has read_file"
        note = f"{missing}. The whole result is in {RESULTS_FOLDER}/{name}; {reader} can continue with {position}"
    return f"{result[:HEAD_CHARACTERS]}\n[… {note} …]\n{result[-TAIL_CHARACTERS:]}"


def is_saved_result(path: str) -> bool:
    """Return whether a path from a model means a saved result."""
    return path.startswith(f"{RESULTS_FOLDER}/")


def saved_results(context: Context) -> PathGuard:
    """Return access to the saved results of this conversation only. Raises `ToolError` outside a turn."""
    if context.session is None:
        raise ToolError("Saved results exist only during a turn.")
    workspace = workspace_of(context.session.info, context.services.store, context.services.workspace)
    return PathGuard(workspace / "results")


def _save(result: str, tool: str, context: Context) -> str:
    folder = saved_results(context).folder
    file = folder / f"{_UNSAFE.sub('_', tool)[:64]}-{secrets.token_hex(4)}.txt"
    with disk.store_errors("written", file):
        disk.make_folder(folder)
        disk.replace_file(file, [result.encode(errors="replace")])
    return file.name
