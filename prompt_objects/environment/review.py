"""Collects the grants of an environment, from its settings, definitions, tools and the files of its MCP servers."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from prompt_objects.config.environment import DATA_DIR
from prompt_objects.environment.catalog import find_definitions
from prompt_objects.environment.grants import Grant, definition_grants, make_grant, may_have_grants
from prompt_objects.errors import DefinitionError, StoreError, UsageError
from prompt_objects.utils.text import pluralize

if TYPE_CHECKING:
    from prompt_objects.config.environment_schema import ServerConfig

MAX_FILES = 5_000
MAX_BYTES = 100_000_000
_CHUNK = 1_000_000


def review(folder: Path, settings: Any) -> list[Grant]:
    """Return all grants; `settings` is the content of environment.yaml, without expanded variables.

    Raises `StoreError` if a file cannot be read, and `UsageError` if there are too many.
    """
    return [
        *(_settings(settings, folder) if settings else ()),
        *_linked_data_dir(folder),
        *_definitions(folder),
        *_tools(folder),
    ]


def _settings(settings: Any, folder: Path) -> Iterator[Grant]:
    from prompt_objects.config.environment_schema import ServerConfig
    from prompt_objects.environment.settings_grants import config_grants

    yield from config_grants(settings, folder)
    servers = settings.get("mcp_servers") if isinstance(settings, dict) else None
    with suppress(msgspec.ValidationError):  # such settings are refused when they are loaded
        yield from file_grants(folder, msgspec.convert(servers or {}, dict[str, ServerConfig]))


def _linked_data_dir(folder: Path) -> Iterator[Grant]:
    data_dir = folder / DATA_DIR
    if data_dir.is_symlink():
        target = os.path.realpath(data_dir)
        yield make_grant(f"{DATA_DIR}: is a link, so that sessions are kept in {target}", target)


def _definitions(folder: Path) -> Iterator[Grant]:
    files = find_definitions(folder / "objects")[0].values()
    if files:
        from prompt_objects.config.yaml.document import read_text
    for file in files:
        with suppress(DefinitionError):  # an invalid definition has no effect
            if may_have_grants(text := read_text(file, DefinitionError)):
                from prompt_objects.config.definition import parse_definition

                yield from definition_grants(parse_definition(text, file))


def _tools(folder: Path) -> Iterator[Grant]:
    if (folder / "tools").is_dir():  # else its module need not be loaded
        from prompt_objects.tools.loader import read_tool_files

        yield from tool_grants(read_tool_files(folder)[0])


def tool_grants(files: Mapping[Path, bytes]) -> Iterator[Grant]:
    """Yield a grant for each Python file in `tools/`."""
    for file, content in files.items():
        size = pluralize(len(content), "byte")
        yield make_grant(f"tools/{file.name}: {size} of Python, run with all your permissions", content)


def file_grants(folder: Path, servers: "Mapping[str, ServerConfig]") -> Iterator[Grant]:
    """Yield a grant for each file and folder of the environment that the command of an MCP server names."""
    if not servers:
        return
    from prompt_objects.mcp.command_files import program_paths

    for path in program_paths(folder, servers):
        name = os.path.relpath(path, os.path.realpath(folder))
        kind = f"{name}/ with all files in it" if path.is_dir() else name
        yield Grant(f"mcp_servers: {kind}", _Digest().of(path))
    if any(server.command for server in servers.values()):
        text = "mcp_servers: later changes in other files that these programs use take effect without a question"
        yield make_grant(text, "")


class _Digest:
    """The digest of the contents of a file or folder. Raises `StoreError`, and `UsageError` if it is too large."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._files = 0
        self._bytes = 0

    def of(self, path: Path) -> str:
        try:
            waiting = [path]
            while waiting:
                waiting += self._add(path, waiting.pop())
        except OSError as error:
            raise StoreError(f"{error.filename} cannot be read: {error.strerror}.") from error
        return self._digest.hexdigest()

    def _add(self, root: Path, path: Path) -> list[Path]:
        """Add a file, or a folder without its children, which are returned; a link below the root is not followed."""
        status = path.stat() if path == root else path.lstat()
        self._note(os.path.relpath(path, root), oct(status.st_mode & 0o111))
        if path.is_symlink():
            self._note(os.path.realpath(path))
        if stat.S_ISREG(status.st_mode):
            self._files += 1
            self._note(self._content(root, path))
        if not stat.S_ISDIR(status.st_mode):
            return []
        # Python writes __pycache__ itself.
        return sorted((child for child in path.iterdir() if child.name != "__pycache__"), reverse=True)

    def _content(self, root: Path, path: Path) -> str:
        """Return the digest of a file; files of the system may have no end, whatever size they give."""
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while part := stream.read(_CHUNK):
                digest.update(part)
                self._bytes += len(part)
                self._check_size(root)
        self._check_size(root)
        return digest.hexdigest()

    def _check_size(self, root: Path) -> None:
        if self._files > MAX_FILES or self._bytes > MAX_BYTES:
            limits = f"{pluralize(MAX_FILES, 'file')} or {MAX_BYTES // 1_000_000:,} MB"
            problem = f"{root} has more than {limits}, which is more than can be trusted."
            raise UsageError(problem, hint="Let the command of the MCP server name a smaller folder.")

    def _note(self, *texts: str) -> None:
        for text in texts:
            self._digest.update(os.fsencode(text) + b"\0")
