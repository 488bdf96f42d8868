"""A finding of a check: one sentence about one position in one file."""

from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from prompt_objects.config.yaml.document import Position

Severity: TypeAlias = Literal["error", "warning", "note"]
FindingKind: TypeAlias = Literal[
    "broken", "missing", "cycle", "unreachable", "authority", "allow", "limit", "unused", "model"
]


class Finding(Struct, frozen=True, kw_only=True):
    """Something that is wrong (`error`), likely to surprise (`warning`), or good to know (`note`).

    `path` names the prompt objects that it is about, from the caller to the last one called.
    """

    severity: Severity
    kind: FindingKind
    file: Path
    at: Position
    text: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.at.line}:{self.at.column}: {self.severity}: {self.text}"
