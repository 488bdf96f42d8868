"""What a command can result in: plain data, which only a screen draws."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from prompt_objects.sessions.session import Session

if TYPE_CHECKING:
    from prompt_objects.trace.tree import Trace

__all__ = ["Again", "Confirm", "Document", "Leave", "Moved", "Outcome", "Said", "Send", "Table", "Traced", "Watch"]


class Said(Struct, frozen=True):
    """One sentence about what was done."""

    text: str


class Table(Struct, frozen=True):
    """Rows of text under a title; `mark` is the row of the current one, None where there is none."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    mark: int | None = None


class Document(Struct, frozen=True):
    """A longer text in Markdown."""

    markdown: str


class Confirm(Struct, frozen=True):
    """Something to ask first; only a plain yes carries it out."""

    text: str
    yes: Callable[[], "Outcome"]


class Moved(Struct, frozen=True):
    """The conversation is now another session or another prompt object's."""

    text: str


class Send(Struct, frozen=True):
    """A message is to be sent, once nobody else is at the session."""

    text: str
    message: str


class Watch(Struct, frozen=True):
    """The messages of a session are to be shown as they come, while somebody else is at it."""

    text: str
    session: Session


class Traced(Struct, frozen=True):
    """What happened in a session."""

    trace: "Trace"


class Again(Struct, frozen=True):
    """The last message is to be answered `anew`, or on from where that was interrupted."""

    anew: bool


class Leave(Struct, frozen=True):
    """The person is done."""


Outcome: TypeAlias = Said | Table | Document | Confirm | Moved | Send | Watch | Traced | Again | Leave
