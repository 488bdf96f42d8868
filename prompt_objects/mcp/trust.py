"""The user's trust in the MCP servers of environment.yaml, which start programs and receive secrets."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from prompt_objects.config.environment import CONFIG_FILE
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import StoreError, UsageError
from prompt_objects.mcp.command_files import PROJECT_FILES, files_of_command, is_hidden
from prompt_objects.tools.trust import Trust, digest_of
from prompt_objects.utils.text import pluralize


class Review(Struct, frozen=True):
    """The servers of an environment at one moment: a description for the user, and its digest."""

    file: Path
    lines: tuple[str, ...]
    digest: str


def review(folder: Path, servers: Mapping[str, ServerConfig]) -> Review:
    """Review servers, and the files that they may run. Raises `StoreError`, and `UsageError` for too many files."""
    try:
        files = {name: _FingerprintCollector(folder.resolve()).of(server) for name, server in servers.items()}
        lines = tuple(_describe(folder, servers, files))
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read: {error.strerror}.") from error
    # The folder is included: environment.yaml may be a link to a file that environments share.
    content = msgspec.json.encode([str(folder.resolve()), servers, files], order="deterministic")
    file = folder / CONFIG_FILE
    return Review(file, lines, digest_of({file: content}))


def is_trusted(folder: Path, servers: Mapping[str, ServerConfig], trust: Trust | None = None) -> bool:
    """Return whether the user trusts these servers, and the files that they may run, in their present state."""
    try:
        reviewed = review(folder, servers)
    except (StoreError, UsageError):  # the user cannot have read it either
        return False
    return (trust or Trust.of_user()).holds(reviewed.file, reviewed.digest)


def _describe(
    folder: Path, servers: Mapping[str, ServerConfig], files: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield a line for each server, for each path that it names, and for the number of trusted files."""
    for name, server in sorted(servers.items()):
        target = server.url or " ".join((server.command or "", *server.args))
        given = ", ".join(
            (*(f"{key}={value}" for key, value in server.env.items()), *map(": ".join, server.headers.items()))
        )
        hints = "; its hints about its tools are trusted" if server.trust_hints else ""
        yield f"{name}: {target}{f' (receives {given})' if given else ''}{hints}"
        files_named = files_of_command(folder, server)
        for path in files_named.paths:
            yield f"  {folder / path.relative_to(folder.resolve())}{'/' if path.is_dir() else ''}"
        if files_named.scope == "all":
            yield f"  {folder}/, all of it, because any file in it may run"
        contents = sum(key.endswith("\0content") for key in files[name])
        if contents > len(files_named.paths) or any(path.is_dir() for path in files_named.paths):
            yield f"  {pluralize(contents, 'file')} in total, including those in the same folders"


MAX_FILES = 5_000
MAX_BYTES = 100_000_000
MAX_DEPTH = 100
_CONFIGURATION = ("objects", CONFIG_FILE)
_CODE = re.compile(
    r"\.(py|pyc|pyd|pth|so|dylib|dll|[cm]?js|jsx|[cm]?ts|tsx|node|wasm|sh|rb|pl|pm|lua|jar)", re.IGNORECASE
)


class _FingerprintCollector:
    """The fingerprint of each file that a server may run, by path.

    Of the environment's folder itself only code is included, unless the server may run everything there. Raises
    `OSError`, and `UsageError` if there are too many files.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entries: dict[str, str] = {}
        self._bytes = 0
        self._seen: set[tuple[Path, bool]] = set()

    def of(self, server: ServerConfig) -> Mapping[str, str]:
        command = files_of_command(self._root, server)
        for path in command.project_files:
            self._add(path)
        for path in command.paths:
            self._record(path, "", f"means {os.path.realpath(path)}")
            self._add(path)
            if not (path.is_dir() or path.parent == self._root or is_hidden(path, self._root)):
                self._add(path.parent)
        if command.scope == "all":
            for path in self._children(self._root):
                if path.name not in _CONFIGURATION:
                    self._add(path)
        elif command.scope == "code":
            self._add(self._root, code_only=True)
        return self._entries

    def _add(self, path: Path, *, code_only: bool = False) -> None:
        waiting = [path]
        while waiting:
            path = waiting.pop()
            if (path, code_only) not in self._seen:
                self._seen.add((path, code_only))
                waiting += self._visit(path, code_only=code_only)

    def _visit(self, path: Path, *, code_only: bool) -> list[Path]:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            target = Path(os.path.realpath(path))
            self._record(path, "link", str(target))
            return [target] if target.is_file() or (target.is_dir() and target.is_relative_to(self._root)) else []
        if stat.S_ISDIR(mode):
            return self._children(path)
        if not code_only or _CODE.fullmatch(path.suffix) or mode & 0o111 or path.name in PROJECT_FILES:
            self._record(path, "content", self._digest(path))
        return []

    def _children(self, folder: Path) -> list[Path]:
        if len(folder.parts) - len(self._root.parts) > MAX_DEPTH:
            problem = f"The programs of MCP servers in {self._root} have folders more than {MAX_DEPTH} levels deep."
            raise UsageError(problem, hint="Remove such folders.")
        # Python writes __pycache__ itself; tools can only write text, which Python would not load from there.
        return [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__pycache__"]

    def _record(self, path: Path, kind: str, value: str) -> None:
        name = os.path.relpath(path, self._root)
        self._entries[_printable(f"{name}\0{kind}")] = _printable(value)
        if len(self._entries) > MAX_FILES:
            raise _too_many_files(self._root)

    def _digest(self, path: Path) -> str:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would block
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return "no ordinary file"
            self._bytes += status.st_size
            if self._bytes > MAX_BYTES:
                raise _too_many_files(self._root)
            return hashlib.file_digest(stream, "sha256").hexdigest()


def _printable(path: str) -> str:
    """Return a path as valid text; file names may contain other bytes."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _too_many_files(root: Path) -> UsageError:
    limits = f"{MAX_FILES:,} files or {MAX_BYTES // 1_000_000:,} MB"
    problem = f"The programs of MCP servers in {root} have more than {limits}, which is more than can be trusted."
    return UsageError(problem, hint="Move such a program to a small folder, or outside the environment.")
