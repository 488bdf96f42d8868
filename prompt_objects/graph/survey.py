"""A look at the whole of an environment: its graph, and all that can be found in it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from prompt_objects.definition import load_definition, understand
from prompt_objects.effect import Acting
from prompt_objects.errors import DefinitionError
from prompt_objects.graph.links import Graph
from prompt_objects.graph.places import Places
from prompt_objects.limits import GivenLimits

if TYPE_CHECKING:
    from prompt_objects.definition import Definition

__all__ = ["Survey", "survey"]


class Survey(Struct, frozen=True, kw_only=True):
    """What a check looks at.

    `settings` is environment.yaml, which need not be there; `default_object` is the one that it names, and `root` the
    one that opens where none was used before, None where there are no objects. `faults` say what is wrong with files
    that cannot be understood. `may_be_priced` says of a model, by the name under which a definition asks for it, None
    for the environment's, whether its prices are known, as far as can be told.
    """

    graph: Graph
    settings: Path
    default_object: str | None
    root: str | None
    bounds: GivenLimits
    faults: tuple[DefinitionError, ...]
    places: Places
    may_be_priced: Callable[[str | None], bool]

    def file(self, name: str) -> Path:
        """Return the file of an object whose definition can be read."""
        return self.graph.definitions[name].file


def survey(  # noqa: PLR0913 - all but the first two are given by their own names
    files: Mapping[str, Path],
    settings: Path,
    *,
    tools: Mapping[str, Acting],
    bounds: GivenLimits,
    may_be_priced: Callable[[str | None], bool],
    default_object: str | None = None,
    faults: Iterable[DefinitionError] = (),
    drafts: Mapping[Path, str] = MappingProxyType({}),
) -> Survey:
    """Read the definitions in `files`, by name, and see what joins them.

    `tools` are all tools by their names; `bounds` are the environment's limits; `may_be_priced` is that
    of `Survey`; `faults` are what is known to be wrong beforehand, such as two files for one name; `drafts` are texts
    that stand for those in files.
    """
    definitions: dict[str, Definition] = {}
    broken = list(faults)
    for name, file in files.items():
        try:
            text = drafts.get(file)
            read = load_definition(file, bounds=bounds) if text is None else understand(text, file, bounds=bounds)
            definitions[name] = read
        except DefinitionError as fault:
            broken.append(fault)
    places = Places(drafts)
    servers = places.keys(settings, "mcp_servers")
    return Survey(
        graph=Graph(definitions, objects=files, tools=tools, servers=servers, bounds=bounds),
        settings=settings,
        default_object=default_object,
        root=default_object if default_object in files else min(files, default=None),
        bounds=bounds,
        faults=tuple(broken),
        places=places,
        may_be_priced=may_be_priced,
    )
