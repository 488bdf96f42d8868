"""Searches a folder for `search_files`, in a separate process: writes a line of JSON for each match.

It imports only the standard library, because it starts for every search.
"""

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

_MAX_BYTES = 10_000_000
_EXCERPT = 300  # characters of a line that are shown
_MAX_CHARS_BEFORE_MATCH = 100
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def main() -> None:
    """Read the request from standard input, and write the matches."""
    request = json.load(sys.stdin)
    try:
        pattern = re.compile(
            request["pattern"] if request["regex"] else re.escape(request["pattern"]),
            re.IGNORECASE if request["ignore_case"] else 0,
        )
    except (re.error, OverflowError, RecursionError) as error:
        _write({"problem": f"The pattern is not a valid regular expression: {error}."})
        return
    matches, files = 0, 0
    for path, folder, name in _files(request["root"], request["start"], request["private"]):
        data = _text(folder, name) if _is_selected(path, request["glob"]) else None
        if data is None:
            continue
        files += 1
        for line, text in _matches(pattern, data, whole_first=not request["regex"]):
            matches += 1
            if matches > request["max_matches"]:
                _write({"more": True})
                return
            _write({"path": path, "line": line, "text": text})
    _write({"files": files})


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()  # the process may be killed at any time


def _matches(pattern: re.Pattern[str], data: bytes, *, whole_first: bool) -> Iterator[tuple[int, str]]:
    text = data.decode("utf-8", "replace")
    if whole_first and not pattern.search(text):
        return
    for number, line in enumerate(text.split("\n"), 1):
        if match := pattern.search(line.removesuffix("\r")):
            start = max(0, match.start() - _MAX_CHARS_BEFORE_MATCH) if len(line) > _EXCERPT else 0
            yield number, line[start : start + _EXCERPT].rstrip()


def _files(root: str, start: list[str], private: list[list[int]]) -> Iterator[tuple[str, int, str]]:
    """Yield path, open folder and name of each file; no link is followed, so nothing leads out of `root`."""
    *above, last = start or ["."]
    parent = os.open(root, os.O_RDONLY | _NO_LINKS)
    for folder in above:
        parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=parent)
    if not stat.S_ISDIR(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode):
        yield "/".join(start), parent, last
        return
    for below, folders, names, inside in os.fwalk(last, dir_fd=parent):
        folders[:] = sorted(name for name in folders if _is_visible(name, inside, private))
        prefix = "".join(f"{part}/" for part in (*above, *below.split("/")) if part != ".")
        for name in sorted(name for name in names if _is_visible(name, inside, private)):
            yield prefix + name, inside, name


def _is_visible(name: str, parent: int, private: list[list[int]]) -> bool:
    if name.startswith(".") or not private:
        return not name.startswith(".")
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:  # removed in the meantime
        return True
    return [status.st_dev, status.st_ino] not in private


def _is_selected(path: str, glob: str) -> bool:
    """Match a glob without `/` against the file name, any other against the path; `**/` may match nothing."""
    if "/" not in glob:
        return not glob or fnmatchcase(path.rpartition("/")[2], glob)
    return fnmatchcase(path, glob) or fnmatchcase(path, glob.replace("**/", ""))


def _text(folder: int, name: str) -> bytes | None:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINKS, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            return None
        data = file.read(_MAX_BYTES)
    return None if b"\0" in data[:8192] else data


if __name__ == "__main__":
    main()
