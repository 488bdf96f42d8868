"""Reading the environment's folder: `read_file` and `list_files`, confined to it."""

import asyncio
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from prompt_objects.context import Context
from prompt_objects.errors import ToolError
from prompt_objects.tools import Tool
from prompt_objects.tools.confined import Confined

__all__ = ["FILE_TOOLS", "LIST_FILES", "READ_FILE"]

MOST_CHARACTERS = 50_000
MOST_BYTES = 10_000_000
MOST_ENTRIES = 500


def read_file(within: Confined, path: str, start_line: int = 1) -> str:
    """Return a text file from `start_line` on, at most `MOST_CHARACTERS`, saying so where there is more."""
    data = within.read(path, MOST_BYTES)
    if b"\0" in data[:8192]:
        return f"{path} is a binary file of {len(data):,} bytes; it cannot be shown as text."
    try:
        lines = data.decode("utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        return f"{path} is not UTF-8 text ({len(data):,} bytes); it cannot be shown."
    if start_line > len(lines):
        raise ToolError(f"{path} has {len(lines)} lines; start_line {start_line} is behind its end.")
    return _whole_lines(lines, start_line) or f"{path} is empty."


def _whole_lines(lines: list[str], start_line: int) -> str:
    """Join the lines that fit; a single line that does not is cut, so that there is always a way on."""
    room = MOST_CHARACTERS
    end = start_line - 1
    while end < len(lines) and (room := room - len(lines[end]) - 1) >= 0:
        end += 1
    if end == len(lines):
        return "\n".join(lines[start_line - 1 :])
    if end == start_line - 1:
        cut, end = [lines[end][:MOST_CHARACTERS], f"[line {start_line} is longer than can be shown]"], end + 1
    else:
        cut = lines[start_line - 1 : end]
    left = f"[{len(lines) - end:,} of {len(lines):,} lines are left; go on with start_line {end + 1}]"
    return "\n".join([*cut, left])


def list_files(within: Confined, path: str = ".", *, recursive: bool = False) -> str:
    """Return the names in a folder, one a line: folders end in `/`, files are followed by their size."""
    target = within.resolve(path)
    if not target.is_dir():
        raise ToolError(f"There is no folder {path!r}.")
    entries = islice(_walk(target) if recursive else _visible(target), MOST_ENTRIES + 1)
    lines = [_described(entry, target) for entry in entries]
    if len(lines) > MOST_ENTRIES:
        lines[-1] = f"[more than {MOST_ENTRIES} entries; list a folder below]"
    return "\n".join(lines) or f"{path} is empty."


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise ToolError(f"{folder.name!r} cannot be listed: {error.strerror}.") from error


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything below, a folder before what is in it; links are not followed."""
    for entry in _visible(folder):
        yield entry
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)


def _described(entry: Path, base: Path) -> str:
    name = entry.relative_to(base).as_posix()
    try:
        status = entry.lstat()
    except OSError:
        return name
    if stat.S_ISLNK(status.st_mode):
        return f"{name} (link)"
    return f"{name}/" if stat.S_ISDIR(status.st_mode) else f"{name} ({status.st_size:,} bytes)"


def _within(context: Context) -> Confined:
    return Confined(context.folder, context.data_dir)


def _text_argument(arguments: dict[str, Any], name: str, default: str | None = None) -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str) or not value:
        raise ToolError(f"{name!r} is missing: it must be a text.")
    return value


async def _run_read_file(arguments: dict[str, Any], context: Context) -> str:
    start = arguments.get("start_line", 1)
    if not isinstance(start, int) or start < 1:
        raise ToolError("'start_line' must be a whole number from 1 on.")
    return await asyncio.to_thread(read_file, _within(context), _text_argument(arguments, "path"), start)


async def _run_list_files(arguments: dict[str, Any], context: Context) -> str:
    path = _text_argument(arguments, "path", ".")
    return await asyncio.to_thread(list_files, _within(context), path, recursive=arguments.get("recursive") is True)


READ_FILE = Tool(
    name="read_file",
    description="Read a text file of the environment's folder.",
    parameters={
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Path relative to the environment's folder"},
            "start_line": {"type": "integer", "minimum": 1, "description": "First line to return; 1 by default"},
        },
        "required": ["path"],
        "additionalProperties": False,
    },
    run=_run_read_file,
)

LIST_FILES = Tool(
    name="list_files",
    description="List the files and folders in a folder of the environment.",
    parameters={
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Folder, relative to the environment's; '.' by default"},
            "recursive": {"type": "boolean", "description": "Also list what is in the folders below"},
        },
        "additionalProperties": False,
    },
    run=_run_list_files,
)

FILE_TOOLS = (READ_FILE, LIST_FILES)
