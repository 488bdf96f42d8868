"""The files that MCP servers may run, as they are at one moment: by their content, and by what links mean."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from prompt_objects.config.environment import CONFIG_FILE
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import UsageError
from prompt_objects.mcp.command_files import STEERING, files_of_command, is_hidden

__all__ = [
    "snapshot",
]

MOST_FILES = 5_000
MOST_BYTES = 100_000_000
MOST_DEPTH = 100
_SET_UP = ("objects", CONFIG_FILE)
_CODE = re.compile(
    r"\.(py|pyc|pyd|pth|so|dylib|dll|[cm]?js|jsx|[cm]?ts|tsx|node|wasm|sh|rb|pl|pm|lua|jar)", re.IGNORECASE
)


def snapshot(folder: Path, server: ServerConfig) -> Mapping[str, str]:
    """Return, by path, what stands for each file that a server may run. Raises `UsageError` for too much, `OSError`.

    With a file come those beside it, and below; of the environment's folder itself only what looks like code, as the
    rest of it changes all the time, unless a server may run just everything there; and of that not what sets up the
    environment, which is no program. What is hidden counts only where it is named: no tool can write it.
    """
    return _Snapshot(folder.resolve()).of(server)


class _Snapshot:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._entries: dict[str, str] = {}
        self._bytes = 0
        self._seen: set[tuple[Path, bool]] = set()

    def of(self, server: ServerConfig) -> Mapping[str, str]:
        what = files_of_command(self._root, server)
        for path in what.steering:
            self._add(path)
        for path in what.paths:
            self._note(path, "", f"means {os.path.realpath(path)}")
            is_alone = path.is_dir() or path.parent == self._root or is_hidden(path, self._root)
            self._add(path)
            if not is_alone:
                self._add(path.parent)
        if what.scope == "all":
            for path in self._below(self._root):
                if path.name not in _SET_UP:
                    self._add(path)
        elif what.scope == "code":
            self._add(self._root, code_only=True)
        return self._entries

    def _add(self, path: Path, *, code_only: bool = False) -> None:
        waiting = [path]
        while waiting:
            path = waiting.pop()
            if (path, code_only) not in self._seen:
                self._seen.add((path, code_only))
                waiting += self._look(path, code_only=code_only)

    def _look(self, path: Path, *, code_only: bool) -> list[Path]:
        """Take note of one path; return what is to be looked at because of it."""
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            target = Path(os.path.realpath(path))
            self._note(path, "link", str(target))
            return [target] if target.is_file() or (target.is_dir() and target.is_relative_to(self._root)) else []
        if stat.S_ISDIR(mode):
            return self._below(path)
        if not code_only or _CODE.fullmatch(path.suffix) or mode & 0o111 or path.name in STEERING:
            self._note(path, "content", self._sum(path))
        return []

    def _below(self, folder: Path) -> list[Path]:
        if len(folder.parts) - len(self._root.parts) > MOST_DEPTH:
            raise _too_deep(self._root)
        # Python writes __pycache__ when it runs; tools write text, which it would not read there.
        return [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__pycache__"]

    def _note(self, path: Path, what: str, said: str) -> None:
        name = os.path.relpath(path, self._root)
        self._entries[_printable(f"{name}\0{what}")] = _printable(said)
        if len(self._entries) > MOST_FILES:
            raise _too_much(self._root)

    def _sum(self, path: Path) -> str:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for a writer
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return "no ordinary file"
            self._bytes += status.st_size
            if self._bytes > MOST_BYTES:
                raise _too_much(self._root)
            return hashlib.file_digest(stream, "sha256").hexdigest()


def _printable(path: str) -> str:
    """Write a path so that all text can hold it; the names of files are not always text."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _too_deep(root: Path) -> UsageError:
    problem = (
        f"What MCP servers may run in {root} lies more than {MOST_DEPTH} folders deep, too deep to be looked at."
    )
    return UsageError(problem, hint="Remove such folders.")


def _too_much(root: Path) -> UsageError:
    bounds = f"{MOST_FILES:,} files or {MOST_BYTES // 1_000_000:,} MB"
    problem = f"What MCP servers may run in {root} is more than {bounds}, too much to be trusted as it is."
    return UsageError(problem, hint="Keep such a program in a small folder of its own, or outside the environment.")
