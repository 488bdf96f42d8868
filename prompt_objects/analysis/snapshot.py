"""A snapshot of all definitions of an environment, with the position of every value."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from prompt_objects.analysis.graph import Graph
from prompt_objects.analysis.ruby import with_universal
from prompt_objects.config.definition import load_definition, parse_definition
from prompt_objects.config.limits import LimitsConfig, accept_old_key
from prompt_objects.config.permissions import HasEffect
from prompt_objects.config.yaml.document import TOP, Position, YamlDocument, front_matter, parse, read_text
from prompt_objects.errors import DefinitionError, FileError

if TYPE_CHECKING:
    from prompt_objects.config.definition import Definition


class SourcePositions:
    """Looks up values and positions in YAML and front matter, in `drafts` instead of files if given.

    Each file is read once, at its first use. An unreadable file counts as empty.
    """

    def __init__(self, drafts: Mapping[Path, str] = MappingProxyType({})) -> None:
        self._drafts = drafts
        self._read: dict[Path, YamlDocument] = {}

    def value(self, file: Path, *path: str) -> Any:
        """Return the value at a path of keys as written, None if there is none."""
        value = self._document(file).data
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def keys(self, file: Path, *path: str) -> list[str]:
        value = self.value(file, *path)
        return list(value) if isinstance(value, dict) else []

    def position(self, file: Path, *path: str | int, key: bool = False) -> Position:
        """Return the position of the value at a path, or of its key; of its parent if it does not exist."""
        return self._document(file).position_of(*path, key=key)

    def _document(self, file: Path) -> YamlDocument:
        if file not in self._read:
            try:
                document = parse(_yaml(file, self._drafts.get(file)), file, FileError)
                accept_old_key(document)
                self._read[file] = document
            except FileError:
                self._read[file] = YamlDocument(file, FileError, start=TOP)
        return self._read[file]


def _yaml(file: Path, draft: str | None) -> str:
    """Return the text of a file; for a Markdown file, the front matter with its line numbers kept."""
    text = read_text(file, FileError) if draft is None else draft
    if file.suffix != ".md":
        return text
    parts = front_matter(text)
    return "\n" + parts[1].removesuffix("\n") if parts else ""


class EnvironmentSnapshot(Struct, frozen=True, kw_only=True):
    """The state of an environment that the rules check; `config_file` is environment.yaml, which need not exist.

    `root` is the object that is opened by default. With `is_ruby`, unknown capabilities are left out. `errors` are
    those of invalid files. `has_known_price` takes the name of a model in a definition, None for the default model.
    """

    graph: Graph
    config_file: Path
    default_object: str | None
    root: str | None
    is_ruby: bool
    bounds: LimitsConfig
    errors: tuple[DefinitionError, ...]
    positions: SourcePositions
    has_known_price: Callable[[str | None], bool]

    def file(self, name: str) -> Path:
        return self.graph.definitions[name].file


def take_snapshot(  # noqa: PLR0913 - all but the first two are given by their own names
    files: Mapping[str, Path],
    config_file: Path,
    *,
    tools: Mapping[str, HasEffect],
    bounds: LimitsConfig,
    has_known_price: Callable[[str | None], bool],
    default_object: str | None = None,
    is_ruby: bool = False,
    errors: Iterable[DefinitionError] = (),
    drafts: Mapping[Path, str] = MappingProxyType({}),
) -> EnvironmentSnapshot:
    """Read the definitions in `files`, by name; `drafts` replace the text of files, `errors` were found before."""
    definitions: dict[str, Definition] = {}
    all_errors = list(errors)
    for name, file in files.items():
        try:
            text = drafts.get(file)
            read = (
                load_definition(file, bounds=bounds) if text is None else parse_definition(text, file, bounds=bounds)
            )
            definitions[name] = with_universal(read, tools) if is_ruby else read
        except DefinitionError as error:
            all_errors.append(error)
    positions = SourcePositions(drafts)
    servers = positions.keys(config_file, "mcp_servers")
    return EnvironmentSnapshot(
        graph=Graph(definitions, objects=files, tools=tools, servers=servers, bounds=bounds),
        config_file=config_file,
        default_object=default_object,
        is_ruby=is_ruby,
        root=default_object if default_object in files else min(files, default=None),
        bounds=bounds,
        errors=tuple(all_errors),
        positions=positions,
        has_known_price=has_known_price,
    )
