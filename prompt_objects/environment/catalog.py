"""The definitions of an environment by name, read when they are needed."""

from codecs import BOM_UTF8
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from prompt_objects.config.environment import Config
from prompt_objects.errors import DefinitionError, NotFound
from prompt_objects.utils.resources import raise_if_exhausted
from prompt_objects.utils.text import did_you_mean, quoted

if TYPE_CHECKING:
    from prompt_objects.config.definition import Definition
    from prompt_objects.environment.authority import Authority


SUFFIXES = (".yaml", ".yml", ".md")


class Catalog:
    """The definitions of one folder, each read when it is first needed and again when its file changes.

    `config` has the names of MCP servers and the limits of all prompt objects; `tools` returns the names of all
    tools. Definitions are restricted by the `authority` of the environment. In an environment of the Ruby
    implementation, unknown capabilities are notices instead of errors. Thread-safe: at worst two threads read the
    same file.
    """

    def __init__(
        self, folder: Path, config: Config, tools: Callable[[], Collection[str]], authority: "Authority"
    ) -> None:
        self.folder = folder
        self._tools = tools
        self._servers = config.mcp_servers
        self._bounds = config.limits
        self._is_ruby = config.manifest is not None
        self._authority = authority
        self._cache: dict[Path, tuple[object, Definition | DefinitionError]] = {}

    def files(self) -> tuple[dict[str, Path], list[DefinitionError]]:
        """Return the definition files by name, and an error for every file whose name is already taken."""
        return find_definitions(self.folder)

    def names(self) -> list[str]:
        """Return the names of all prompt objects in alphabetical order, including those with invalid definitions."""
        return sorted(self.files()[0])

    def __contains__(self, name: object) -> bool:
        return name in self.files()[0]

    def __getitem__(self, name: str) -> "Definition":
        """Return a definition in its file's current version. Raises `NotFound` and `DefinitionError`."""
        from prompt_objects.analysis.graph import resolve_or_raise

        files, errors = self.files()
        if name not in files:
            if unreadable := next((error for error in errors if error.file == self.folder), None):
                raise unreadable
            hint = did_you_mean(name, files) or f"Available: {', '.join(sorted(files)) or 'none'}."
            raise NotFound(f"There is no prompt object {quoted(name)} in {self.folder}.", hint=hint)
        definition, missing = self._load(files[name]), set[str]()
        if self._is_ruby:
            from prompt_objects.analysis.ruby import adapted

            return adapted(definition, objects=files, tools=self._tools(), servers=self._servers)
        for capability in definition.capabilities:
            try:
                resolve_or_raise(capability, definition, objects=files, tools=self._tools(), servers=self._servers)
            except DefinitionError:
                if not self._authority.is_restricted:  # else it may be a tool that is not loaded
                    raise
                missing.add(capability.key)
        return _without(definition, missing) if missing else definition

    def errors(self) -> list[DefinitionError]:
        files, errors = self.files()
        for name in sorted(files):
            try:
                self[name]
            except DefinitionError as error:
                errors.append(error)
        return errors

    def notices(self) -> list[str]:
        notices: list[str] = []
        for name in self.names():
            with suppress(DefinitionError):
                notices += self[name].notices
        return notices

    def _load(self, file: Path) -> "Definition":
        try:
            status = file.stat()
            version: object = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        except OSError:
            version = None
        cached = self._cache.get(file)
        if cached is None or version is None or cached[0] != version:
            from prompt_objects.config.definition import load_definition

            try:
                cached = (version, self._authority.restrict(load_definition(file, bounds=self._bounds)))
            except DefinitionError as error:
                cached = (version, error)
            self._cache[file] = cached
        if isinstance(cached[1], DefinitionError):
            raise cached[1]
        return cached[1]


def _without(definition: "Definition", keys: Collection[str]) -> "Definition":
    kept = tuple(capability for capability in definition.capabilities if capability.key not in keys)
    return replace(definition, capabilities=kept)


def find_definitions(folder: Path) -> tuple[dict[str, Path], list[DefinitionError]]:
    """Return the definition files of a folder by name, and the errors found on the way.

    If several files define one name, the first in the order .yaml, .yml, .md counts, and each other one is an error.
    Hidden files, backups of editors, and Markdown files without front matter, such as a README.md, are ignored; a
    missing folder is empty.
    """
    found: dict[str, Path] = {}
    errors: list[DefinitionError] = []
    try:
        files = [file for file in folder.iterdir() if file.suffix in SUFFIXES and _may_define(file)]
    except FileNotFoundError:
        return found, errors
    except OSError as error:
        raise_if_exhausted(error)
        return found, [DefinitionError(f"The folder cannot be read: {error.strerror}.", file=folder)]
    for file in sorted(files, key=lambda file: (file.stem, SUFFIXES.index(file.suffix))):
        first = found.setdefault(file.stem, file)
        if first is not file:
            problem = f"{first.name} already defines {quoted(file.stem)}."
            errors.append(DefinitionError(problem, file=file, hint="Rename or remove one of the two."))
    return found, errors


def _may_define(file: Path) -> bool:
    """Return whether a file may be a definition; True if it cannot be read, so that loading it says why."""
    if file.name.startswith("."):
        return False
    if file.suffix == ".md" and file.is_file():
        try:
            with file.open("rb") as opened:
                return opened.read(6).removeprefix(BOM_UTF8).startswith(b"---")
        except OSError as error:
            raise_if_exhausted(error)
    return True
