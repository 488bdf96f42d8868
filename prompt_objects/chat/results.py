"""The results of slash commands: plain data that user interfaces draw and act on."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from prompt_objects.sessions.session import Session

if TYPE_CHECKING:
    from prompt_objects.trace.model import Trace


class Text(Struct, frozen=True):
    """A sentence about what was done."""

    text: str


class Table(Struct, frozen=True):
    """Rows of text under a title; `mark` is the index of the current row, if any.

    `sections` are titles between the rows, each by the index of the row that it precedes.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    mark: int | None = None
    sections: Mapping[int, str] = {}


class Document(Struct, frozen=True):
    """A longer text in Markdown."""

    markdown: str


class Confirm(Struct, frozen=True):
    """A question before an action; `on_yes` is called if the answer is y or yes, `on_no` if it is n or no."""

    text: str
    on_yes: Callable[[], "CommandResult"]
    on_no: Callable[[], "CommandResult"] | None = None


class Switched(Struct, frozen=True):
    """The conversation has switched to another session or prompt object."""

    text: str


class Send(Struct, frozen=True):
    """Send a message as soon as no other process uses the session."""

    text: str
    message: str


class Watch(Struct, frozen=True):
    """Show the messages of a session as they come, while another process uses it."""

    text: str
    session: Session


class ShowTrace(Struct, frozen=True):
    """Show the trace of a session."""

    trace: "Trace"


class Retry(Struct, frozen=True):
    """Answer the last message again, or with `resume` continue the interrupted turn."""

    resume: bool


class Quit(Struct, frozen=True):
    """End the program."""


CommandResult: TypeAlias = Text | Table | Document | Confirm | Switched | Send | Watch | ShowTrace | Retry | Quit
