"""What a command can result in: plain data, which only a screen draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Again", "Document", "Leave", "Moved", "Outcome", "Question", "Said", "Table"]


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence about what was done."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title; `mark` is the row of the current one, None where there is none."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A longer text in Markdown."""

    markdown: str


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask first; only a plain yes carries it out."""

    text: str
    yes: Callable[[], "Outcome"]


@dataclass(frozen=True, slots=True)
class Moved:
    """The conversation is now another session or another prompt object's."""

    text: str


@dataclass(frozen=True, slots=True)
class Again:
    """The last message is to be answered anew."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The person is done."""


Outcome: TypeAlias = Said | Table | Document | Question | Moved | Again | Leave
