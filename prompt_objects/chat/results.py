"""What a command can result in: plain data, which only a screen draws."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from prompt_objects.sessions.session import Session

if TYPE_CHECKING:
    from prompt_objects.trace.model import Trace

__all__ = [
    "CommandResult",
    "Confirm",
    "Document",
    "Quit",
    "Retry",
    "Send",
    "ShowTrace",
    "Switched",
    "Table",
    "Text",
    "Watch",
]


class Text(Struct, frozen=True):
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
    yes: Callable[[], "CommandResult"]


class Switched(Struct, frozen=True):
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


class ShowTrace(Struct, frozen=True):
    """What happened in a session."""

    trace: "Trace"


class Retry(Struct, frozen=True):
    """The last message is to be answered `anew`, or on from where that was interrupted."""

    anew: bool


class Quit(Struct, frozen=True):
    """The person is done."""


CommandResult: TypeAlias = Text | Table | Document | Confirm | Switched | Send | Watch | ShowTrace | Retry | Quit
