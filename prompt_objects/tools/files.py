"""Reading the environment's folder: `read_file` and `list_files`, confined to it."""

import asyncio
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from prompt_objects.context import Context
from prompt_objects.errors import ToolError
from prompt_objects.tools import Tool

__all__ = ["FILE_TOOLS", "LIST_FILES", "READ_FILE"]

MOST_CHARACTERS = 50_000
MOST_BYTES = 10_000_000
MOST_ENTRIES = 500


def confined(folder: Path, path: str) -> Path:
    """Resolve a path that a model named, inside `folder`.

    Raises `ToolError` for an absolute path, for `..`, for a symbolic link that leads out, and for the hidden
    files and folders where an environment keeps its state and people keep their keys.
    """
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if "\0" in path or path.startswith(("/", "~")) or ".." in parts or ":" in (parts or ("",))[0]:
        raise ToolError(f"{path!r} is outside the environment. Give a path relative to its folder.")
    if any(part.startswith(".") for part in parts):
        raise ToolError(f"{path!r} is hidden; hidden files and folders cannot be read.")
    root = folder.resolve()
    try:
        target = root.joinpath(*parts).resolve()
    except (OSError, RuntimeError) as error:  # too long a name, or a loop of links
        raise ToolError(f"{path!r} cannot be followed: {error}.") from error
    inside = target.relative_to(root).parts if target.is_relative_to(root) else None
    if inside is None or any(part.startswith(".") for part in inside):
        raise ToolError(f"{path!r} leads out of what may be read.")
    return target


def read_file(folder: Path, path: str, start_line: int = 1) -> str:
    """Return a text file from `start_line` on, at most `MOST_CHARACTERS`, saying so where there is more."""
    target = confined(folder, path)
    data = _read_bytes(target, path)
    if b"\0" in data[:8192]:
        return f"{path} is a binary file of {len(data):,} bytes; it cannot be shown as text."
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return f"{path} is not UTF-8 text ({len(data):,} bytes); it cannot be shown."
    if start_line > 1:
        lines = text.splitlines(keepends=True)
        if start_line > len(lines):
            raise ToolError(f"{path} has {len(lines)} lines; start_line {start_line} is behind its end.")
        text = "".join(lines[start_line - 1 :])
    if len(text) <= MOST_CHARACTERS:
        return text or f"{path} is empty."
    shown = text[:MOST_CHARACTERS]
    next_line = start_line + shown.count("\n")
    return f"{shown}\n[cut here, {len(text) - len(shown):,} characters are left; go on with start_line {next_line}]"


def _read_bytes(target: Path, path: str) -> bytes:
    try:
        # Opened before it is looked at, without following a link put there meanwhile, and never waiting for a pipe.
        descriptor = os.open(target, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as error:
        raise ToolError(f"There is no file {path!r}. list_files shows what there is.") from error
    except OSError as error:
        raise ToolError(f"{path!r} cannot be read: {error.strerror}.") from error
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise ToolError(f"{path!r} is a folder; list_files shows what is in it.")
        if not stat.S_ISREG(status.st_mode):
            raise ToolError(f"{path!r} is not an ordinary file.")
        if status.st_size > MOST_BYTES:
            raise ToolError(f"{path!r} has {status.st_size:,} bytes; at most {MOST_BYTES:,} can be read.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MOST_BYTES)
    finally:
        os.close(descriptor)


def list_files(folder: Path, path: str = ".", *, recursive: bool = False) -> str:
    """Return the names in a folder, one a line: folders end in `/`, files are followed by their size."""
    target = confined(folder, path)
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


def _text_argument(arguments: dict[str, Any], name: str, default: str | None = None) -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str) or not value:
        raise ToolError(f"{name!r} is missing: it must be a text.")
    return value


async def _run_read_file(arguments: dict[str, Any], context: Context) -> str:
    start = arguments.get("start_line", 1)
    if not isinstance(start, int) or start < 1:
        raise ToolError("'start_line' must be a whole number from 1 on.")
    return await asyncio.to_thread(read_file, context.folder, _text_argument(arguments, "path"), start)


async def _run_list_files(arguments: dict[str, Any], context: Context) -> str:
    path = _text_argument(arguments, "path", ".")
    return await asyncio.to_thread(list_files, context.folder, path, recursive=arguments.get("recursive") is True)


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
