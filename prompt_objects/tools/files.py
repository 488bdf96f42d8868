"""Reading the environment's folder: `read_file` and `list_files`, confined to it."""

import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeAlias

from msgspec import Meta

from prompt_objects.context import Context
from prompt_objects.errors import ToolError
from prompt_objects.tools.confined import Confined
from prompt_objects.tools.function import tool

__all__ = ["FILE_TOOLS", "FilePath", "FolderPath", "list_files", "read_file"]

MOST_CHARACTERS = 50_000
MOST_BYTES = 10_000_000
MOST_ENTRIES = 500

FilePath: TypeAlias = Annotated[str, Meta(min_length=1, description="Path relative to the environment's folder")]
FolderPath: TypeAlias = Annotated[
    str, Meta(min_length=1, description="Folder, relative to the environment's; '.' by default")
]


@tool
def read_file(
    path: FilePath,
    start_line: Annotated[int, Meta(ge=1, description="First line to return; 1 by default")] = 1,
    *,
    context: Context,
) -> str:
    """Read a text file of the environment's folder."""
    return text_from(Confined.of(context), path, start_line)


@tool
def list_files(
    path: FolderPath = ".",
    recursive: Annotated[bool, Meta(description="Also list what is in the folders below")] = False,  # noqa: FBT002
    *,
    context: Context,
) -> str:
    """List the files and folders in a folder of the environment."""
    return listing(Confined.of(context), path, recursive=recursive)


FILE_TOOLS = (read_file, list_files)


def text_from(within: Confined, path: str, start_line: int = 1) -> str:
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


def listing(within: Confined, path: str = ".", *, recursive: bool = False) -> str:
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
