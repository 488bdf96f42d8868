"""What an environment offers to the turns in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from prompt_objects.bus import Bus
from prompt_objects.person import Person
from prompt_objects.prefix import Prefixes
from prompt_objects.running import Running

if TYPE_CHECKING:
    from prompt_objects.graph.survey import Survey
    from prompt_objects.sessions.stores import Store

__all__ = ["Look", "Surroundings"]


class Look(Protocol):
    """What looks at all definitions of an environment."""

    def __call__(self, drafts: Mapping[Path, str] = ...) -> "Survey":
        """Look at them, which blocks for a moment; `drafts` are texts that stand for those in files."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """What is the same for every turn: where news goes, which turns there are, and who can be asked.

    `prefixes` remembers what requests began with. `folder` is the environment's, `data_dir` where it keeps its state,
    `store` where sessions live, and `workspace` the folder of what belongs to them. `look` looks at all definitions.
    Of what is in the folder, tools reach nothing of `private`, and write nothing of `guarded`.
    """

    bus: Bus
    running: Running
    person: Person
    prefixes: Prefixes
    folder: Path
    data_dir: Path
    store: "Store"
    workspace: Path
    look: Look
    private: tuple[Path, ...]
    guarded: tuple[Path, ...]
