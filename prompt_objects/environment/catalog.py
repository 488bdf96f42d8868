"""The definitions of an environment, each read when it is first needed and again when its file changes."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.config.limits import LimitsConfig
from prompt_objects.errors import DefinitionError, NotFound
from prompt_objects.utils.text import did_you_mean

if TYPE_CHECKING:
    from prompt_objects.config.definition import Capability, Definition

__all__ = [
    "Catalog",
    "find_definitions",
]

SUFFIXES = (".yaml", ".yml", ".md")


class Catalog:
    """The definition files of one folder; `tools` returns the names of all tools, `bounds` limit every object.

    `servers` are the names of MCP servers. Safe to use from several threads: at worst a file is read twice.
    """

    def __init__(
        self, folder: Path, tools: Callable[[], Collection[str]], servers: Collection[str], bounds: LimitsConfig
    ) -> None:
        self.folder = folder
        self._tools = tools
        self._servers = servers
        self._bounds = bounds
        self._read: dict[Path, tuple[object, Definition | DefinitionError]] = {}

    def names(self) -> list[str]:
        """Return the names of all objects, sound and faulty, in alphabetical order."""
        return sorted(self._files())

    def __contains__(self, name: object) -> bool:
        return name in self._files()

    def __getitem__(self, name: str) -> "Definition":
        """Return a definition as its file now stands; raises `NotFound` and `DefinitionError`."""
        files = self._files()
        if name not in files:
            hint = did_you_mean(name, files) or f"There are: {', '.join(sorted(files)) or 'none'}."
            raise NotFound(f"There is no prompt object {name!r} in {self.folder}.", hint=hint)
        definition = self._definition(files[name])
        for capability in definition.capabilities:
            self._check(definition, capability, files)
        return definition

    def duplicates(self) -> list[DefinitionError]:
        """Return one error for every file that claims the name of another."""
        return find_definitions(self.folder)[1]

    def errors(self) -> list[DefinitionError]:
        """Read every definition and return all that is wrong with them."""
        faults = self.duplicates()
        for name in self.names():
            try:
                self[name]
            except DefinitionError as error:
                faults.append(error)
        return faults

    def notices(self) -> list[str]:
        """Return the notices of all valid definitions."""
        notices: list[str] = []
        for name in self.names():
            with suppress(DefinitionError):
                notices += self[name].notices
        return notices

    def _files(self) -> dict[str, Path]:
        return find_definitions(self.folder)[0]

    def _definition(self, file: Path) -> "Definition":
        try:
            status = file.stat()
            version: object = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        except OSError:
            version = None
        known = self._read.get(file)
        if known is None or version is None or known[0] != version:
            from prompt_objects.config.definition import load_definition

            try:
                known = (version, load_definition(file, bounds=self._bounds))
            except DefinitionError as error:
                known = (version, error)
            self._read[file] = known
        if isinstance(known[1], DefinitionError):
            raise known[1]
        return known[1]

    def _check(self, definition: "Definition", capability: "Capability", objects: Collection[str]) -> None:
        """Raise `DefinitionError` where a capability is missing, or could mean two things."""
        from prompt_objects.analysis.graph import require

        require(capability, definition, objects=objects, tools=self._tools(), servers=self._servers)


def find_definitions(folder: Path) -> tuple[dict[str, Path], list[DefinitionError]]:
    """Find the prompt objects' files in a folder, by name, and what stands in their way.

    Of two files for one name the first in the order .yaml, .yml, .md counts, and the other is an error.
    Hidden files and editors' backups are passed over; a folder that is not there holds nothing.
    """
    found: dict[str, Path] = {}
    faults: list[DefinitionError] = []
    try:
        files = [file for file in folder.iterdir() if file.suffix in SUFFIXES and not file.name.startswith(".")]
    except FileNotFoundError:
        return found, faults
    except OSError as error:
        return found, [DefinitionError(f"The folder cannot be read: {error.strerror}.", file=folder)]
    for file in sorted(files, key=lambda file: (file.stem, SUFFIXES.index(file.suffix))):
        first = found.setdefault(file.stem, file)
        if first is not file:
            problem = f"{first.name} already defines {file.stem!r}."
            faults.append(DefinitionError(problem, file=file, hint="Rename or remove one of the two."))
    return found, faults
