"""What `search_files` does in a process of its own: go through a folder, and write a line of JSON for every match.

It imports nothing but the standard library, since it is started for every search.
"""

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

__all__ = [
    "main",
]

_MOST_BYTES = 10_000_000
_SHOWN = 300  # characters of a line
_BEFORE = 100  # of them at most before the match
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def main() -> None:
    """Read the request from standard input, and write what is found."""
    request = json.load(sys.stdin)
    try:
        pattern = re.compile(
            request["pattern"] if request["regex"] else re.escape(request["pattern"]),
            re.IGNORECASE if request["ignore_case"] else 0,
        )
    except (re.error, OverflowError, RecursionError) as error:
        _write({"problem": f"The pattern is no regular expression: {error}."})
        return
    found, files = 0, 0
    for path, data in _contents(request):
        files += 1
        for line, text in _matches(pattern, data, whole_first=not request["regex"]):
            found += 1
            if found > request["most"]:
                _write({"more": True})
                return
            _write({"path": path, "line": line, "text": text})
    _write({"files": files})


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()  # it may be killed at any time


def _matches(pattern: re.Pattern[str], data: bytes, *, whole_first: bool) -> Iterator[tuple[int, str]]:
    """Yield the number and an excerpt of each line that matches."""
    text = data.decode("utf-8", "replace")
    if whole_first and not pattern.search(text):
        return
    for number, line in enumerate(text.split("\n"), 1):
        if match := pattern.search(line.removesuffix("\r")):
            start = max(0, match.start() - _BEFORE) if len(line) > _SHOWN else 0
            yield number, line[start : start + _SHOWN].rstrip()


def _contents(request: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the text files that are to be searched."""
    for path, folder, name in _files(request["root"], request["start"], request["private"]):
        if _is_wanted(path, request["glob"]) and (data := _text(folder, name)) is not None:
            yield path, data


def _files(root: str, start: list[str], private: list[list[int]]) -> Iterator[tuple[str, int, str]]:
    """Yield path, open folder and name of a file, or of all below a folder, without those hidden or private.

    One folder is opened after another, and links are not followed, so that nothing leads out of `root`.
    """
    *above, last = start or ["."]
    here = os.open(root, os.O_RDONLY | _NO_LINKS)
    for folder in above:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=here)
    if not stat.S_ISDIR(os.stat(last, dir_fd=here, follow_symlinks=False).st_mode):
        yield "/".join(start), here, last
        return
    for below, folders, names, inside in os.fwalk(last, dir_fd=here):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not _is(name, inside, private))
        prefix = "".join(f"{part}/" for part in (*above, *below.split("/")) if part != ".")
        for name in sorted(names):
            if not name.startswith(".") and not _is(name, inside, private):
                yield prefix + name, inside, name


def _is(name: str, here: int, private: list[list[int]]) -> bool:
    if not private:
        return False
    try:
        status = os.stat(name, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:  # it was taken away meanwhile
        return False
    return [status.st_dev, status.st_ino] in private


def _is_wanted(path: str, glob: str) -> bool:
    """Match a glob without `/` against the file's name, any other against its path; `**/` may stand for nothing."""
    if "/" not in glob:
        return not glob or fnmatchcase(path.rpartition("/")[2], glob)
    return fnmatchcase(path, glob) or fnmatchcase(path, glob.replace("**/", ""))


def _text(folder: int, name: str) -> bytes | None:
    """Return a file's content; None for what is no file, cannot be read, is too large, or is binary."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINKS, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            return None
        data = file.read(_MOST_BYTES)
    return None if b"\0" in data[:8192] else data


if __name__ == "__main__":
    main()
