"""`read_file` and `list_files`: tools that read the environment's folder."""

import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeAlias

from msgspec import Meta

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.decorator import tool
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.tools.truncation import RESULTS_FOLDER, is_saved_result, saved_results
from prompt_objects.utils.text import pluralize

MAX_CHARACTERS = 50_000
MAX_BYTES = 10_000_000
MAX_RESULT_BYTES = 100_000_000
MAX_ENTRIES = 500
FilePath: TypeAlias = Annotated[str, Meta(min_length=1, description="Path relative to the environment's folder")]
FolderPath: TypeAlias = Annotated[
    str, Meta(min_length=1, description="Folder, relative to the environment's folder; '.' by default")
]


@tool
def read_file(
    path: FilePath,
    start_line: Annotated[int, Meta(ge=1, description="First line to return; 1 by default")] = 1,
    start_column: Annotated[int, Meta(ge=1, description="First character of that line to return; 1 by default")] = 1,
    *,
    context: Context,
) -> str:
    """Read a text file in the environment's folder, or the rest of a tool result that was too long to show."""
    if is_saved_result(path):
        guard, path, max_bytes = saved_results(context), path.removeprefix(f"{RESULTS_FOLDER}/"), MAX_RESULT_BYTES
    else:
        guard, max_bytes = PathGuard.of(context), MAX_BYTES
    return read_text(guard, path, start_line, start_column, max_bytes=max_bytes)


@tool
def list_files(
    path: FolderPath = ".",
    recursive: Annotated[bool, Meta(description="Include the contents of subfolders")] = False,  # noqa: FBT002
    *,
    context: Context,
) -> str:
    """List the files and folders in a folder of the environment."""
    return list_folder(PathGuard.of(context), path, recursive=recursive)


def read_text(
    guard: PathGuard, path: str, start_line: int = 1, start_column: int = 1, *, max_bytes: int = MAX_BYTES
) -> str:
    """Return at most `MAX_CHARACTERS` of a file from a position on, and a line that says if there is more."""
    data = guard.read(path, max_bytes)
    if b"\0" in data[:8192]:
        return f"{path} is a binary file of {len(data):,} bytes; it cannot be shown as text."
    try:
        lines = data.decode("utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        return f"{path} is not UTF-8 text ({len(data):,} bytes); it cannot be shown."
    if start_line > len(lines):
        raise ToolError(f"{path} has {len(lines)} lines; start_line {start_line} is past the end.")
    first = lines[start_line - 1]
    if start_column > max(len(first), 1):
        raise ToolError(
            f"Line {start_line} has {len(first)} characters; start_column {start_column} is past the end."
        )
    return _excerpt(lines, start_line, start_column) or f"{path} is empty."


def _excerpt(lines: list[str], start_line: int, start_column: int) -> str:
    """Join the lines that fit. A single line that is too long is cut, so that reading can always continue."""
    first = lines[start_line - 1][start_column - 1 :]
    if len(first) > MAX_CHARACTERS:
        rest = f"[{len(first) - MAX_CHARACTERS:,} characters of line {start_line} are left"
        position = f"start_line {start_line}, start_column {start_column + MAX_CHARACTERS}"
        return f"{first[:MAX_CHARACTERS]}\n{rest}; continue with {position}]"
    shown, room = [first], MAX_CHARACTERS - len(first)
    for line in islice(lines, start_line, None):
        if (room := room - len(line) - 1) < 0:
            end = start_line - 1 + len(shown)
            shown.append(
                f"[{len(lines) - end:,} of {len(lines):,} lines are left; continue with start_line {end + 1}]"
            )
            break
        shown.append(line)
    return "\n".join(shown)


def list_folder(guard: PathGuard, path: str = ".", *, recursive: bool = False) -> str:
    """Return the names in a folder, one per line: folders end in `/`, files are followed by their size."""
    folder = guard.resolve(path)
    if not folder.is_dir():
        raise ToolError(f"There is no folder {path!r}.")
    entries = islice(_walk(folder, guard.identities(), recursive=recursive), MAX_ENTRIES + 1)
    try:
        lines = [_describe(entry, folder) for entry in entries]
    except OSError as error:
        raise ToolError(f"{Path(error.filename).name!r} cannot be listed: {error.strerror}.") from error
    if len(lines) > MAX_ENTRIES:
        lines[-1] = f"[more than {MAX_ENTRIES} entries; list a subfolder]"
    return "\n".join(lines) or f"{path} is empty."


def _walk(folder: Path, private: list[tuple[int, int]], *, recursive: bool) -> Iterator[Path]:
    """Yield what is visible in a folder, parents first. Links and private folders are yielded but not entered."""
    for entry in sorted(each for each in folder.iterdir() if not each.name.startswith(".")):
        yield entry
        if recursive and entry.is_dir() and not entry.is_symlink():
            status = entry.stat()
            if (status.st_dev, status.st_ino) not in private:
                yield from _walk(entry, private, recursive=True)


def _describe(entry: Path, base: Path) -> str:
    name = entry.relative_to(base).as_posix()
    try:
        status = entry.lstat()
    except OSError:
        return name
    if stat.S_ISLNK(status.st_mode):
        return f"{name} (link)"
    return f"{name}/" if stat.S_ISDIR(status.st_mode) else f"{name} ({pluralize(status.st_size, 'byte')})"
